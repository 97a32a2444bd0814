// Steering on chains whose target is known in closed form. SPDX-License-Identifier: Apache-2.0
#include "diffusion/steering.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "diffusion/particles.h"
#include "diffusion/potentials.h"
#include "diffusion/twisted.h"
#include "unit/diffusion/helpers.h"

namespace plumb::diffusion {
namespace {

using namespace testing;

const ScheduleOptions kFiftyLevels{.num_train_timesteps = 50, .beta_start = 0.002, .beta_end = 0.4, .steps_offset = 0};

/// Data of law N(0, 1): E[eps | x_t] = sqrt(1 - abar) x_t. With variance beta and noise in the last step every step keeps N(0, 1) exactly, so
/// what is drawn has no discretisation error.
struct Line {
  NoiseSchedule schedule{kFiftyLevels};
  std::unique_ptr<ReverseProcess> process =
      make_gaussian_process({.name = "ddpm", .num_inference_steps = 50, .variance = "beta"}, schedule, {1}, true);
  ModelFunction model = [this](size_t, const Tensor& x, const Tensor& t, const nn::Condition&) {
    return std::sqrt(1 - schedule.alpha_cumprod(t[0].item<int64_t>())) * x;
  };

  SteeringContext context(const RewardFunction& reward, const SteeringOptions& options, int64_t batch_size = 8192) const {
    return {*process, model, reward, reward, options, 5, at::kCPU, batch_size, nullptr};
  }
};

std::vector<int64_t> first_items(int64_t count) {
  std::vector<int64_t> items;
  for (int64_t i = 0; i < count; ++i) items.push_back(i);
  return items;
}

struct Estimate {
  double mean, error;
};
/// Mean and its standard error, of independent values.
Estimate estimate(const Tensor& values) {
  const Tensor v = values.to(at::kDouble).flatten();
  return {v.mean().item<double>(), v.std().item<double>() / std::sqrt(static_cast<double>(v.numel()))};
}
Estimate estimate(const std::vector<double>& log_z) { return estimate(at::tensor(log_z, at::kDouble).exp()); }

void check_within(const Estimate& e, double expected, const std::string& what) {
  CHECK_MESSAGE(std::abs(e.mean - expected) <= 4 * e.error, what << ": " << e.mean << " +- " << e.error << ", expected " << expected);
}

const RewardFunction kHalf = [](const Tensor& x0, const Tensor&) { return 0.5 * x0.select(1, 0); };

}  // namespace

TEST_CASE("fk_potentials: four kinds, whose product is exp(lambda r) each") {
  const Json one = offline_case("fk_potentials");
  const Tensor r = tensor_of(one.at("inputs").at("r"));  // [particles, 4]: a start value of 0, two on the way, the end
  const double lambda = one.at("inputs").at("lam").get<double>();
  for (const std::string kind : {"difference", "max", "sum", "current"}) {
    Potential potential(kind, lambda);
    const Tensor first = potential.on_the_way(r.select(1, 1)), second = potential.on_the_way(r.select(1, 2)), last = potential.at_the_end(r.select(1, 3));
    check_close((first + second + last).exp(), one.at("expected").at("product_check"));
    if (kind == "difference") check_close(at::stack({first, second, last}, 1).exp(), one.at("expected").at("diff"));
    if (kind == "max" || kind == "sum") {
      check_close(at::stack({first, second}, 1).exp(), one.at("expected").at(kind + "_mid"));
      check_close(last.exp(), one.at("expected").at(kind + "_last"));
    }
    if (kind == "current") CHECK(largest_difference(second, lambda * r.select(1, 2)) < 1e-15);
    // what a particle has spent goes with it
    Potential moved(kind, lambda);
    moved.on_the_way(r.select(1, 1));
    moved.index(at::tensor({1, 1}, at::kLong));
    const Tensor then = moved.on_the_way(r.select(1, 2).flip(0));
    CHECK(then[1].item<double>() == doctest::Approx((kind == "difference" ? lambda * (r[0][2] - r[1][1]) : kind == "max" ? lambda * at::maximum(r[0][2], r[1][1])
                                                     : kind == "sum" ? lambda * (r[0][2] + r[1][1]) : lambda * r[0][2]).item<double>()));
  }
  Potential falling("max", lambda);
  CHECK(falling.on_the_way(at::tensor({-3.0}, at::kDouble)).item<double>() == doctest::Approx(-3 * lambda));  // 0 is no reward so far
}

TEST_CASE("svdd_weights: softmax of the soft value, or all on the best") {
  const Json one = offline_case("svdd_weights");
  const Tensor v = tensor_of(one.at("inputs").at("v"));
  check_close(soft_value_weights(v, one.at("inputs").at("alpha").get<double>()), one.at("expected").at("prob"));
  const Tensor best = soft_value_weights(v, 0.0);
  CHECK(best[one.at("expected").at("argmax").get<int64_t>()].item<double>() == 1.0);
  CHECK(best.sum().item<double>() == 1.0);
  CHECK(at::isfinite(soft_value_weights(at::tensor({4000.0, -4000.0}, at::kDouble), 1e-3)).all().item<bool>());
}

TEST_CASE("das_weight: ratio of proposal and chain, weights, effective sample size, log Z") {
  const Json one = offline_case("das_weight"), in = one.at("inputs"), out = one.at("expected");
  const auto number = [&](const char* key) { return in.at(key).get<double>(); };
  const Tensor ratio = guided_log_ratio(at::full({4}, std::sqrt(number("sigma2")), at::kDouble), tensor_of(in.at("G")).reshape({4, 1}), tensor_of(in.at("eps")).reshape({4, 1}));
  check_close(ratio, out.at("log_p_minus_q"));
  Particles particles({0}, 4, 1, "ssp");
  particles.reweight(tensor_of(in.at("logw_prev")) + std::log(4.0));
  const double before = particles.log_z()[0];
  particles.reweight(ratio + (number("lam_new") * tensor_of(in.at("r_new")) - number("lam_old") * tensor_of(in.at("r_old"))) / number("alpha"));
  check_close(particles.log_weights()[0].exp(), out.at("W"));
  CHECK(particles.log_z()[0] - before == doctest::Approx(out.at("logZ_increment").get<double>()).epsilon(1e-6));
  CHECK(1 / particles.log_weights().exp().square().sum().item<double>() == doctest::Approx(out.at("ess").get<double>()).epsilon(1e-6));
}

TEST_CASE("particles on N(0,1) with reward c x have mean c / alpha and log Z = c^2 / (2 alpha^2), by every method that is exact") {
  const at::NoGradGuard no_grad;
  const Line line;
  const int64_t groups = 60;
  const auto run = [&](SteeringOptions options) {
    options.keep = "all";
    const auto steering = make_steering(line.context(kHalf, options));
    const SteeredBatch batch = steering->run(first_items(groups), {});
    const Estimate mean = estimate(batch.x0.reshape({groups, -1}).to(at::kDouble).mean(1));  // groups are independent
    const double shift = 0.5 / *options.alpha;
    check_within(mean, shift, options.method + " " + options.potential + options.tempering);
    check_within(estimate(batch.log_z), std::exp(0.5 * shift * shift), options.method + " Z");
    const Estimate square = estimate((batch.x0.reshape({groups, -1}).to(at::kDouble) - shift).square().mean(1));
    check_within(square, 1.0, options.method + " variance");
    const SteeringCost cost = steering->cost_per_item(), spent = steering->spent();
    CHECK(spent.rewards == groups * cost.rewards);
    CHECK(spent.gradients == groups * cost.gradients);
    for (size_t i = 0; i < 50; ++i) CHECK(spent.network[i] == groups * cost.network[i]);
  };
  run({.method = "best-of-n", .alpha = 0.6, .particles = 100});
  for (const char* potential : {"difference", "max"}) run({.method = "fk", .alpha = 0.5, .particles = 80, .potential = potential, .every = 4});
  // these overshoot by every further potential, which the last one can only undo while particles last: 12 of them take the mean to 2.6
  for (const char* potential : {"sum", "current"}) run({.method = "fk", .alpha = 0.5, .particles = 80, .potential = potential, .every = 25});
  run({.method = "das", .alpha = 0.25, .particles = 40});
  run({.method = "das", .alpha = 0.25, .particles = 40, .tempering = "adaptive", .resample = "systematic"});
  run({.method = "das", .alpha = 0.25, .particles = 40, .gamma = 0.005});  // lambda jumps from 0.28 to 1 at the end
  run({.method = "tds", .alpha = 0.25, .particles = 40, .resample = "multinomial", .ess = 1.0});
}

TEST_CASE("all that belongs to a particle follows it: a reward with a curved gradient, resampled in every step") {
  const at::NoGradGuard no_grad;
  const Line line;
  // r = -(x - 2)^2 / 2: p exp(r / alpha) = N((2 / alpha) / (1 + 1 / alpha), 1 / (1 + 1 / alpha))
  const RewardFunction bowl = [](const Tensor& x0, const Tensor&) { return -0.5 * (x0.select(1, 0) - 2).square(); };
  const double alpha = 0.5, precision = 1 + 1 / alpha, mean = 2 / alpha / precision;
  for (const char* method : {"das", "tds", "fk"}) {
    SteeringOptions options{.method = method, .alpha = alpha, .particles = 40, .keep = "all", .ess = 1.0};
    const SteeredBatch batch = make_steering(line.context(bowl, options))->run(first_items(60), {});
    const Tensor x = batch.x0.reshape({60, -1}).to(at::kDouble);
    check_within(estimate(x.mean(1)), mean, method);
    check_within(estimate((x - mean).square().mean(1)), 1 / precision, std::string(method) + " variance");
    // log E exp(-(x - 2)^2 / (2 alpha)) = -2^2 / (2 (1 + alpha)) - log(1 + 1 / alpha) / 2
    check_within(estimate(batch.log_z), std::exp(-2 / (1 + alpha) - 0.5 * std::log(precision)), std::string(method) + " Z");
  }
}

TEST_CASE("svdd moves from the model's own law towards the tilted one as children are added") {
  const at::NoGradGuard no_grad;
  const Line line;
  double before = 0;
  for (const int64_t children : {1, 2, 8, 32}) {
    const auto svdd = make_steering(line.context(kHalf, {.method = "svdd", .alpha = 0.5, .particles = children}));
    const Estimate mean = estimate(svdd->run(first_items(3000), {}).x0);
    if (children == 1) check_within(mean, 0.0, "one child");
    else CHECK(mean.mean > before + 4 * mean.error);
    CHECK(mean.mean < 1.0 + 4 * mean.error);
    before = mean.mean;
    CHECK(svdd->cost_per_item().network[0] == 1);
    CHECK(svdd->spent().network[1] == 3000 * children);
    CHECK(svdd->spent().rewards == 3000 * svdd->cost_per_item().rewards);
  }
  CHECK(before > 0.8);
}

TEST_CASE("a sample is the same whatever is drawn with it and however rows are batched; best, weighted and all agree with the weights") {
  const at::NoGradGuard no_grad;
  const Line line;
  for (const std::string& method : steering_names()) {
    const SteeringOptions options{.method = method, .alpha = 0.25, .particles = 6};
    const Tensor together = make_steering(line.context(kHalf, options))->run({4, 9, 2}, {}).x0;
    CHECK(at::equal(make_steering(line.context(kHalf, options, 4))->run({9}, {}).x0, together.slice(0, 1, 2)));
  }
  SteeringOptions options{.method = "best-of-n", .alpha = 1e-4, .particles = 5, .keep = "all"};
  const Tensor all = make_steering(line.context(kHalf, options))->run({3}, {}).x0;
  options.keep = "weighted";
  const Tensor drawn = make_steering(line.context(kHalf, options))->run({3}, {}).x0;
  options = {.method = "best-of-n", .particles = 5};
  const SteeredBatch best = make_steering(line.context(kHalf, options))->run({3}, {});
  CHECK(best.log_z.empty());
  CHECK(at::equal(all, best.x0.expand({5, 1})));  // at so low a temperature the best has all the weight
  CHECK(at::equal(drawn, best.x0));
}

TEST_CASE("what steering refuses") {
  const Line line;
  const NoiseSchedule& schedule = line.schedule;
  const SteeringOptions fk{.method = "fk", .alpha = 1.0};
  const auto still = make_gaussian_process({.name = "ddim", .num_inference_steps = 5, .eta = 0}, schedule, {1});
  const auto multistep = make_gaussian_process({.name = "dpm-solver++", .num_inference_steps = 5}, schedule, {1});
  const auto context = [&](const ReverseProcess& process, const SteeringOptions& options) {
    SteeringContext c{process, line.model, kHalf, nullptr, options, 0, at::kCPU, 64, nullptr};
    return c;
  };
  CHECK_THROWS_AS(make_steering(context(*still, fk)), Error);
  CHECK_THROWS_AS(make_steering(context(*multistep, fk)), Error);
  CHECK_NOTHROW(make_steering(context(*multistep, {.method = "best-of-n"})));
  CHECK_THROWS_AS(make_steering(context(*line.process, {.method = "das", .alpha = 1.0})), Error);  // no gradient
  SteeringContext bad = context(*line.process, fk);
  bad.reward = [](const Tensor& x0, const Tensor&) { return x0.select(1, 0) / 0.0; };
  CHECK_THROWS_AS(make_steering(bad)->run({0}, {}), Error);

  const auto refused = [](const SteeringOptions& o, std::vector<std::string> set, const GuidanceOptions& guidance = {}) {
    try {
      check_steering_options(o, guidance, [&](const std::string& option) { return std::find(set.begin(), set.end(), option) != set.end(); });
    } catch (const Error& e) {
      return e.exit() == Exit::kUsage;
    }
    return false;
  };
  CHECK_FALSE(refused({}, {}));
  CHECK_FALSE(refused({.reward = "gc", .method = "fk", .alpha = 1.0}, {"alpha", "steer-potential", "steer-every", "steer-ess", "steer-return"}));
  CHECK(refused({.alpha = 1.0}, {"alpha"}));
  CHECK(refused({.reward = "gc"}, {}));
  CHECK(refused({.method = "fk", .alpha = 1.0}, {"alpha"}));
  CHECK(refused({.reward = "gc", .method = "fk"}, {}));
  CHECK(refused({.reward = "gc", .method = "fk", .alpha = 0.0}, {"alpha"}));
  CHECK_FALSE(refused({.reward = "gc", .method = "svdd", .alpha = 0.0}, {"alpha"}));
  CHECK(refused({.reward = "gc", .method = "svdd", .alpha = 0.0}, {"alpha", "steer-ess"}));
  CHECK(refused({.reward = "gc", .method = "svdd", .alpha = 0.0}, {"alpha", "steer-return"}));
  CHECK(refused({.reward = "gc", .method = "tds", .alpha = 1.0}, {"alpha", "steer-gamma"}));
  CHECK(refused({.reward = "gc", .method = "das", .alpha = 1.0, .tempering = "adaptive", .gamma = 0.1}, {"alpha", "steer-gamma", "steer-tempering"}));
  CHECK(refused({.reward = "gc", .method = "best-of-n", .alpha = 1.0}, {"alpha"}));
  CHECK(refused({.reward = "gc", .method = "best-of-n"}, {"steer-resample"}));
  CHECK_FALSE(refused({.reward = "gc"}, {"guide-strength", "guide-target"}, {.at = "x_t", .strength = 2.0, .target = 1.0}));
  CHECK_FALSE(refused({.reward = "gc"}, {"guide-target", "guide-sigma", "guide-weight"}, {.at = "x0", .target = 1.0, .weight = "look-ahead"}));
  CHECK(refused({}, {"guide-strength"}, {.at = "x0", .strength = 2.0}));                      // no reward
  CHECK(refused({.reward = "gc"}, {}, {.at = "x0"}));                                         // no strength
  CHECK(refused({.reward = "gc"}, {"guide-target"}, {.target = 1.0}));                        // no --guide
  CHECK(refused({.reward = "gc"}, {}, {.at = "x_t", .target = 1.0, .weight = "look-ahead"}));
  CHECK(refused({.reward = "gc"}, {}, {.at = "x0", .weight = "look-ahead"}));
  CHECK(refused({.reward = "gc"}, {}, {.at = "x0", .strength = 1.0, .target = 1.0, .weight = "look-ahead"}));
  CHECK(refused({.reward = "gc", .method = "fk", .alpha = 1.0}, {"alpha"}, {.at = "x0", .strength = 2.0}));  // twice
  CHECK_FALSE(refused({.reward = "gc", .method = "best-of-n", .alpha = 1.0, .keep = "weighted"}, {"alpha", "steer-return"}));
}

}  // namespace plumb::diffusion
