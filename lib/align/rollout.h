// The one rollout engine: training methods and the monitor sample through it.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "align/policy.h"
#include "nn/data.h"
#include "rewards/reward.h"

namespace plumb::align {

/// What to sample and what to keep of it.
struct RolloutRequest {
  std::vector<int64_t> items;  ///< global indices: with the seed they name each sample's noise and class
  uint64_t seed = 0;
  std::vector<int64_t> classes;  ///< drawn from uniformly; num_classes is the null class; empty: all but that
  Tensor label = {};             ///< [N] int64: in place of drawing
  int64_t batch_size = 32;
  int64_t share_start = 1;          ///< diffusion::Draws::share_start; such items have one class too
  bool keep_chain = true;           ///< x and log_prob
  bool reference_log_prob = false;  ///< log_prob_ref
  bool path_kl = false;             ///< path_kl and path_noise_gap
};

/// Samples and their chains, on the CPU. Latents stay float32: rounded ones would make the ratio differ from 1.
struct Rollout {
  std::vector<int64_t> items;  // [N]
  nn::Condition condition;     // label [N] int64 or undefined
  bool without_class = false;  // all have the null class: rewards see no label
  Tensor x;                    // [N,T+1,*shape]: x[:,i] before step i, x[:,T] final, model space
  Tensor log_prob;             // [N,T] float64, under the weights that sampled
  Tensor log_prob_ref;         // [N,T] float64 or undefined, of the same steps under the reference
  Tensor path_kl;  // [N] float64, nats, or undefined: exact KL to the reference, summed over the chain's trained_steps (0 if none)
  Tensor path_noise_gap;  // [N] float64 or undefined: Policy::noise_gap_to_reference summed over the same steps; over all where no
                          // step has a density; undefined for chains that are not Gaussian
  Tensor stored;   // [N,*space.shape] decoded items
  Tensor reward;   // [N] float64, raw; set by score()
  int64_t steps() const { return log_prob.size(1); }  ///< T
  int64_t size() const { return static_cast<int64_t>(items.size()); }
  std::vector<std::string> prompts()
      const;  ///< what each sample was asked for, as text: "class 3", or "" without a condition
};

/// Runs the chains in batches. nullopt: a stop was asked for meanwhile. `progress`, if given, hears the number of
/// samples done.
std::optional<Rollout> roll_out(Policy& policy, const nn::Codec& codec, const RolloutRequest& request,
                                const std::function<void(int64_t)>& progress = nullptr);

/// The reward of a rollout's items, [N] float64. All items go to the reward at once. Throws Error(kBadNumbers) naming
/// the reward and the first item whose value is not finite.
Tensor score(rewards::Reward& reward, const std::string& name, const Rollout& rollout);

/// What --class says as numbers: "3", "Sneaker" (of `names`), "none" alone (the null class, num_classes). Throws
/// Error(kUsage) for what the model does not have.
std::vector<int64_t> parse_classes(const std::vector<std::string>& texts, int64_t num_classes,
                                   const std::vector<std::string>& names);

/// Classes of samples, [N] int64: item i's is a pure function of (seed, i). Undefined if the model is unconditional.
Tensor draw_labels(int64_t num_classes, const std::vector<int64_t>& classes, uint64_t seed,
                   const std::vector<int64_t>& items);

}  // namespace plumb::align
