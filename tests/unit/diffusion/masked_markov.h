// A pre-trained masked model that is known exactly: letters of a Markov chain, its network the true posterior of a masked letter given the
// revealed ones, and its whole space of 4^8 designs.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include <ATen/ATen.h>

#include "diffusion/masked.h"
#include "nn/denoiser.h"

namespace plumb::diffusion::testing {

/// p(first) and p(next | letter) of 4 letters, uneven enough to tell them apart.
inline at::Tensor markov_start() { return at::tensor({0.4, 0.1, 0.2, 0.3}, at::kFloat); }
inline at::Tensor markov_step() {
  return at::tensor({0.50, 0.10, 0.30, 0.10,   //
                     0.15, 0.45, 0.05, 0.35,   //
                     0.30, 0.20, 0.40, 0.10,   //
                     0.10, 0.25, 0.25, 0.40}, at::kFloat).reshape({4, 4});
}

/// log p(letter of site l | all other sites of the state) up to a constant a site, [B,4,L], by messages from both ends. A masked site says nothing (evidence 1 for
/// each letter); a relaxed one in proportion: letter share + mask share.
inline at::Tensor markov_log_posterior(const at::Tensor& state) {
  const at::Tensor evidence = state.narrow(1, 0, 4) + mask_share(state);  // [B,4,L]
  const at::Tensor both = at::stack({evidence, evidence.flip(2)}).permute({3, 0, 1, 2}).contiguous();  // [L,2,B,4]: from the left, from the right
  const at::Tensor step = at::stack({markov_step(), markov_step().t()}).to(state.scalar_type());     // [2,4,4]
  const at::Tensor start = at::stack({markov_start(), at::ones({4})}).to(state.scalar_type()).unsqueeze(1).expand({2, state.size(0), 4});
  std::vector<at::Tensor> messages{start};  // not normalised: 8 letters are far from underflow
  for (int64_t l = 1; l < state.size(2); ++l) messages.push_back(at::bmm(messages.back() * both[l - 1], step));
  const at::Tensor logs = at::stack(messages, 3).log();  // [2,B,4,L]
  return logs[0] + logs[1].flip(2);
}

class MarkovDenoiser : public nn::Denoiser {
 public:
  at::Tensor forward(const at::Tensor& state, const at::Tensor&, const nn::Condition&) override { return markov_log_posterior(state); }
  io::Json config() const override { return {{"type", "markov"}}; }
};

/// All 4^length designs as codes [4^length,length], the last letter fastest; and their log-probabilities, float64.
inline at::Tensor all_designs(int64_t length) {
  const at::Tensor number = at::arange(int64_t{1} << (2 * length), at::kLong);
  std::vector<at::Tensor> codes;
  for (int64_t l = 0; l < length; ++l) codes.push_back(number.bitwise_right_shift(2 * (length - 1 - l)).bitwise_and(3));
  return at::stack(codes, 1);
}
inline at::Tensor markov_log_prob(const at::Tensor& codes) {
  const at::Tensor start = markov_start().to(at::kDouble).log(), step = markov_step().to(at::kDouble).log().flatten();
  at::Tensor sum = start.index_select(0, codes.select(1, 0).contiguous());
  for (int64_t l = 1; l < codes.size(1); ++l) {
    sum = sum + step.index_select(0, (codes.select(1, l - 1) * 4 + codes.select(1, l)).contiguous());
  }
  return sum;
}

/// A reward linear in 3-mer counts: the sum over places of weight [4,4,4], of letters' probabilities [B,4,L] (their mean under independent
/// letters). Scaled so that its standard deviation under p_pre is about 1.
inline at::Tensor trimer_weights() {
  at::Tensor weight = at::empty({64}, at::kFloat);
  float* w = weight.mutable_data_ptr<float>();
  Philox random(3, Stream::kBootstrap);
  for (int i = 0; i < 64; ++i) w[i] = 0.45F * static_cast<float>(random.normal());
  return weight.reshape({4, 4, 4});
}
inline at::Tensor trimer_reward(const at::Tensor& letters) {
  const int64_t places = letters.size(2) - 2;
  const at::Tensor weight = trimer_weights().to(letters.scalar_type());
  return at::einsum("bil,bjl,bkl,ijk->b", {letters.narrow(2, 0, places), letters.narrow(2, 1, places), letters.narrow(2, 2, places), weight});
}
inline at::Tensor one_hot_letters(const at::Tensor& codes) { return at::one_hot(codes, 4).transpose(1, 2).to(at::kFloat); }

/// Means over the whole space under p_pre exp(reward / alpha) / Z.
struct ExactTilt {
  double reward = 0, kl = 0, reward_pre = 0, sd_pre = 0;
  at::Tensor probability;  // [4^length] float64
};
inline ExactTilt exact_tilt(const at::Tensor& codes, double alpha) {
  const at::Tensor log_pre = markov_log_prob(codes), reward = trimer_reward(one_hot_letters(codes)).to(at::kDouble);
  const at::Tensor log_tilt = (log_pre + reward / alpha).log_softmax(0), p = log_tilt.exp(), pre = log_pre.exp();
  ExactTilt tilt;
  tilt.probability = p;
  tilt.reward = (p * reward).sum().item<double>();
  tilt.kl = (p * (log_tilt - log_pre)).sum().item<double>();
  tilt.reward_pre = (pre * reward).sum().item<double>();
  tilt.sd_pre = ((pre * reward.square()).sum() - tilt.reward_pre * tilt.reward_pre).sqrt().item<double>();
  return tilt;
}

}  // namespace plumb::diffusion::testing
