// Guidance by the gradient of a reward: each step's output is shifted, no chain is weighed or dropped.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

#include "diffusion/process.h"
#include "diffusion/schedule.h"
#include "diffusion/steering.h"
#include "diffusion/steering_options.h"

namespace plumb::diffusion {

/// The network's output of which the predicted noise is that of `output` plus `shift`, at alpha-bar a (broadcastable):
///   epsilon: output + shift; sample: output - sqrt((1-a)/a) shift; v_prediction: output + shift / sqrt(a).
Tensor shift_noise(PredictionType type, const Tensor& output, const Tensor& a, const Tensor& shift);

/// beta_t = (a / 2) / (a sigma^2 + (1 - a) |grad r|^2), [B]: the weight of grad (y - r)^2 in the score under which the step's expected loss
/// falls fastest for a linear reward. Source: Guo et al. 2024, "Gradient guidance for diffusion models: an optimization perspective", sec. 3.
Tensor look_ahead_weight(const Tensor& a, const Tensor& gradient_norm2, double sigma);

/// A model with eps' = eps - sqrt(1 - abar_t) gamma grad_x J(x_t), where r is the reward of x_t itself (options.at "x_t": value guidance, for
/// rewards trained on noised items) or of the predicted item, through the network ("x0": Chung et al. 2023, DPS), and
///   J = r                     (Dhariwal & Nichol 2021, with a value in place of log p(y | x)),
///   J = -(y* - r)^2 / 2       with a target y* (Yuan et al. 2023, RCGDM; gamma = 1 / sigma^2),
/// each item's gradient its own, whatever the batch; options.reduce "mean" divides by the rows of the network call, as RCGDM's code does.
/// options.weight "look-ahead": gamma = 2 beta_t.
class RewardGuidance {
 public:
  /// `schedule`: the manifest's model.schedule. The process must outlive this. Throws Error(kUsage) for a chain
  /// that is not Gaussian, and for a null reward: one without a gradient.
  RewardGuidance(ModelFunction model, const ReverseProcess& process, const nlohmann::ordered_json& schedule, RewardFunction reward,
                 const GuidanceOptions& options, const std::string& where);
  ModelFunction function();                       ///< points into this
  int64_t rewards() const { return rewards_; }    ///< rows asked for so far, each with its gradient

 private:
  Tensor output(size_t i, const Tensor& x_t, const Tensor& timestep, const nn::Condition& condition);
  ModelFunction model_;
  const ReverseProcess& process_;
  NoiseSchedule schedule_;
  RewardFunction reward_;
  GuidanceOptions options_;
  int64_t rewards_ = 0;
};

}  // namespace plumb::diffusion
