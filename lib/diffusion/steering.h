// Steering: a reward chooses among chains while they run, without training and, in most methods, without a gradient.
// The target is p(x) exp(r(x) / alpha) / Z with p the model's own law. Each sample has a group of N particles of its own (or one chain
// with children): no sample touches another, so neither batch size nor shard changes any.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "diffusion/process.h"
#include "diffusion/steering_options.h"

namespace plumb::diffusion {

/// r of items in model space, [B] of any floating type; label [B] int64 or undefined.
using RewardFunction = std::function<Tensor(const Tensor& x0, const Tensor& label)>;

/// What the methods are given.
struct SteeringContext {
  const ReverseProcess& process;
  ModelFunction model;
  RewardFunction reward;           ///< of finished items: what the target is made of
  RewardFunction differentiable;   ///< with a gradient to x0; null if the reward has none. Where there is one, it values predicted items, since it
                                   ///< sees how sure a prediction is; otherwise they are taken as finished
  SteeringOptions options;
  uint64_t seed = 0;
  at::Device device = at::kCPU;
  int64_t batch_size = 64;         ///< rows of one network call
  std::function<void()> on_step;   ///< called between steps; may throw to stop
};

/// What a sample costs, or a run has cost: rows shown to the network by step, rewards, and gradients of the reward through the network.
struct SteeringCost {
  std::vector<int64_t> network;    ///< [steps]
  int64_t rewards = 0, gradients = 0;
};

/// Samples of some items, item by item.
struct SteeredBatch {
  Tensor x0;                  // [items * per_item, *model shape]
  std::vector<double> log_z;  // [items] estimates of log E_p exp(r / alpha); empty where the method gives none
};

/// A method of steering. Made by make_steering; keeps count of what it asked for.
class Steering {
 public:
  explicit Steering(const SteeringContext& context);
  virtual ~Steering() = default;
  /// condition: a row an item. Particle j of item i has the item number i * N + j in all its noise.
  virtual SteeredBatch run(const std::vector<int64_t>& items, const nn::Condition& condition) = 0;
  virtual SteeringCost cost_per_item() const = 0;
  int64_t per_item() const { return context_.options.keep == "all" ? context_.options.particles : 1; }   ///< samples an item
  int64_t rows_per_item() const { return context_.options.particles; }                                    ///< chains an item, for batching
  const SteeringCost& spent() const { return spent_; }

 protected:
  using Rows = std::function<std::vector<Tensor>(int64_t begin, int64_t end)>;
  std::vector<Tensor> in_batches(int64_t rows, const Rows& compute) const;
  /// The network's output at step i, at most batch_size rows at once.
  Tensor network(int64_t i, const Tensor& state, const nn::Condition& condition);
  /// The reward of items in model space, [B] float64 on the CPU. Throws Error(kBadNumbers) if one is not finite.
  Tensor reward_of(const Tensor& x0, const nn::Condition& condition);
  /// The reward of the item that a state is expected to become: SVDD's posterior mean approximation v(x_t) = r(x0_hat(x_t)).
  Tensor expected_reward(int64_t i, const Tensor& state, const Tensor& output, const nn::Condition& condition);
  Tensor values(const RewardFunction& reward, const Tensor& x0, const nn::Condition& condition);
  bool is_random(int64_t i) const;   ///< whether step i draws noise
  Draws draws(const std::vector<int64_t>& items) const;   ///< of all particles, group by group
  Tensor rows(int64_t groups) const;                      ///< [groups * N] int64: the group of each particle
  void between_steps() const { if (context_.on_step) context_.on_step(); }
  double alpha() const { return *context_.options.alpha; }
  int64_t steps() const { return context_.process.steps(); }

  SteeringContext context_;
  SteeringCost spent_;
};

/// Throws Error(kUsage) where the process has no noise to choose among, or no density where the method needs one.
std::unique_ptr<Steering> make_steering(const SteeringContext& context);

/// softmax(v / alpha) over the last axis; alpha 0: 1 at the first of the largest. Source: Li et al. 2024 (SVDD), algorithm 1.
Tensor soft_value_weights(const Tensor& v, double alpha);

}  // namespace plumb::diffusion
