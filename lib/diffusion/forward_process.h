// What a denoiser is trained on under any kind of diffusion: how items become noise, and the loss of the network's answer.
// The way back is process.h.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "diffusion/process_options.h"
#include "diffusion/schedule.h"
#include "io/space.h"
#include "nn/denoiser.h"

namespace plumb::diffusion {

class ForwardProcess {
 public:
  virtual ~ForwardProcess() = default;

  /// The loss of each example at a time and with noise drawn for it, [B] float32 with a gradient. x0 [B,*model shape] on the network's
  /// device; condition: what the network is told, drops done. Row k has the draws of (seed, example number first + k), whatever the batch.
  virtual Tensor loss(nn::Denoiser& denoiser, const Tensor& x0, const nn::Condition& condition, uint64_t seed, int64_t first) const = 0;

  /// Fills in what the process decides of a network's configuration (manifest form) where it is open.
  /// Throws Error(kUsage) for a network that cannot be trained so.
  virtual void fit_network(nlohmann::ordered_json& denoiser) const = 0;

  /// Hands a new network what it computes with, such as noise levels.
  virtual void prepare(nn::Denoiser& /*denoiser*/) const {}

  virtual nlohmann::ordered_json schedule() const = 0;   ///< the manifest's model.schedule
};

/// Of items in `space`, by a model.schedule. Throws Error(kBadInput, where) for one that is not understood, Error(kUsage) for items that
/// the process does not have.
std::unique_ptr<ForwardProcess> make_forward_process(const nlohmann::ordered_json& schedule, const TrainingOptions& training,
                                                     const io::Space& space, const std::string& where);

std::unique_ptr<ForwardProcess> make_gaussian_forward(const NoiseSchedule& schedule, double min_snr_gamma);
std::unique_ptr<ForwardProcess> make_jacobi_forward(const JacobiOptions& options, const io::Space& space);
std::unique_ptr<ForwardProcess> make_masked_forward(const io::Space& space);

}  // namespace plumb::diffusion
