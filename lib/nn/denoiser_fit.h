// What a denoiser needs of the noise schedule and of what it is conditioned on.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

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

/// Hands the noise levels to a new network that computes with them: mixture, subspace with residual. They become part of its state.
void fit_schedule(Denoiser& denoiser, const std::vector<double>& alphas_cumprod);

/// Makes a denoiser config (manifest form) one of a network that is conditioned on a value.
/// Throws Error(kUsage, "--condition") for a TorchScript network, which takes none.
void fit_value(io::Json& denoiser);

/// The network with a value embedding added, whose output is what it was before training: the embedding's last layer starts at 0.
/// Adapters are merged first. Throws as fit_value().
std::unique_ptr<Denoiser> with_value(Denoiser& network, uint64_t seed);

}  // namespace plumb::nn
