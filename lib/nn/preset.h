// Architectures by name or file, fitted to the data they are to model.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "io/manifest.h"

namespace plumb::nn {

/// The config form (see make_denoiser) that `name` names: a preset share/presets/denoiser-NAME.json, FILE.json, or a
/// TorchScript FILE.pt.
/// Throws Error(kUsage) for an unknown preset, naming the nearest; Error(kBadInput) for an unreadable file.
io::Json read_denoiser_config(const std::string& name);

/// Fills in what the data decides, where the config leaves it open: channels (times patch^2), sample size, and rows of the
/// class table (classes + 1, the last being the null class; none if num_classes is 0).
void fit_denoiser_config(io::Json& config, const std::vector<int64_t>& model_shape, int64_t num_classes);

}  // namespace plumb::nn
