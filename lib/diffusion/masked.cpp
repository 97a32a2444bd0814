// Arithmetic of masked diffusion.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/masked.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>

namespace plumb::diffusion {
namespace {

constexpr double kSlope = 1 - 1e-3;       // of m(t)
constexpr double kLastTime = 1e-5;        // of chains
constexpr double kFirstTrainTime = 1e-3;  // of training
constexpr double kImpossible = -1e6;      // log-probability of what cannot be; finite, so that 0 times it is 0

int64_t letters_of(const Tensor& state) { return state.size(1) - 1; }

/// [B,1,L]: whether the mask has the largest share (of equal ones the letter).
Tensor is_masked(const Tensor& state) { return state.argmax(1, /*keepdim=*/true).eq(letters_of(state)); }

Tensor one_hot_of(const Tensor& index, const Tensor& like) {  // [B,L] -> [B,S,L]
  return at::zeros_like(like, like.options(), at::MemoryFormat::Contiguous).scatter_(1, index.unsqueeze(1), 1.0);
}

/// p log(p / p_ref) - p + p_ref, [B,K,L] float64.
Tensor letter_divergence(const Tensor& state, const Tensor& output, const Tensor& reference) {
  const Tensor own = letter_log_probs(output.to(at::kDouble), state), other = letter_log_probs(reference.to(at::kDouble), state);
  const Tensor p = own.exp();
  return p * (own - other) - p + other.exp();
}

}  // namespace

double mask_chance(double t) { return kSlope * t; }

std::vector<double> mask_times(int64_t steps) {
  std::vector<double> times;
  for (int64_t i = 0; i <= steps; ++i) times.push_back(1.0 + (kLastTime - 1.0) * static_cast<double>(i) / static_cast<double>(steps));
  return times;
}

Tensor mask_share(const Tensor& state) { return state.narrow(1, letters_of(state), 1); }

Tensor all_masked(int64_t batch, int64_t letters, int64_t length, at::TensorOptions options) {
  Tensor state = at::zeros({batch, letters + 1, length}, options);
  state.select(1, letters).fill_(1.0);
  return state;
}

Tensor letter_log_probs(const Tensor& output, const Tensor& state) {
  const Tensor letters = state.narrow(1, 0, letters_of(state)).detach();
  const Tensor point = (1.0 - one_hot_of(letters.argmax(1), letters)) * kImpossible;
  return at::where(is_masked(state), output.log_softmax(1), point.to(output.scalar_type()));
}

Tensor masked_step_log_probs(const Tensor& log_p, double m_t, double m_s) {
  const Tensor stays = at::full_like(log_p.narrow(1, 0, 1), std::log(m_s / m_t), log_p.options(), at::MemoryFormat::Contiguous);
  return at::cat({log_p + std::log((m_t - m_s) / m_t), stays}, 1);
}

Tensor masked_step(const Tensor& state, const Tensor& log_q, const Tensor& gumbel) {
  const Tensor drawn = (log_q + gumbel).argmax(1);
  const Tensor held = state.argmax(1);
  return one_hot_of(at::where(held.eq(letters_of(state)), drawn, held), state);
}

Tensor relaxed_masked_step(const Tensor& state, const Tensor& log_q, const Tensor& gumbel, double tau) {
  const Tensor y = ((log_q + gumbel) / tau).softmax(1);
  const Tensor mask = mask_share(state);
  return (1.0 - mask) * state + mask * y;
}

Tensor relaxed_letter_step(const Tensor& state, const Tensor& log_p, double m_t, double m_s, const Tensor& gumbel, double tau) {
  const int64_t letters = letters_of(state);
  const double bound = -std::log(-std::log(m_s / m_t));  // a Gumbel is above it with chance 1 - m_s / m_t; -inf for m_s = 0
  const Tensor mask = mask_share(state), revealed = gumbel.narrow(1, letters, 1).gt(bound).to(state.scalar_type());
  const Tensor y = ((log_p + gumbel.narrow(1, 0, letters)) / tau).softmax(1);
  return at::cat({state.narrow(1, 0, letters) + mask * revealed * y, mask * (1.0 - revealed)}, 1);
}

Tensor straight_through(const Tensor& shares) {
  const Tensor hard = one_hot_of(shares.detach().argmax(1), shares.detach());
  return shares.requires_grad() ? hard + (shares - shares.detach()) : hard;
}

Tensor masked_step_kl(const Tensor& state, const Tensor& output, const Tensor& reference, double m_t, double m_s) {
  const Tensor weight = mask_share(state).to(at::kDouble) * ((m_t - m_s) / m_t);
  return (weight * letter_divergence(state, output, reference)).flatten(1).sum(1);
}

Tensor published_step_kl(const Tensor& state, const Tensor& output, const Tensor& reference, double m_t) {
  const Tensor weight = (1.0 - mask_share(state)) * state.narrow(1, 0, letters_of(state)) / m_t;
  return (weight.to(at::kDouble) * letter_divergence(state, output, reference)).flatten(1).sum(1);
}

TwistedStep twisted_step(const Tensor& log_p, const Tensor& gain) {
  const Tensor tilted = log_p + gain, normaliser = tilted.logsumexp(1);
  return {tilted - normaliser.unsqueeze(1), normaliser};
}

Tensor twisted_log_ratio(const TwistedStep& step, const Tensor& gain, const Tensor& state, const Tensor& next) {
  const Tensor at_drawn = gain.gather(1, next.argmax(1, /*keepdim=*/true)).squeeze(1);
  return at::where(is_masked(state).squeeze(1), (step.log_normaliser - at_drawn).to(at::kDouble), 0.0).sum(1);
}

Tensor gumbel_noise(uint64_t seed, Stream stream, const std::vector<int64_t>& items, uint32_t step, const std::vector<int64_t>& item_shape,
                    at::Device device) {
  std::vector<int64_t> shape = item_shape;
  shape.insert(shape.begin(), static_cast<int64_t>(items.size()));
  Tensor noise = at::empty(shape, at::kFloat);
  const int64_t row = items.empty() ? 0 : noise.numel() / noise.size(0);
  float* out = noise.mutable_data_ptr<float>();
  at::parallel_for(0, static_cast<int64_t>(items.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Philox random(seed, stream, static_cast<uint64_t>(items[static_cast<size_t>(i)]), step);
      for (int64_t k = 0; k < row; ++k) {
        const double u = (static_cast<double>(random.next()) + 0.5) * 0x1p-32;  // never 0 or 1
        out[i * row + k] = static_cast<float>(-std::log(-std::log(u)));
      }
    }
  });
  return noise.to(device);
}

Tensor masked_training_times(int64_t batch, uint64_t seed, int64_t first) {
  Tensor times = at::empty({batch}, at::kDouble);
  double* t = times.mutable_data_ptr<double>();
  for (int64_t i = 0; i < batch; ++i) {
    const double u = Philox(seed, Stream::kTrainTime, static_cast<uint64_t>(first + i)).uniform();
    t[i] = kFirstTrainTime + (1 - kFirstTrainTime) * (static_cast<double>(i) + u) / static_cast<double>(batch);
  }
  return times;
}

Tensor revealed_state(const Tensor& x0) {
  const Tensor letters = (x0 + 1.0) / 2.0;
  return at::cat({letters, at::zeros_like(letters.narrow(1, 0, 1))}, 1);
}

Tensor mask_letters(const Tensor& x0, const Tensor& t, uint64_t seed, int64_t first) {
  const int64_t batch = x0.size(0), letters = x0.size(1), length = x0.size(2);
  const Tensor times = t.to(at::kCPU, at::kDouble).contiguous();
  Tensor masked = at::empty({batch, 1, length}, at::kBool);
  bool* out = masked.mutable_data_ptr<bool>();
  for (int64_t i = 0; i < batch; ++i) {
    Philox random(seed, Stream::kMask, static_cast<uint64_t>(first + i));
    const double chance = mask_chance(times.const_data_ptr<double>()[i]);
    for (int64_t site = 0; site < length; ++site) out[i * length + site] = random.uniform() < chance;
  }
  return at::where(masked.to(x0.device()), all_masked(batch, letters, length, x0.options()), revealed_state(x0));
}

Tensor masked_loss(const Tensor& output, const Tensor& x0, const Tensor& state, const Tensor& t) {
  const Tensor of_letter = (output.log_softmax(1) * ((x0 + 1.0) / 2.0)).sum(1);  // log p(x0), [B,L]
  const Tensor per_item = -(of_letter * mask_share(state).squeeze(1)).mean(1);
  const Tensor weight = 1.0 / t.to(at::kDouble);  // sigma'(t) / (e^{sigma(t)} - 1) = m'(t) / m(t)
  return per_item * weight.to(per_item.device(), per_item.scalar_type());
}

}  // namespace plumb::diffusion
