// The variational bound against probabilities that are known: exact denoisers of a few letters, of grey values, of a Gaussian.
// SPDX-License-Identifier: Apache-2.0
#include "diffusion/likelihood.h"

#include <cmath>

#include "core/error.h"
#include "core/philox.h"
#include "unit/diffusion/helpers.h"

namespace plumb::diffusion {
namespace {

using namespace testing;

const ScheduleOptions kCosine{.beta_schedule = "squaredcos_cap_v2", .prediction_type = "sample"};

/// E[x0 | x_t] for data that takes the rows of `support` [M,*item] with probabilities p [M].
class ExactDenoiser : public nn::Denoiser {
 public:
  ExactDenoiser(const NoiseSchedule& schedule, Tensor support, Tensor p) : schedule_(schedule), support_(std::move(support)), p_(std::move(p)) {}
  Tensor forward(const Tensor& x_t, const Tensor& timestep, const nn::Condition&) override {
    const Tensor a = schedule_.alpha_cumprod(timestep).to(at::kDouble).unsqueeze(1);
    const Tensor x = x_t.to(at::kDouble).flatten(1).unsqueeze(1), s = support_.flatten(1).unsqueeze(0);
    const Tensor logits = p_.log() - (x - a.unsqueeze(2).sqrt() * s).square().sum(2) / (2 * (1 - a));
    return at::matmul(logits.softmax(1), support_.flatten(1)).reshape(x_t.sizes()).to(x_t.scalar_type());
  }
  io::Json config() const override { return {{"type", "exact"}}; }

 private:
  const NoiseSchedule& schedule_;
  Tensor support_, p_;
};

class Standard : public nn::Denoiser {  // E[x0 | x_t] of N(0,1) is sqrt(a) x_t
 public:
  explicit Standard(const NoiseSchedule& s, double factor = 1) : schedule_(s), factor_(factor) {}
  Tensor forward(const Tensor& x_t, const Tensor& t, const nn::Condition&) override {
    return factor_ * schedule_.alpha_cumprod_like(t, x_t).sqrt() * x_t;
  }
  io::Json config() const override { return {}; }

 private:
  const NoiseSchedule& schedule_;
  double factor_;
};

/// The bound's mean over 40 seeds.
Tensor mean_bound(nn::Denoiser& denoiser, const NoiseSchedule& schedule, const Tensor& x0, Decoder decoder, int64_t steps) {
  Tensor sum = at::zeros({x0.size(0)}, at::kDouble);
  for (uint64_t seed = 0; seed < 40; ++seed) sum += variational_bound(denoiser, schedule, x0, {}, decoder, steps, seed);
  return sum / 40;
}

}  // namespace

TEST_CASE("letters: the exact model's bound is near the log-probability, and the sum over all words near 1") {
  const NoiseSchedule schedule(kCosine);
  const Tensor letters = 2 * at::eye(4, at::kDouble).unsqueeze(2) - 1;  // [4,4,1]
  const Tensor p = at::tensor({0.6, 0.25, 0.1, 0.05}, at::kDouble);
  ExactDenoiser denoiser(schedule, letters, p);
  const Tensor bound = mean_bound(denoiser, schedule, letters.to(at::kFloat), Decoder::kLetters, 200);
  INFO(bound << p.log());
  CHECK((bound - p.log()).abs().max().item<double>() < 0.15);  // 40 noises
  CHECK((p * (bound - p.log())).sum().item<double>() < 0.05);     // no more than the noise above the entropy
  CHECK((p * (bound - p.log())).sum().item<double>() > -0.1);
}

TEST_CASE("a Gaussian: the bound's mean is minus the entropy, few steps tell it too, and a wrong model falls below") {
  const NoiseSchedule schedule(kCosine);
  Standard exact(schedule), wrong(schedule, 0.8);
  std::vector<float> draws(4000);
  Philox(5, Stream::kPrior).fill_normal(draws.data(), 4000);
  const Tensor x0 = at::tensor(draws).reshape({4000, 1});
  const double entropy = 0.5 * std::log(2 * 3.14159265358979 * 2.718281828459045);
  const double fine = mean_bound(exact, schedule, x0, Decoder::kDensity, 400).mean().item<double>();
  CHECK(fine == doctest::Approx(-entropy).epsilon(0.06));
  CHECK(mean_bound(exact, schedule, x0, Decoder::kDensity, 20).mean().item<double>() == doctest::Approx(fine).epsilon(0.06));
  CHECK(mean_bound(wrong, schedule, x0, Decoder::kDensity, 400).mean().item<double>() < fine - 0.1);
}

TEST_CASE("bytes: two grey values that alternate") {
  const NoiseSchedule schedule(kCosine);
  const Tensor support = at::tensor({20.0, 200.0}, at::kDouble).reshape({2, 1, 1, 1}) / 127.5 - 1, p = at::tensor({0.8, 0.2}, at::kDouble);
  ExactDenoiser denoiser(schedule, support, p);
  const Tensor bound = mean_bound(denoiser, schedule, support.to(at::kFloat), Decoder::kBytes, 300);
  INFO(bound << p.log());
  // The least noisy level has noise of sigma grey values, too much to tell a byte from its neighbours: that costs the noise's entropy.
  const double a = schedule.alpha_cumprod(int64_t{0}), sigma = 127.5 * std::sqrt((1 - a) / a);
  const double cost = 0.5 * std::log(2 * 3.14159265358979 * 2.718281828459045 * sigma * sigma);
  CHECK((bound - p.log() + cost).abs().max().item<double>() < 0.1);
  CHECK(bound[0].item<double>() > bound[1].item<double>() + 0.9);
}

TEST_CASE("bytes: a large batch is taken a slice of pixels at a time, and is worth what its items are one by one") {
  const NoiseSchedule schedule(kCosine);
  Standard denoiser(schedule);
  const Tensor x0 = (at::arange(64 * 28 * 28, at::kDouble).remainder(251) / 127.5 - 1).to(at::kFloat).reshape({64, 1, 28, 28});
  const Tensor together = variational_bound(denoiser, schedule, x0, {}, Decoder::kBytes, 2, 3);
  for (const int64_t i : {0, 63}) {
    const Tensor alone = variational_bound(denoiser, schedule, x0.narrow(0, i, 1), {}, Decoder::kBytes, 2, 3);
    CHECK(together[i].item<double>() == doctest::Approx(alone.item<double>()).epsilon(1e-10));
  }
}

TEST_CASE("noise levels even in log SNR, and a schedule where the bound is not finite") {
  const NoiseSchedule schedule(kCosine);
  const std::vector<int64_t> times = even_log_snr(schedule, 16);
  CHECK(times.front() == 0);
  CHECK(times.back() == 999);
  CHECK(times.size() > 12);  // the last steps of this schedule are wider than an interval
  const auto log_snr = [&](int64_t t) { const double a = schedule.alpha_cumprod(t); return std::log(a / (1 - a)); };
  const double step = (log_snr(0) - log_snr(999)) / 16;
  for (size_t i = 2; i < 9; ++i) CHECK(std::abs(log_snr(times[i]) - log_snr(0) + step * static_cast<double>(i)) < 0.5);
}

}  // namespace plumb::diffusion
