// Guidance: the cases of offline-design.json, all kinds of prediction alike, and laws known in closed form.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/reward_guidance.h"

#include <cmath>

#include "core/error.h"
#include "unit/diffusion/helpers.h"

namespace plumb::diffusion {
namespace {

using namespace testing;

constexpr int64_t kSteps = 100;
ScheduleOptions levels(const std::string& type) {
  return {.num_train_timesteps = 100, .beta_start = 0.001, .beta_end = 0.15, .prediction_type = type, .steps_offset = 0, .set_alpha_to_one = true};
}

/// A network whose output depends on the class alone: rows of `outputs`, the last of which is the null class.
class ByClass : public nn::Denoiser {
 public:
  explicit ByClass(Tensor outputs) : outputs_(std::move(outputs)) {}
  Tensor forward(const Tensor&, const Tensor&, const nn::Condition& condition) override { return outputs_.index_select(0, condition.label); }
  int64_t num_classes() const override { return outputs_.size(0) - 1; }
  io::Json config() const override { return {{"type", "by-class"}}; }

 private:
  Tensor outputs_;
};

}  // namespace

TEST_CASE("cfg_conventions: --guidance-scale s is s cond + (1 - s) uncond, so 1 is no guidance and w of the other convention is s - 1") {
  const Json one = offline_case("cfg_conventions"), in = one.at("inputs");
  ByClass network(at::stack({tensor_of(in.at("cond")), tensor_of(in.at("uncond"))}));
  const nn::Condition condition{at::tensor({0}, at::kLong)};
  const Tensor x = at::zeros({1, 2}, at::kDouble), t = at::tensor({5}, at::kLong);
  const double s = in.at("s").get<double>();
  check_close(GuidedDenoiser{network, s}(x, t, condition)[0], one.at("expected").at("A"));
  check_close(GuidedDenoiser{network, 1 + in.at("w").get<double>()}(x, t, condition)[0], one.at("expected").at("B"));
  check_close(GuidedDenoiser{network, 1.0}(x, t, condition)[0], in.at("cond"));
}

TEST_CASE("rcgdm_guidance: towards a target, each item by its own gradient; the published mean over the batch on request") {
  const Json one = offline_case("rcgdm_guidance"), in = one.at("inputs"), out = one.at("expected");
  const Tensor eps = tensor_of(in.at("eps")), mu = tensor_of(in.at("mu")), slope = tensor_of(in.at("grad_mu"));
  // a schedule of one level at the case's abar
  const double beta = 1 - in.at("abar").get<double>();
  const ScheduleOptions level{.num_train_timesteps = 1, .beta_start = beta, .beta_end = beta, .steps_offset = 0};
  const auto process = make_gaussian_process({.num_inference_steps = 1}, NoiseSchedule(level), {2});
  const ModelFunction model = [&](size_t, const Tensor& x, const Tensor&, const nn::Condition&) { return eps.slice(0, 0, x.size(0)) + 0 * x; };
  const RewardFunction reward = [&](const Tensor& x, const Tensor&) { return mu.slice(0, 0, x.size(0)) + (x * slope.slice(0, 0, x.size(0))).sum(1); };
  const Tensor x = at::zeros({2, 2}, at::kDouble), t = at::zeros({2}, at::kLong);
  GuidanceOptions options{.at = "x_t", .strength = in.at("gamma").get<double>(), .target = in.at("target").get<double>()};
  RewardGuidance guidance(model, *process, level.to_json(), reward, options, "test");
  const at::NoGradGuard no_grad;
  check_close(guidance.function()(0, x, t, {}), out.at("eps_guided"));
  CHECK(guidance.rewards() == 2);
  check_close(guidance.function()(0, x.slice(0, 0, 1), t.slice(0, 0, 1), {})[0], out.at("eps_guided")[0]);  // alone as in the batch
  options.reduce = "mean";
  check_close(RewardGuidance(model, *process, level.to_json(), reward, options, "test").function()(0, x, t, {}), out.at("eps_guided_if_batch_mean"));
  // without a target: eps - sqrt(1 - abar) gamma grad r
  options = {.at = "x_t", .strength = 3.0};
  CHECK(largest_difference(RewardGuidance(model, *process, level.to_json(), reward, options, "test").function()(0, x, t, {}),
                           eps - 3 * std::sqrt(beta) * slope) < 1e-12);
}

TEST_CASE("gloss_beta: the look-ahead weight, and where it stands in a step") {
  const Json one = offline_case("gloss_beta"), in = one.at("inputs");
  const double alpha = in.at("alpha").get<double>(), h = in.at("h").get<double>(), sigma = in.at("sigma").get<double>();
  REQUIRE(alpha * alpha + h == doctest::Approx(1.0));
  const Tensor a = at::scalar_tensor(alpha * alpha, at::kDouble);
  const double beta = look_ahead_weight(a, tensor_of(in.at("grad_norm2")), sigma).item<double>();
  CHECK(beta == doctest::Approx(one.at("expected").at("beta").get<double>()).epsilon(1e-8));

  // score' = score - beta grad (y - g . x0_hat)^2, score = -eps / sqrt(h), with a network whose x0_hat is x_t: g . x0_hat has the gradient g
  const ScheduleOptions level{.num_train_timesteps = 1, .beta_start = h, .beta_end = h, .prediction_type = "sample", .steps_offset = 0};
  const auto process = make_gaussian_process({.num_inference_steps = 1}, NoiseSchedule(level), {2});
  const ModelFunction identity = [](size_t, const Tensor& x, const Tensor&, const nn::Condition&) { return x; };
  const Tensor g = at::tensor({0.3, 0.4}, at::kDouble), x = at::tensor({0.7, -1.1}, at::kDouble).reshape({1, 2}), t = at::zeros({1}, at::kLong);
  const RewardFunction linear = [&](const Tensor& x0, const Tensor&) { return at::matmul(x0, g); };
  RewardGuidance guidance(identity, *process, level.to_json(), linear, {.at = "x0", .target = 2.0, .weight = "look-ahead", .sigma = sigma}, "test");
  const Tensor guided = guidance.function()(0, x, t, {});
  const Tensor eps = predict(PredictionType::kSample, x, x, a).eps, shifted = predict(PredictionType::kSample, guided, x, a).eps;
  const Tensor gradient = -2 * (2.0 - at::matmul(x, g)).unsqueeze(1) * g;
  CHECK(largest_difference(-shifted / std::sqrt(h), -eps / std::sqrt(h) - beta * gradient) < 1e-10);
}

TEST_CASE("epsilon, sample and v_prediction are guided alike, and N(0,1) by value guidance becomes N(gamma c, 1) as exp(gamma c x) says") {
  const at::NoGradGuard no_grad;
  std::vector<int64_t> items;
  for (int64_t i = 0; i < 2000; ++i) items.push_back(i);
  Tensor first;
  for (const std::string type : {"epsilon", "sample", "v_prediction"}) {
    const NoiseSchedule schedule(levels(type));
    const auto process = make_gaussian_process({.name = "ddpm", .num_inference_steps = kSteps, .variance = "beta"}, schedule, {1});
    // x0_hat = sqrt(abar) x_t, eps = sqrt(1 - abar) x_t, v = sqrt(abar) eps - sqrt(1 - abar) x0 = 0
    const ModelFunction model = [&](size_t, const Tensor& x, const Tensor& t, const nn::Condition&) {
      const double a = schedule.alpha_cumprod(t[0].item<int64_t>());
      return (type == "epsilon" ? std::sqrt(1 - a) : type == "sample" ? std::sqrt(a) : 0.0) * x;
    };
    // E[r(x_0) | x_t] up to a constant: the reward of x0_hat, whose gradient c sqrt(abar) is the exact one of the log of E exp(gamma r)
    const RewardFunction reward = [](const Tensor& x0, const Tensor&) { return 0.5 * x0.select(1, 0); };
    RewardGuidance guidance(model, *process, schedule.options().to_json(), reward, {.at = "x0", .strength = 2.0}, "test");
    const Tensor x0 = run_process(*process, guidance.function(), {3, items}, {}).to(at::kDouble);
    CHECK(std::abs(x0.mean().item<double>() - 1.0) < 4 * x0.std().item<double>() / std::sqrt(2000.0) + 0.03);  // 0.03: 100 steps
    CHECK(x0.std().item<double>() == doctest::Approx(1.0).epsilon(0.07));
    if (first.defined()) CHECK(largest_difference(x0, first) < 1e-4);
    first = x0;
  }
}

TEST_CASE("guidance refuses chains without predicted noise and gradients that are not finite") {
  const NoiseSchedule schedule(levels("epsilon"));
  const auto process = make_gaussian_process({.num_inference_steps = 2}, schedule, {1});
  const ModelFunction model = [](size_t, const Tensor& x, const Tensor&, const nn::Condition&) { return x; };
  const RewardFunction root = [](const Tensor& x0, const Tensor&) { return (0 * x0.select(1, 0)).sqrt(); };
  CHECK_THROWS_AS(RewardGuidance(model, *process, {{"process", "masked"}}, root, {.at = "x0", .strength = 1.0}, "test"), Error);
  CHECK_THROWS_AS(RewardGuidance(model, *process, schedule.options().to_json(), nullptr, {.at = "x0", .strength = 1.0}, "test"), Error);
  RewardGuidance guidance(model, *process, schedule.options().to_json(), root, {.at = "x0", .strength = 1.0}, "test");
  CHECK_THROWS_AS(run_process(*process, guidance.function(), {0, {0}}, {}), Error);
}

}  // namespace plumb::diffusion
