// Which particles survive, and how fast a tilt may be brought in. All in float64; a group is the N particles of one sample.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/philox.h"

namespace plumb::diffusion {

/// Weights W_j = exp(log_w_j) / sum_k exp(log_w_k). Throws Error(kBadNumbers) if no weight is finite.
std::vector<double> normalised_weights(const std::vector<double>& log_w);
double log_sum_exp(const std::vector<double>& log_w);
/// Effective sample size 1 / sum_j W_j^2 of normalised weights: 1 .. N. Source: Kong et al. 1994.
double effective_sample_size(const std::vector<double>& weights);

/// Draws `count` ancestors, so that particle j has count * W_j of them in expectation; sorted, except where only one is drawn it is that one.
/// Sources: Douc et al. 2005 for multinomial, residual, stratified, systematic; Gerber et al. 2019 for ssp.
std::vector<int64_t> systematic(const std::vector<double>& weights, int64_t count, double u);  ///< inverse cdf at (u + i) / count
/// inverse cdf at (u_i + i) / count
std::vector<int64_t> stratified(const std::vector<double>& weights, const std::vector<double>& u);
/// inverse cdf at each u_i
std::vector<int64_t> multinomial(const std::vector<double>& weights, const std::vector<double>& u);
/// floor(count W_j) each; the rest multinomially from what is left, u_i in turn. u has `count` numbers, of which the first are used.
std::vector<int64_t> residual(const std::vector<double>& weights, const std::vector<double>& u);
/// Srinivasan sampling process: floor or ceil of count W_j each, by pairwise moves of the fractional parts; u has N - 1 numbers.
/// Source: Gerber, Chopin & Whiteley 2019, "Negative association, ordering and convergence of resampling methods", algorithm 4.
std::vector<int64_t> ssp(const std::vector<double>& weights, int64_t count, const std::vector<double>& u);

/// One of the above by its name in resampling_schemes() (steering_options.h), with the draws of `random`.
std::vector<int64_t> resample(const std::string& scheme, const std::vector<double>& weights, int64_t count, Philox& random);

/// Tempering of step i (0: from noise): min((1 + gamma)^i - 1, 1). Source: Kim et al. 2025 (DAS), sec. 4.3.
double tempering(double gamma, int64_t i);
/// The gamma for which tempering() reaches 1 after 87 % of the steps: the published 0.008 at 100 steps.
double default_tempering_gamma(int64_t steps);

/// The largest lambda in [previous, 1] at which the weights softmax(log_w + (lambda - previous) value) keep an effective sample size of
/// `target` (bisection); `previous` if even there they have less. value: reward / alpha, one a particle.
double adaptive_tempering(const std::vector<double>& log_w, const std::vector<double>& value, double previous, double target);

}  // namespace plumb::diffusion
