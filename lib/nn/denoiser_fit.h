// What a denoiser's configuration needs of the noise schedule.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "io/manifest.h"
#include "nn/denoiser.h"

namespace plumb::nn {

/// Fills in num_train_timesteps of a denoiser config (manifest form) that has such a key and leaves it open: conv1d, mixture, mlp, subspace.
void fit_timesteps(io::Json& denoiser, int64_t num_train_timesteps);

/// Throws Error(kUsage, "--prediction-type") if the network predicts something else: subspace gives the clean sample ("sample"), a
/// mixture the noise ("epsilon").
void check_prediction_type(const io::Json& denoiser, const std::string& prediction_type);

/// Makes a conv1d config read the K + 1 symbols of masked letters and answer with K numbers a site, and leaves time out unless the config says
/// otherwise: which letter is behind a mask does not depend on when it is asked. Throws Error(kUsage) for a network of another type (a
/// TorchScript module is taken at its word) or with other channels.
void fit_masked(io::Json& denoiser, int64_t letters);

/// Hands the noise levels to a new network that computes with them: mixture. They become part of its state.
void fit_schedule(Denoiser& denoiser, const std::vector<double>& alphas_cumprod);

}  // namespace plumb::nn
