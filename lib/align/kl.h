// Keeping the policy near the base model.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "diffusion/schedule.h"

namespace plumb::align {

using at::Tensor;

/// Functions of the log-ratio d = log_prob - log_prob_ref of a sampled step, as penalties of the reward.
enum class KlShape { kKl, kAbs, kSquare, kClip, kApprox, kK3, kJs };
KlShape parse_kl_shape(const std::string& text);

/// kl: d. abs: |d|. square: d^2/2. clip: max(d, 0). approx: e^d - 1 - d. k3: e^-d - 1 + d, whose mean under
/// the policy's samples is KL(policy || reference), as that of approx is not. js: (max(l - ln m, 0) + max(l_ref - ln m, 0))
/// / 2 with m = (e^l + e^l_ref) / 2. Elementwise, any shape. Source: the penalty shapes of TDPO's code (Zhang et al.
/// 2024).
Tensor kl_penalty(KlShape shape, const Tensor& log_prob, const Tensor& log_prob_ref);

/// Coefficient of the penalty. With a target it follows the measured KL:
/// value <- value (1 + clip(kl / target - 1, +-0.2) n / horizon). Source: Ziegler et al. 2019, sec. 2.2.
class KlController {
 public:
  KlController(double value, double target, int64_t horizon) : value_(value), target_(target), horizon_(horizon) {}
  double value() const { return value_; }
  void set_value(double value) { value_ = value; }
  void update(double kl, int64_t samples);

 private:
  double value_, target_;
  int64_t horizon_;
};

/// d mean / d eps of a DDIM step: c = sqrt(1 - b - sigma^2) - sqrt(b (1 - a) / a), and the weight c^2 / (2 sigma^2)
/// that turns |eps - eps_ref|^2 into the KL of the step. a, b, sigma [B]. Source: Fan et al. 2023 (DPOK), eq. 9, exact
/// form.
Tensor noise_gain(const Tensor& a, const Tensor& b, const Tensor& sigma);

}  // namespace plumb::align
