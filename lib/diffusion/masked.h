// Discrete masked diffusion of letters: each letter is replaced by a mask with a chance that grows with time, and the network says which
// letter it was. Sources: Sahoo et al. 2024 (MDLM), "Simple and effective masked diffusion language models"; Wang et al. 2025 (DRAKES),
// "Fine-tuning discrete diffusion models via reward optimization", and its code (ChenyuWang-Monica/DRAKES).
// A state is [B,K+1,L]: at each of L sites a distribution over K letters and, last, the mask; one-hot unless a relaxed step made it. A
// network sees the state and gives one number a letter, its output [B,K,L].   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "core/philox.h"

namespace plumb::diffusion {

using at::Tensor;

/// Chance that a letter is masked at time t in [0,1]: m(t) = (1 - 1e-3) t.
double mask_chance(double t);
/// The N + 1 times of a chain of N steps, evenly from 1 to 1e-5.
std::vector<double> mask_times(int64_t steps);
/// What networks are told of time t: 1000 t, as a timestep of the usual schedules.
inline constexpr double kMaskTimescale = 1000.0;

/// The mask's share at each site, [B,1,L]; and all sites masked, [B,K+1,L].
Tensor mask_share(const Tensor& state);
Tensor all_masked(int64_t batch, int64_t letters, int64_t length, at::TensorOptions options);

/// log p(letter | state), [B,K,L]. A masked site has the network's distribution, softmax(output), without the mask; a revealed one, where a
/// letter has the largest share, is a point mass on it (other letters -1e6). The "substitution" of MDLM, sec. 3.2.3.
Tensor letter_log_probs(const Tensor& output, const Tensor& state);

/// log q of a masked site at the next time, [B,K+1,L]: it stays masked with m_s / m_t, else becomes letter k with p_k (m_t - m_s) / m_t.
Tensor masked_step_log_probs(const Tensor& log_p, double m_t, double m_s);

/// The next state by Gumbel's trick, one-hot: argmax(log_q + gumbel) where a site is masked; letters stay. gumbel [B,K+1,L].
Tensor masked_step(const Tensor& state, const Tensor& log_q, const Tensor& gumbel);
/// The same with a gradient: y = softmax((log_q + gumbel) / tau), c = 1 - the mask's share, next = c state + (1 - c) y.
/// Source: Jang et al. 2017 (Gumbel-softmax); Wang et al. 2025, sec. 4.2.
Tensor relaxed_masked_step(const Tensor& state, const Tensor& log_q, const Tensor& gumbel, double tau);
/// The letters alone relaxed: a masked site is revealed with its chance 1 - m_s / m_t, by the mask's Gumbel, and then holds y = softmax((log_p +
/// gumbel) / tau) over letters. Masks stay whole, so a chain's masks have their true law, and its KL weighs sites as that of a hard chain does. The
/// letters' own Gumbels know nothing of the reveal: those that win against a likely mask, as in relaxed_masked_step(), win by far, which leaves
/// a softmax without slope, the flatter the more steps a chain has.
Tensor relaxed_letter_step(const Tensor& state, const Tensor& log_p, double m_t, double m_s, const Tensor& gumbel, double tau);
/// The letter of largest share at each site, one-hot [B,K,L], with the gradient of `shares` [B,K,L].
Tensor straight_through(const Tensor& shares);

/// KL of one step between two networks at the same state, nats, [B] float64, with a gradient in outputs and state:
///   sum over sites of mask share (m_t - m_s) / m_t sum_k [ p log(p / p_ref) - p + p_ref ].
/// It is exact for one-hot states: only masked sites can differ. Source: Wang et al. 2025, eq. for the path measures' KL, whose rate of a
/// masked site integrates to (m_t - m_s) / m_t over the step.
Tensor masked_step_kl(const Tensor& state, const Tensor& output, const Tensor& reference, double m_t, double m_s);
/// What the released code of DRAKES sums instead: (1 - mask share) state_k / m_t in place of mask share (m_t - m_s) / m_t. Always 0 on one-hot
/// states, since revealed letters agree; only relaxed states feel it.
Tensor published_step_kl(const Tensor& state, const Tensor& output, const Tensor& reference, double m_t);

/// Proposal of twisted SMC: q_k proportional to p_k e^{G_k} at every site, and log sum_j p_j e^{G_j}, without which the weights are wrong.
/// log_p, gain [B,S,L]. Source: Wu et al. 2023 (TDS), discrete case.
struct TwistedStep {
  Tensor log_q;           // [B,S,L]
  Tensor log_normaliser;  // [B,L]
};
TwistedStep twisted_step(const Tensor& log_p, const Tensor& gain);
/// log p/q of a drawn next state, [B] float64: sum over the sites that were masked of log_normaliser - G_k. next [B,S,L] one-hot.
Tensor twisted_log_ratio(const TwistedStep& step, const Tensor& gain, const Tensor& state, const Tensor& next);

/// Standard Gumbel noise -log(-log u), [N,*item_shape] float32, item i's of (seed, stream, items[i], step).
Tensor gumbel_noise(uint64_t seed, Stream stream, const std::vector<int64_t>& items, uint32_t step, const std::vector<int64_t>& item_shape,
                    at::Device device);

/// Times of the training examples first .. first + B - 1, [B] float64: stratified ("antithetic" in MDLM's code), t = 1e-3 + (1 - 1e-3)(i +
/// u_i) / B with u_i of (seed, kTrainTime, first + i).
Tensor masked_training_times(int64_t batch, uint64_t seed, int64_t first);
/// x0 [B,K,L] with -1 and +1 (model space) as a state whose letters are masked with m(t), by draws of (seed, kMask, first + row).
Tensor mask_letters(const Tensor& x0, const Tensor& t, uint64_t seed, int64_t first);
/// Letters of model space as a state without masks, [B,K+1,L].
Tensor revealed_state(const Tensor& x0);
/// The bound on -log p(x0) a letter, [B]: sum over masked sites of -log p(x0) sigma'(t) / (e^{sigma(t)} - 1), sigma = -log(1 - m), which is
/// 1 / t for a linear m; divided by L. Source: Sahoo et al. 2024, eq. 10.
Tensor masked_loss(const Tensor& output, const Tensor& x0, const Tensor& state, const Tensor& t);

}  // namespace plumb::diffusion
