// Reverse-time samplers.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "diffusion/options.h"
#include "diffusion/schedule.h"
#include "nn/denoiser.h"

namespace plumb::diffusion {

/// One chain's arithmetic. Stateless between chains; multistep samplers keep history from step 0 on.
class Sampler {
 public:
  virtual ~Sampler() = default;
  virtual const std::vector<int64_t>& timesteps() const = 0;   // from noise to data
  /// x_{i+1} from x_i; noise [like x_t] is standard normal, ignored by steps that need none (needs_noise(i) false).
  virtual Tensor step(size_t i, const Tensor& x_t, const Tensor& model_output, const Tensor& noise) = 0;
  virtual bool needs_noise(size_t i) const = 0;
};
std::unique_ptr<Sampler> make_sampler(const SamplerOptions& options, const NoiseSchedule& schedule);

/// Classes of the samples with these global indices, [N] int64. `which`: "balanced" (index mod num_classes), "random" (uniform,
/// keyed by (seed, kLabel, index)), "none" (the null class, num_classes), or one class as a number. `share_start` samples in turn have one
/// class: balanced goes by the number of their start, random by the index of the first.
/// Throws Error(kUsage, "--class", ...) for anything else.
Tensor choose_labels(const std::string& which, const std::vector<int64_t>& items, int64_t num_classes, uint64_t seed, int64_t share_start = 1);

/// Classifier-free guidance: u + w (c - u), both branches in one doubled batch, first that without class and value.
/// w = 1, or a condition of neither: one plain call. Source: Ho & Salimans 2022; the combination is in model_output space.
struct GuidedDenoiser {
  nn::Denoiser& denoiser;
  double guidance_scale = 1.0;
  Tensor operator()(const Tensor& x_t, const Tensor& timestep, const nn::Condition& condition) const;
};

/// What produces model_output of step i of a chain (0: from noise): a guided denoiser, or a mixture of two (aig.h).
using ModelFunction = std::function<Tensor(size_t i, const Tensor& x_t, const Tensor& timestep, const nn::Condition& condition)>;

}  // namespace plumb::diffusion
