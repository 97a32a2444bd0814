// SPDX-License-Identifier: Apache-2.0
#include "diffusion/likelihood.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/philox.h"
#include "diffusion/masked.h"
#include "nn/data.h"

namespace plumb::diffusion {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr int64_t kSliceElements = 1 << 22;  // of a table of every byte value of every pixel, made a slice of pixels at a time: 32 MiB

/// E log p(x0 | z), z = sqrt(a) x0 + sqrt(1-a) eps with the eps given, [B] float64. Of the density: its mean over eps, in closed form.
Tensor reconstruction(Decoder decoder, const Tensor& x0, const Tensor& eps, double a) {
  const Tensor x = x0.to(at::kDouble), z = std::sqrt(a) * x + std::sqrt(1 - a) * eps.to(at::kDouble);
  switch (decoder) {
    case Decoder::kLetters:  // |z - sqrt(a) letter|^2 differs between letters by the product alone
      return ((z * (2 * std::sqrt(a) / (1 - a))).log_softmax(1) * (x > 0)).flatten(1).sum(1);
    case Decoder::kBytes: {
      const Tensor values = at::arange(256, x.options()) / 127.5 - 1, own = ((x + 1) * 127.5).round().to(at::kLong).flatten(1), noisy = z.flatten(1);
      const int64_t elements = own.size(1), slice = std::max<int64_t>(1, kSliceElements / (256 * std::max<int64_t>(1, own.size(0))));
      Tensor sum = at::zeros({x.size(0)}, x.options());
      for (int64_t begin = 0; begin < elements; begin += slice) {
        const int64_t end = std::min(begin + slice, elements);
        const Tensor logits = -(noisy.slice(1, begin, end).unsqueeze(2) - std::sqrt(a) * values).square() / (2 * (1 - a));
        sum += logits.log_softmax(2).gather(2, own.slice(1, begin, end).unsqueeze(2)).squeeze(2).sum(1);
      }
      return sum;
    }
    case Decoder::kDensity: break;
  }
  const double per_element = -0.5 * (std::log(2 * kPi * (1 - a) / a) + 1);
  return at::full({x.size(0)}, per_element * static_cast<double>(x[0].numel()), x.options());
}

}  // namespace

int64_t decoding_timestep(const NoiseSchedule& schedule, Decoder decoder) {
  if (decoder != Decoder::kLetters) return 0;
  const std::vector<double>& a = schedule.alphas_cumprod();
  int64_t t = 0;
  while (t + 1 < schedule.num_train_timesteps() && a[static_cast<size_t>(t + 1)] >= 10 * (1 - a[static_cast<size_t>(t + 1)])) ++t;
  return t;
}

std::vector<int64_t> even_log_snr(const NoiseSchedule& schedule, int64_t steps, int64_t first) {
  const std::vector<double>& a = schedule.alphas_cumprod();
  const auto log_snr = [&](size_t t) { return std::log(a[t] / (1 - a[t])); };
  const int64_t last = schedule.num_train_timesteps() - 1;
  const double high = log_snr(static_cast<size_t>(first)), low = log_snr(static_cast<size_t>(last));
  if (!std::isfinite(high) || !std::isfinite(low)) {
    throw Error(Exit::kUsage, "likelihood", "the model's schedule has a level without noise or without signal, where the bound is not finite");
  }
  std::vector<int64_t> times{first};
  for (int64_t i = 1; i <= steps; ++i) {
    const double wanted = high + (low - high) * static_cast<double>(i) / static_cast<double>(steps);
    int64_t t = times.back();
    while (t < last && log_snr(static_cast<size_t>(t)) > wanted) ++t;
    if (i == steps) t = last;
    if (t > times.back()) times.push_back(t);
  }
  return times;
}

Tensor variational_bound(nn::Denoiser& denoiser, const NoiseSchedule& schedule, const Tensor& x0, const nn::Condition& condition,
                         Decoder decoder, int64_t steps, uint64_t seed) {
  const std::vector<int64_t> times = even_log_snr(schedule, steps, decoding_timestep(schedule, decoder));
  const std::vector<int64_t> one_item(x0.sizes().begin() + 1, x0.sizes().end());
  const auto noise = [&](int64_t step) {
    return nn::normal_noise(seed, static_cast<int>(Stream::kRenoise), {0}, static_cast<uint32_t>(step), one_item, x0.device()).expand_as(x0);
  };
  const auto snr = [&](int64_t t) { const double a = schedule.alpha_cumprod(t); return a / (1 - a); };
  Tensor bound = reconstruction(decoder, x0, noise(0), schedule.alpha_cumprod(times.front()));
  const double a_last = schedule.alpha_cumprod(times.back());  // KL( N(sqrt(a) x0, 1-a) || N(0,1) )
  bound = bound - 0.5 * (a_last * x0.to(at::kDouble).square() - a_last - std::log(1 - a_last)).flatten(1).sum(1);
  Tensor before;  // SNR |x0 - x0_hat|^2 at the level below
  for (size_t i = 0; i < times.size(); ++i) {
    const Tensor t = at::full({x0.size(0)}, times[i], at::TensorOptions(x0.device()).dtype(at::kLong));
    const Tensor x_t = schedule.add_noise(x0, noise(static_cast<int64_t>(i)), t);
    const Tensor output = denoiser.forward(x_t, t, condition);
    const Tensor mean = predict(schedule.prediction_type(), output, x_t, schedule.alpha_cumprod_like(t, x_t)).x0;
    const Tensor here = snr(times[i]) * (x0.to(at::kDouble) - mean.to(at::kDouble)).square().flatten(1).sum(1);
    if (i > 0) bound = bound - 0.25 * std::log(snr(times[i - 1]) / snr(times[i])) * (before + here);
    before = here;
  }
  return bound.to(at::kCPU);
}

Tensor masked_bound(nn::Denoiser& denoiser, const Tensor& x0, const nn::Condition& condition, int64_t steps, uint64_t seed) {
  const int64_t batch = x0.size(0), length = x0.size(2);
  const Tensor revealed = revealed_state(x0), masked = all_masked(batch, x0.size(1), length, x0.options());
  Tensor sum = at::zeros({batch}, x0.options().dtype(at::kDouble));
  for (int64_t j = 0; j < steps; ++j) {
    Philox random(seed, Stream::kMask, static_cast<uint64_t>(j));
    const std::vector<int64_t> order = permutation(length, random);
    const int64_t n = 1 + static_cast<int64_t>((static_cast<double>(j) + random.uniform()) / static_cast<double>(steps) * static_cast<double>(length));
    Tensor hidden = at::zeros({length}, at::kBool);
    for (int64_t k = 0; k < n; ++k) hidden.mutable_data_ptr<bool>()[order[static_cast<size_t>(k)]] = true;
    const Tensor state = at::where(hidden.to(x0.device()), masked, revealed);
    // As many letters are masked at this time on average; networks of masked letters hardly ever look at it.
    const Tensor t = at::full({batch}, kMaskTimescale * static_cast<double>(n) / static_cast<double>(length), x0.options().dtype(at::kFloat));
    const Tensor log_p = (denoiser.forward(state, t, condition).to(at::kDouble).log_softmax(1) * (x0 > 0)).sum(1);  // [B,L]
    sum += (log_p * mask_share(state).squeeze(1)).sum(1) * (static_cast<double>(length) / static_cast<double>(n * steps));
  }
  return sum;
}

}  // namespace plumb::diffusion
