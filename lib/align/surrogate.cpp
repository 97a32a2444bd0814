// Policy-gradient losses.   SPDX-License-Identifier: Apache-2.0
#include "align/surrogate.h"

#include <ATen/ATen.h>

#include <cmath>

namespace plumb::align {
namespace {

double mean_of(const Tensor& t) { return t.detach().to(at::kDouble).mean().item<double>(); }

/// The loss with the diagnostics of a ratio method.
LossTerms with_ratio_figures(Tensor loss, const Tensor& log_ratio, double clip_range, const Tensor& clip_active) {
  const Tensor deviation = log_ratio.detach().expm1().abs();  // expm1: r - 1 drowns in rounding at eps = 1e-4
  return {std::move(loss),
          {{"approx_kl", mean_of(0.5 * log_ratio * log_ratio)},
           {"clip_fraction", mean_of(deviation > clip_range)},
           {"clip_active", mean_of(clip_active)}},
          {{"ratio_dev", deviation.max().item<double>()}}};
}

}  // namespace

LossTerms clipped_surrogate(const Tensor& log_prob, const Tensor& log_prob_old, const Tensor& advantage,
                            double clip_range) {
  const Tensor log_ratio = log_prob - log_prob_old;
  const Tensor ratio = log_ratio.exp();
  const Tensor unclipped = -advantage * ratio;
  const Tensor clipped = -advantage * ratio.clamp(1.0 - clip_range, 1.0 + clip_range);
  return with_ratio_figures(at::maximum(unclipped, clipped).mean(), log_ratio, clip_range, clipped > unclipped);
}

LossTerms clamped_surrogate(const Tensor& log_prob, const Tensor& log_prob_old, const Tensor& advantage,
                            double clip_range) {
  const Tensor log_ratio = log_prob - log_prob_old;
  const Tensor ratio = log_ratio.exp();
  const Tensor clamped = ratio.clamp(1.0 - clip_range, 1.0 + clip_range);
  return with_ratio_figures((-advantage * clamped).mean(), log_ratio, clip_range, clamped != ratio);
}

LossTerms score_function(const Tensor& log_prob, const Tensor& log_prob_old, const Tensor& advantage) {
  const Tensor log_ratio = (log_prob - log_prob_old).detach();
  return {-(advantage * log_prob).mean(),
          {{"approx_kl", mean_of(0.5 * log_ratio * log_ratio)}},
          {{"ratio_dev", log_ratio.expm1().abs().max().item<double>()}}};
}

double approx_kl_k3(const Tensor& log_prob, const Tensor& log_prob_old) {
  const Tensor log_ratio = (log_prob - log_prob_old).detach().to(at::kDouble);
  return mean_of(log_ratio.expm1() - log_ratio);
}

std::pair<double, double> log_ratio_bounds(int64_t dimension, double clip_range) {
  const double d = static_cast<double>(dimension);
  return {d * std::log1p(-clip_range), d * std::log1p(clip_range)};
}

double equivalent_clip_range(int64_t dimension) { return 1e-4 * 16384.0 / static_cast<double>(dimension); }

}  // namespace plumb::align
