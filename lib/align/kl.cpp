// Distance to the base model.   SPDX-License-Identifier: Apache-2.0
#include "align/kl.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace plumb::align {

KlShape parse_kl_shape(const std::string& text) {
  static const std::vector<std::pair<std::string, KlShape>> shapes = {
      {"kl", KlShape::kKl},     {"abs", KlShape::kAbs},       {"square", KlShape::kSquare},
      {"clip", KlShape::kClip}, {"approx", KlShape::kApprox}, {"k3", KlShape::kK3},   {"js", KlShape::kJs}};
  for (const auto& [name, shape] : shapes)
    if (name == text)
      return shape;
  throw Error(Exit::kUsage, "--kl-shape", "unknown shape '" + text + "'", "one of kl, abs, square, clip, approx, k3, js");
}

Tensor kl_penalty(KlShape shape, const Tensor& log_prob, const Tensor& log_prob_ref) {
  const Tensor d = log_prob - log_prob_ref;
  switch (shape) {
    case KlShape::kKl: return d;
    case KlShape::kAbs: return d.abs();
    case KlShape::kSquare: return 0.5 * d * d;
    case KlShape::kClip: return d.clamp_min(0.0);
    case KlShape::kApprox: return d.expm1() - d;
    case KlShape::kK3: return (-d).expm1() + d;
    case KlShape::kJs: {
      const Tensor log_mixture = at::logaddexp(log_prob, log_prob_ref) - std::log(2.0);
      return 0.5 * ((log_prob - log_mixture).clamp_min(0.0) + (log_prob_ref - log_mixture).clamp_min(0.0));
    }
  }
  throw Error(Exit::kFailed, "--kl-shape", "not handled");
}

void KlController::update(double kl, int64_t samples) {
  if (target_ <= 0)
    return;
  const double error = std::clamp(kl / target_ - 1.0, -0.2, 0.2);
  value_ *= 1.0 + error * static_cast<double>(samples) / static_cast<double>(horizon_);
}

Tensor noise_gain(const Tensor& a, const Tensor& b, const Tensor& sigma) {
  return (1 - b - sigma * sigma).sqrt() - (b * (1 - a) / a).sqrt();
}

}  // namespace plumb::align
