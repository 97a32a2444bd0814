// Items noised by a model's forward process: what a reward network for guidance at x_t learns from.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "diffusion/schedule.h"
#include "io/manifest.h"
#include "rewards/training_options.h"

namespace plumb::rewards {

using at::Tensor;

/// x_t = sqrt(alphas_cumprod_t) x0 + sqrt(1 - alphas_cumprod_t) eps at a timestep t drawn uniformly, of all training timesteps or of those of
/// a sampler. The network is not told t. Source: Yuan et al. 2023, "Reward-directed conditional diffusion", whose reward network for
/// pictures is fitted to noised latents; Dhariwal and Nichol 2021, "Diffusion models beat GANs on image synthesis", section 4.
class ForwardNoise {
 public:
  /// For what a draw is: the same number is another draw for another use.
  enum Use : uint32_t { kTraining = 0, kHeldOut = 1 };
  /// steps 0: all training timesteps; else the timesteps of that many reverse steps.
  ForwardNoise(const diffusion::NoiseSchedule& schedule, int64_t steps, uint64_t seed);
  /// The process of a model artefact, an adapter's base included, for items of `space`. Throws Error(kBadInput) if the model's items are
  /// others or its process is not Gaussian.
  static std::shared_ptr<const ForwardNoise> of_model(const io::Manifest& model, const io::Space& space, int64_t steps, uint64_t seed);

  /// x0 [B,*] in model space; row i gets the timestep and the noise of (seed, kTrainTime and kTrainNoise, numbers[i], use).
  Tensor noised(const Tensor& x0, const std::vector<int64_t>& numbers, Use use) const;
  /// The same noise, all at timestep t.
  Tensor noised_at(const Tensor& x0, const std::vector<int64_t>& numbers, int64_t t, Use use) const;
  const std::vector<int64_t>& timesteps() const { return timesteps_; }   ///< that are drawn from, ascending
  double alpha_cumprod(int64_t t) const { return schedule_.alpha_cumprod(t); }
  /// For the manifest of what was trained on it: {"timesteps", "steps"}, steps null for all.
  io::Json describe() const;
  /// Up to five of timesteps(), evenly spread from the first to the last.
  std::vector<int64_t> levels() const;

 private:
  diffusion::NoiseSchedule schedule_;
  std::vector<int64_t> timesteps_;
  int64_t steps_;
  uint64_t seed_;
};

/// Refuses --noised-steps without --noised-by, and --noised-by with an uncertainty, which is of finished items. Throws Error(kUsage).
void check_noise_options(const RewardTrainingOptions& options, const std::function<bool(const std::string&)>& was_set);

}  // namespace plumb::rewards
