// Policy-gradient losses on stored transitions, and their diagnostics.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace plumb::align {

using at::Tensor;

/// A loss and what the log says about it.
struct LossTerms {
  Tensor loss;                                         // scalar, mean over the batch
  std::vector<std::pair<std::string, double>> means;   // averaged over the batches of an update
  std::vector<std::pair<std::string, double>> maxima;  // largest over the batches of an update
};

/// DDPO-IS: mean max(-A r, -A clamp(r, 1 - eps, 1 + eps)), r = exp(log_prob - log_prob_old).
/// Source: Black et al. 2024, eq. 4 with the clipping of Schulman et al. 2017, eq. 7. All [B] float64.
/// Means: approx_kl = (log-ratio)^2 / 2, clip_fraction (ratio outside the range), clip_active (outside, and clipped by
/// the max). Maxima: ratio_dev = |r - 1|.
LossTerms clipped_surrogate(const Tensor& log_prob, const Tensor& log_prob_old, const Tensor& advantage,
                            double clip_range);

/// The published DPOK loss: mean(-A clamp(r, 1 - eps, 1 + eps)), without the maximum, so that a ratio outside the range has no
/// gradient in either direction. Source: the released code of Fan et al. 2023. Diagnostics as above.
LossTerms clamped_surrogate(const Tensor& log_prob, const Tensor& log_prob_old, const Tensor& advantage,
                            double clip_range);

/// DDPO-SF: -mean(A log_prob); right only while the policy is the one that sampled. Source: Black et al. 2024, eq. 3.
/// Diagnostics as above, without the clipping.
LossTerms score_function(const Tensor& log_prob, const Tensor& log_prob_old, const Tensor& advantage);

/// k3 estimator of KL(old || new) under samples of old: mean(r - 1 - log r), never negative. Source: Schulman 2020.
double approx_kl_k3(const Tensor& log_prob, const Tensor& log_prob_old);

/// Bounds of the true (summed) log-ratio that a clip range on mean log-probabilities of D elements allows:
/// D ln(1 - eps), D ln(1 + eps).
std::pair<double, double> log_ratio_bounds(int64_t dimension, double clip_range);

/// The clip range that gives items of D elements the trust region that 1e-4 gives Stable Diffusion 1's 16384.
double equivalent_clip_range(int64_t dimension);

}  // namespace plumb::align
