// An exact denoiser of short sequences: the letters form a Markov chain, so what noise leaves of them has a posterior that forward and
// backward sums give exactly, whatever the noise was: it enters as one weight a position and letter.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include <ATen/ATen.h>

#include "core/philox.h"
#include "diffusion/sampler.h"
#include "diffusion/schedule.h"

namespace plumb::diffusion::testing {

/// p(letters) = initial[x_0] prod_l transition[x_{l-1}, x_l], float64.
struct MarkovChain {
  at::Tensor initial;     // [K]
  at::Tensor transition;  // [K,K], rows sum to 1
  int64_t length = 0;

  /// Softmax of `spread` times standard normal logits keyed by the seed.
  static MarkovChain drawn(int64_t letters, int64_t length, double spread, uint64_t seed) {
    Philox random(seed, Stream::kSubset);
    const auto row = [&] {
      std::vector<double> logits;
      for (int64_t k = 0; k < letters; ++k) logits.push_back(spread * random.normal());
      return at::softmax(at::tensor(logits, at::kDouble), 0);
    };
    MarkovChain chain;
    chain.initial = row();
    std::vector<at::Tensor> rows;
    for (int64_t k = 0; k < letters; ++k) rows.push_back(row());
    chain.transition = at::stack(rows);
    chain.length = length;
    return chain;
  }
  int64_t letters() const { return initial.size(0); }

  /// All letters^length sequences, [S,L] int64, the last letter running fastest.
  at::Tensor all() const {
    int64_t count = 1;
    for (int64_t l = 0; l < length; ++l) count *= letters();
    const at::Tensor index = at::arange(count, at::kLong);
    std::vector<at::Tensor> columns;
    for (int64_t l = 0, divisor = count / letters(); l < length; ++l, divisor /= letters()) {
      columns.push_back(at::floor_divide(index, std::max<int64_t>(divisor, 1)).remainder(letters()));
    }
    return at::stack(columns, 1);
  }
  /// log p of codes [B,L], [B].
  at::Tensor log_prob(const at::Tensor& codes) const {
    at::Tensor sum = initial.log().index_select(0, codes.select(1, 0));
    for (int64_t l = 1; l < length; ++l) sum = sum + transition.log().index({codes.select(1, l - 1), codes.select(1, l)});
    return sum;
  }

  /// P(x_l = k | evidence), [B,L,K], where the evidence of position l has likelihood exp(log_emission[b,l,k]) if the letter is k:
  /// Gaussian noise of x_t, a uniform weight where the letter is masked, 0 and -inf where it is known. Differentiable.
  at::Tensor marginals(const at::Tensor& log_emission) const {
    const at::Tensor emission = (log_emission - std::get<0>(log_emission.max(2, true))).exp();
    std::vector<at::Tensor> ahead(static_cast<size_t>(length)), behind(static_cast<size_t>(length)), result;
    for (int64_t l = 0; l < length; ++l) {  // ahead[l] ~ P(x_l, evidence up to l)
      const at::Tensor before = l == 0 ? initial.unsqueeze(0) : at::matmul(ahead[static_cast<size_t>(l - 1)], transition);
      const at::Tensor sum = before * emission.select(1, l);
      ahead[static_cast<size_t>(l)] = sum / sum.sum(1, true);
    }
    for (int64_t l = length - 1; l >= 0; --l) {  // behind[l] ~ P(evidence after l | x_l)
      if (l == length - 1) {
        behind[static_cast<size_t>(l)] = at::ones_like(emission.select(1, l));
      } else {
        const at::Tensor sum = at::matmul(behind[static_cast<size_t>(l + 1)] * emission.select(1, l + 1), transition.t());
        behind[static_cast<size_t>(l)] = sum / sum.sum(1, true);
      }
    }
    for (size_t l = 0; l < static_cast<size_t>(length); ++l) {
      const at::Tensor both = ahead[l] * behind[l];
      result.push_back(both / both.sum(1, true));
    }
    return at::stack(result, 1);
  }
};

/// +-1 one-hot of codes [B,L]: [B,K,L] float32, as the codec of sequences has it.
inline at::Tensor model_space(const at::Tensor& codes, int64_t letters) {
  return (2 * at::one_hot(codes, letters).to(at::kFloat) - 1).transpose(1, 2).contiguous();
}
inline at::Tensor codes_of(const at::Tensor& x0) { return x0.argmax(1); }

/// E[x_0 | x_t] of Gaussian diffusion on +-1 one-hot (prediction_type sample). Of letter k, N(x_t; sqrt(abar) e_k, (1 - abar) I) is
/// exp(2 sqrt(abar) x_t[k] / (1 - abar)) up to what all letters share.
inline ModelFunction gaussian_denoiser(const MarkovChain& chain, const NoiseSchedule& schedule) {
  return [&chain, &schedule](size_t, const at::Tensor& x_t, const at::Tensor& timestep, const nn::Condition&) {
    const double abar = schedule.alpha_cumprod(timestep[0].item<int64_t>());
    const at::Tensor log_emission = (2 * std::sqrt(abar) / (1 - abar)) * x_t.to(at::kDouble).transpose(1, 2);
    return (2 * chain.marginals(log_emission) - 1).transpose(1, 2).to(x_t.scalar_type());
  };
}

}  // namespace plumb::diffusion::testing
