// How probable finished items are under a diffusion model.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <vector>

#include "diffusion/schedule.h"
#include "nn/denoiser.h"

namespace plumb::diffusion {

/// How the least noisy state z, at alpha-bar a, is read as an item.
enum class Decoder {
  kLetters,  ///< [B,K,L], 1 at the letter and -1 elsewhere: p(letter | z) proportional to N(z; sqrt(a) letter, (1-a) I)
  kBytes,    ///< values u / 127.5 - 1 of u = 0..255, each by itself: p(u | z) proportional to N(z; sqrt(a) value, 1-a)
  kDensity,  ///< real numbers: the density N(x; z / sqrt(a), (1-a)/a I)
};

/// The continuous-time variational bound on log p(x0) in nats, summed over an item's elements: [B] float64.
///   log p(x0) >= E log p(x0 | z_0) - KL(q(z_T | x0) || N(0,I)) - 1/2 int SNR E |x0 - x0_hat(z)|^2 d log SNR,
/// the integral by the trapezoid rule over `steps` intervals even in log SNR, as far as the schedule has such levels. Source: Kingma et al.
/// 2021, "Variational diffusion models", eq. 11 and 17; sec. 3.5 for the decoders. One noise for each level,
/// keyed by (seed, step) and the same for all items: a function of the item alone, and differences between items vary less.
/// x0 [B,*model shape] float32. The schedule's every SNR must be finite: Error(kUsage) for one that starts at 0 noise.
Tensor variational_bound(nn::Denoiser& denoiser, const NoiseSchedule& schedule, const Tensor& x0, const nn::Condition& condition,
                         Decoder decoder, int64_t steps, uint64_t seed);

/// The bound of masked letters (masked.h), the same as minus L times the mean of masked_loss() over times and masks, without its variance over
/// how many letters are masked: L times the mean over n = 1..L of 1/n sum over n masked sites of log p(letter), nats, [B] float64. Source: Uria et
/// al. 2014, "A deep and tractable density estimator", eq. 7 (any order of letters); Sahoo et al. 2024. `steps` masks, n in equal shares; each
/// mask is of (seed, kMask, its number) and the same for all items. x0 [B,K,L].
Tensor masked_bound(nn::Denoiser& denoiser, const Tensor& x0, const nn::Condition& condition, int64_t steps, uint64_t seed);

/// The timesteps that are nearest to `steps` levels spaced evenly in log SNR, ascending, without repetition, from `first` to the last.
std::vector<int64_t> even_log_snr(const NoiseSchedule& schedule, int64_t steps, int64_t first = 0);

/// The level z_0 that a decoder reads: timestep 0; of letters the last timestep with SNR >= 10, where they are already sure (another letter
/// is at distance sqrt(8 SNR) = 9 standard deviations), so that the network's errors on details which no letter depends on do not count.
int64_t decoding_timestep(const NoiseSchedule& schedule, Decoder decoder);

}  // namespace plumb::diffusion
