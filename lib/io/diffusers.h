// Models of the diffusers library (UNet2DModel and its schedulers) and what they are here. Source: the config.json,
// scheduler_config.json and parameter names that diffusers 0.42 writes.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "io/artefact.h"

namespace plumb::io {

/// A model folder, read but for its weights.
struct DiffusersModel {
  Json denoiser;                    ///< the manifest's model.denoiser
  Json schedule;                    ///< the manifest's model.schedule
  int64_t num_classes = 0;
  Space space;
  std::string weights;              ///< the safetensors file
  std::vector<std::string> files;   ///< every file that was read
};

/// Reads a pipeline folder (unet/, scheduler/) or the folder of a UNet2DModel itself.
/// sample_size: side of the square images in pixels, if the config does not say; 0 = must be there.
/// Throws Error(kBadInput): missing or unreadable files, another network than UNet2DModel, a scheduler that works otherwise
/// than ours (learned variance, thresholding, given betas, zero-terminal-SNR rescaling).
DiffusersModel read_diffusers_model(const std::string& folder, int64_t sample_size = 0);

/// Copies the weights to /denoiser/<name> as float32. Names of the attention layers from before diffusers 0.12 are brought
/// up to date. Returns the number of parameters.
int64_t copy_diffusers_weights(const DiffusersModel& model, H5Writer& writer);

/// The config.json and scheduler_config.json of a model manifest: the inverse of read_diffusers_model.
Json diffusers_unet_config(const Manifest& model);
Json diffusers_scheduler_config(const Manifest& model);

}  // namespace plumb::io
