// What a denoiser's configuration needs of the noise schedule.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

#include "io/manifest.h"

namespace plumb::nn {

/// Fills in num_train_timesteps of a denoiser config (manifest form) that has such a key and leaves it open: conv1d, mlp, subspace.
void fit_timesteps(io::Json& denoiser, int64_t num_train_timesteps);

/// Throws Error(kUsage, "--prediction-type") if the network predicts something else: subspace gives the clean sample ("sample").
void check_prediction_type(const io::Json& denoiser, const std::string& prediction_type);

/// Makes a conv1d config read the K + 1 symbols of masked letters and answer with K numbers a site, and leaves time out unless the config says
/// otherwise: which letter is behind a mask does not depend on when it is asked. Throws Error(kUsage) for a network of another type (a
/// TorchScript module is taken at its word) or with other channels.
void fit_masked(io::Json& denoiser, int64_t letters);

}  // namespace plumb::nn
