// The loss of PAPA and EPAPA: denoising errors of liked and disliked samples, and the distance of the predicted noise from the base
// model's. Source: arXiv 2607.00486 and its released code (NasikNafi/papa).   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "align/preference_options.h"

namespace plumb::align {

using at::Tensor;

/// What a preset and the options beside it come to.
struct PapaRule {
  bool reference = false;       ///< the released code's arithmetic: see papa_coefficients()
  double alpha = 0.1, alpha_np = 0.0, gamma = 0.9;
  std::string qpde_on = "positive";
  double neg_cap = 0;
  bool replay = true;
  int64_t passes = 10;
  double guard = 3;
  double disliked = -1;         ///< y of a dislike
};
/// Throws Error(kUsage) for options that the reference preset does not have.
PapaRule papa_rule(const PapaOptions& options);

/// w_t = (1 - a_t) / (a_t (1 - A_{t-1})), a_t = A_t / A_{t-1}: twice the weight of the variational bound for the posterior's variance. [T]
/// float64. t = 0 has none and is 0; `wrap`: the released code's, whose index -1 takes A_{T-1} for A_{-1}.
/// `alphas_cumprod`: A_0 .. A_{T-1}.
std::vector<double> papa_timestep_weights(const std::vector<double>& alphas_cumprod, bool wrap);

/// Timesteps that are trained on, {first .. last}: all, or those from K on (EPAPA).
struct TimestepRange {
  int64_t first = 0, last = 0;
  int64_t size() const { return last - first + 1; }
};

/// What each row, one sample at one timestep, weighs in the loss of B samples:
///   loss = sum over rows of error_coefficient * e + gap_coefficient * q,
/// e = mean over elements of (eps - eps_theta(x_t, t))^2, q = that of (eps_theta - eps_base)^2. It equals the mean over samples of
///   alpha_y y S + gamma [Q applies] Q,  S = |R| / M sum_t w_t e_t,  Q = mean_t q_t,
/// over the M timesteps drawn of R, alpha_y = alpha for y > 0 and alpha_np for y < 0, y in [-1, 1]. Reference: S over all t with the
/// wrapped weight of t = 0, alpha for every y, Q of the last t alone and only for y = 1.
struct PapaCoefficients {
  Tensor error, gap;  // [B,M] float64
};
/// y [B] float64, t [B,M] int64, both on the CPU. `weights`: papa_timestep_weights(..., rule.reference).
PapaCoefficients papa_coefficients(const PapaRule& rule, const std::vector<double>& weights, const TimestepRange& range, const Tensor& y,
                                   const Tensor& t);

/// Whether samples judged y have any term in the loss; those without take no step (reference: all take one, by Adam's momentum).
bool papa_trains_on(const PapaRule& rule, double y);

/// 0 where a row of a disliked sample has an error above rule.neg_cap times the base model's (at least 0.01), else 1: [rows].
Tensor papa_cap(const PapaRule& rule, const Tensor& error, const Tensor& base_error, const Tensor& y);

/// Mean over the elements of each row of (a - b)^2: [rows], of the rows' type.
Tensor mean_square_gap(const Tensor& a, const Tensor& b);

}  // namespace plumb::align
