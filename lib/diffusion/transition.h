// One reverse step as a Gaussian: mean, sigma, log-density, KL. Used by sampling and by policy gradients alike, so that both
// give the same numbers.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "diffusion/schedule.h"

namespace plumb::diffusion {

/// p(x_prev | x_t) = N(mean, sigma^2 I).
struct Transition {
  Tensor mean;   // [B,*]
  Tensor sigma;  // [B], or like mean where the noise differs within an item (simplex diffusion)
  Tensor x0;     // [B,*] predicted clean sample, clamped if the schedule clamps
  Tensor output = {};  // [B,*] what the network said, of Gaussian diffusion only
};

/// DDIM(eta) transition from alpha-bar a to b (both [B] float64 or float32, per sample):
///   sigma^2 = eta^2 (1-b)/(1-a) (1-a/b), mean = sqrt(b) x0 + sqrt(1-b-sigma^2) eps.
/// Source: Song et al. 2021 (DDIM), eq. 12 and 16. eta = 1 has DDPM's variance.
Transition ddim_transition(PredictionType type, const Tensor& model_output, const Tensor& x_t, const Tensor& a,
                           const Tensor& b, double eta, bool clip_sample = false);

/// Noise of an ancestral step from alpha-bar a to b: beta (1-b)/(1-a) of the posterior given x0, or beta = 1 - a/b. Source: Ho et al. 2020,
/// sec. 3.2, sigma^2 = beta-tilde or beta.
enum class StepVariance { kPosterior, kBeta };
/// Ancestral step: mean of q(x_b | x_a, x0), sqrt(b) beta / (1-a) x0 + sqrt(a/b) (1-b) / (1-a) x_a. With b = 1 the mean is x0, and only kBeta
/// has noise. Source: Ho et al. 2020, eq. 7.
Transition ddpm_transition(PredictionType type, const Tensor& model_output, const Tensor& x_t, const Tensor& a, const Tensor& b,
                           StepVariance variance, bool clip_sample = false);

/// One step of flow matching as a Gaussian, by the SDE that keeps the flow's marginals: with v the velocity (noise - data),
/// dt = sigma_next - sigma < 0 and g = noise_level sqrt(sigma / (1 - sigma)),
///   mean = x (1 + g^2 dt / (2 sigma)) + v (1 + g^2 (1 - sigma) / (2 sigma)) dt, deviation g sqrt(-dt).
/// At sigma = 1 the denominator of g takes sigma_second, the grid's second value. Source: Liu et al. 2025 (Flow-GRPO), eq. 9,
/// and its code. x, v [B,*]; sigma, sigma_next [B] in (0,1]; x0 of the result is x - sigma v.
Transition flow_sde_transition(const Tensor& v, const Tensor& x, const Tensor& sigma, const Tensor& sigma_next,
                               double sigma_second, double noise_level);

enum class Reduce { kMean, kSum };
Reduce parse_reduce(const std::string& text);  // "mean" | "sum"

/// log N(x_prev; mean, sigma^2 I), [B], averaged (kMean) or summed over all elements of an item. x_prev is held constant.
/// Source: Black et al. 2024 (DDPO), sec. 4.3; the mean form is the true log-density divided by D.
/// Throws Error(kUsage) if any sigma is 0 (eta = 0 has no density).
Tensor log_prob(const Tensor& x_prev, const Transition& transition, Reduce reduce);

/// KL( N(mean, s^2) || N(mean_ref, s^2) ) = |mean - mean_ref|^2 / (2 s^2), [B], averaged or summed over elements.
Tensor gaussian_kl(const Tensor& mean, const Tensor& mean_ref, const Tensor& sigma, Reduce reduce);

}  // namespace plumb::diffusion
