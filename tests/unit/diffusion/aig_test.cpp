// Annealed importance guidance: weights, which model is asked, and what is sampled where it is known in closed form.
// SPDX-License-Identifier: Apache-2.0
#include "diffusion/aig.h"

#include <cmath>

#include "core/error.h"
#include "unit/diffusion/helpers.h"

namespace plumb::diffusion {
namespace {

using namespace testing;

/// A mixture of Gaussians on the line, as data: its noise prediction is known at every noise level.
struct Mixture {
  std::vector<double> weight, mean;
  double variance;

  /// log p_t(x) up to a constant, x float64 of any shape: components N(sqrt(a) mean, a variance + 1 - a).
  Tensor log_density(const Tensor& x, double a) const {
    std::vector<Tensor> terms;
    for (size_t k = 0; k < mean.size(); ++k) {
      terms.push_back(std::log(weight[k]) - (x - std::sqrt(a) * mean[k]).square() / (2 * (a * variance + 1 - a)));
    }
    return at::logsumexp(at::stack(terms), 0);
  }
  /// eps(x, t) = -sqrt(1 - a) d log p_t / dx, by the derivative of the sum above.
  Tensor noise(const Tensor& x, double a) const {
    std::vector<Tensor> terms, pull;
    for (size_t k = 0; k < mean.size(); ++k) {
      const Tensor distance = x - std::sqrt(a) * mean[k];
      terms.push_back(std::log(weight[k]) - distance.square() / (2 * (a * variance + 1 - a)));
      pull.push_back(distance / (a * variance + 1 - a));
    }
    return std::sqrt(1 - a) * (at::softmax(at::stack(terms), 0) * at::stack(pull)).sum(0);
  }
  /// exp(c x) p(x), normalised: every mean moves by c variance, and modes at larger x weigh more.
  Mixture tilted(double c) const {
    Mixture out{{}, {}, variance};
    double total = 0;
    for (size_t k = 0; k < mean.size(); ++k) total += weight[k] * std::exp(c * mean[k]);
    for (size_t k = 0; k < mean.size(); ++k) {
      out.weight.push_back(weight[k] * std::exp(c * mean[k]) / total);
      out.mean.push_back(mean[k] + c * variance);
    }
    return out;
  }
  ModelFunction network(const NoiseSchedule& schedule, int* calls = nullptr) const {
    return [*this, &schedule, calls](size_t, const Tensor& x_t, const Tensor& timestep, const nn::Condition&) {
      if (calls) ++*calls;
      return noise(x_t.to(at::kDouble), schedule.alpha_cumprod(timestep[0].item<int64_t>())).to(x_t.scalar_type());
    };
  }
};

Tensor draw(Sampler& sampler, const ModelFunction& model, int64_t count, uint64_t seed = 1) {
  std::vector<int64_t> items;
  for (int64_t i = 0; i < count; ++i) items.push_back(i);
  return run_chain(sampler, model, items, seed, {1}, {}, at::kCPU);
}

const ScheduleOptions kSchedule{.set_alpha_to_one = true};

}  // namespace

TEST_CASE("AIG weights: those of the spec for ten steps") {
  const auto check = [](const std::string& schedule, const std::vector<double>& expected) {
    const std::vector<double> weights = aig_weights(schedule, 10);
    REQUIRE(weights.size() == 10);
    for (size_t i = 0; i < 10; ++i) CHECK(weights[i] == doctest::Approx(expected[i]).epsilon(1e-12));
  };
  check("linear", {0, .1, .2, .3, .4, .5, .6, .7, .8, .9});
  check("power:2", {0, .01, .04, .09, .16, .25, .36, .49, .64, .81});
  check("step:.6", {0, 0, 0, 0, 0, 0, 1, 1, 1, 1});
  check("step:0.3", {0, 0, 0, 1, 1, 1, 1, 1, 1, 1});
  check("constant:.25", std::vector<double>(10, .25));
  check("base", std::vector<double>(10, 0));
  check("ft", std::vector<double>(10, 1));
  CHECK(aig_weights("power:1", 7) == aig_weights("linear", 7));
  for (const char* bad : {"", "power", "power:", "power:0", "power:x", "step:1.1", "constant:-1", "linear:2", "base:1", "cubic", "step"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(aig_weights(bad, 10), Error);
  }
}

TEST_CASE("AIG: a model of weight 0 is not asked, and the other's output is its own, bit for bit") {
  const NoiseSchedule schedule(kSchedule);
  const Mixture data{{.5, .5}, {-2, 2}, .1};
  for (const std::string& name : sampler_names()) {
    const auto sampler = make_sampler({.name = name, .num_inference_steps = 10}, schedule);
    const auto run = [&](const std::string& aig, int base_calls, int tuned_calls) {
      int base = 0, tuned = 0;
      const Tensor x = draw(*sampler, annealed(data.network(schedule, &base), data.tilted(1).network(schedule, &tuned), aig_weights(aig, 10)), 8);
      CHECK(base == base_calls);
      CHECK(tuned == tuned_calls);
      return x;
    };
    const Tensor base = draw(*sampler, data.network(schedule), 8), tuned = draw(*sampler, data.tilted(1).network(schedule), 8);
    CHECK(at::equal(run("base", 10, 0), base));
    CHECK(at::equal(run("ft", 0, 10), tuned));
    CHECK(largest_difference(base, tuned) > 0.05);
    run("step:0.6", 6, 4);
    run("power:2", 10, 9);
    run("constant:0.5", 10, 10);
  }
}

TEST_CASE("AIG: the mixed output is the score of p_base^(1-w) p_tuned^w") {
  const NoiseSchedule schedule(kSchedule);
  const Mixture base{{.3, .7}, {-2, 1}, .2}, tuned = base.tilted(.8);
  const Tensor x = at::linspace(-4, 4, 81, at::kDouble).unsqueeze(1);
  const std::vector<double> weights = aig_weights("power:2", 10);
  const ModelFunction mixed = annealed(base.network(schedule), tuned.network(schedule), weights);
  for (size_t i = 0; i < weights.size(); ++i) {
    const int64_t t = schedule.timesteps(10)[i];
    const double a = schedule.alpha_cumprod(t), w = weights[i], h = 1e-5;
    const auto log_density = [&](const Tensor& y) { return (1 - w) * base.log_density(y, a) + w * tuned.log_density(y, a); };
    const Tensor score = (log_density(x + h) - log_density(x - h)) / (2 * h);
    const Tensor output = mixed(i, x, at::full({x.size(0)}, t, at::kLong), {});
    CHECK(largest_difference(output, -std::sqrt(1 - a) * score) <= 1e-8);
  }
}

TEST_CASE("AIG: a Gaussian and its exponential tilt mixed at w are tilted by w") {
  const NoiseSchedule schedule({.timestep_spacing = "trailing", .set_alpha_to_one = true});
  const Mixture base{{1}, {-.5}, .25};
  const double c = 3, w = .4, mean = -.5 + w * c * .25;
  // DDIM without noise follows the probability flow: a Gaussian's is the affine map of x_T's Gaussian to the data's, met as steps shrink.
  const double a = schedule.alpha_cumprod(int64_t{999});
  const auto error = [&](int64_t steps) {
    const auto sampler = make_sampler({.name = "ddim", .num_inference_steps = steps, .eta = 0}, schedule);
    const ModelFunction mixed = annealed(base.network(schedule), base.tilted(c).network(schedule), aig_weights("constant:0.4", steps));
    Tensor x_T;
    const Tensor x = run_chain(*sampler, mixed, {0, 1, 2, 3, 4, 5, 6, 7}, 1, {1}, {}, at::kCPU,
                               [&](size_t i, int64_t, const Tensor& x_t, const Tensor&, const Tensor&) { if (i == 0) x_T = x_t; });
    return largest_difference(x, mean + .5 * (x_T - std::sqrt(a) * mean) / std::sqrt(a * .25 + 1 - a));
  };
  CHECK(error(1000) <= 1e-2);  // w = 0.42 would be off by 0.015
  CHECK(error(1000) <= 0.6 * error(500));
}

TEST_CASE("AIG: annealed, the base model chooses the mode and the tuned model the place within") {
  const NoiseSchedule schedule(kSchedule);
  const Mixture base{{.5, .5}, {-2, 2}, .05}, tuned{{.02, .98}, {-1.7, 2.3}, .05};
  const auto sampler = make_sampler({.name = "ddim", .num_inference_steps = 50, .eta = 1}, schedule);
  const auto right_and_shift = [&](const std::string& aig) {
    const Tensor x = draw(*sampler, annealed(base.network(schedule), tuned.network(schedule), aig_weights(aig, 50)), 1000);
    return std::pair{(x > 0).to(at::kDouble).mean().item<double>(), (x - 2 * x.sign()).mean().item<double>()};
  };
  const auto [ft_right, ft_shift] = right_and_shift("ft");
  CHECK(ft_right > .95);
  CHECK(ft_shift == doctest::Approx(.3).epsilon(.1));
  const auto [right, shift] = right_and_shift("step:0.85");
  CHECK(right == doctest::Approx(.5).epsilon(.1));       // as the base model, within 3 standard errors of 0.016
  CHECK(shift == doctest::Approx(.3).epsilon(.15));      // as the tuned model
}

}  // namespace plumb::diffusion
