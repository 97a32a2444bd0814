// Noise schedules against diffusers' and the Stable Diffusion case of policy-gradient.json.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/schedule.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "diffusion/sampler.h"
#include "unit/diffusion/helpers.h"

namespace plumb::diffusion {

using namespace testing;

TEST_CASE("the schedule of Stable Diffusion 1: timesteps, alpha-bar, sigma, clamped last step") {
  const Json one = oracle_case("A_sd_schedule"), &in = one.at("inputs"), &want = one.at("expected");
  const NoiseSchedule schedule({.num_train_timesteps = in.at("num_train_timesteps"), .beta_schedule = "scaled_linear",
                                .beta_start = in.at("beta_start"), .beta_end = in.at("beta_end"),
                                .steps_offset = in.at("steps_offset")});
  const int64_t n = in.at("num_inference_steps");
  const std::vector<int64_t> steps = schedule.timesteps(n);
  REQUIRE(steps.size() == 50);
  CHECK(Json(std::vector<int64_t>(steps.begin(), steps.begin() + 3)) == want.at("timesteps_first3"));
  CHECK(Json(std::vector<int64_t>(steps.end() - 3, steps.end())) == want.at("timesteps_last3"));
  for (const auto& [t, alpha] : want.at("alpha_bar").items()) {
    CHECK(schedule.alpha_cumprod(std::stoll(t)) == doctest::Approx(alpha.get<double>()).epsilon(1e-8));
  }
  for (const auto& [pair, sigma] : want.at("sigma").items()) {
    const int64_t t = std::stoll(pair), end = std::stoll(pair.substr(pair.find("->") + 2));
    const double a = schedule.alpha_cumprod(t), b = schedule.alpha_cumprod(schedule.previous_timestep(t, n));
    CHECK(b == schedule.alpha_cumprod(end));  // 1 -> -19 is read as 1 -> 0
    CHECK(std::sqrt((1 - b) / (1 - a) * (1 - a / b)) == doctest::Approx(sigma.get<double>()).epsilon(1e-8));
  }
}

TEST_CASE("DDIM's steps end where the next one begins, also where their number does not divide the training's") {
  for (const std::string spacing : {"trailing", "leading"}) {
    const NoiseSchedule schedule({.num_train_timesteps = 1000, .timestep_spacing = spacing, .steps_offset = 0});
    for (const int64_t n : {1, 20, 30, 50, 400, 600, 700, 999, 1000}) {
      CAPTURE(n);
      const std::vector<int64_t> steps = schedule.timesteps(n);
      for (size_t i = 0; i + 1 < steps.size(); ++i) REQUIRE(schedule.previous_timestep(steps[i], n) == steps[i + 1]);
      CHECK(schedule.previous_timestep(steps.back(), n) < 0);
    }
  }
}

TEST_CASE("alphas_cumprod of each beta schedule equal diffusers' float32 tables") {
  const Json reference = read_numeric("scheduler_reference.json");
  for (const auto& [name, values] : reference.at("alphas_cumprod").items()) {
    ScheduleOptions options;
    options.beta_schedule = name;
    if (name == "scaled_linear") options.beta_start = 0.00085, options.beta_end = 0.012;
    const NoiseSchedule schedule(options);
    options.table_dtype = "float32";
    const NoiseSchedule same_rounding(options);
    for (const auto& [t, alpha] : values.items()) {
      CHECK(schedule.alpha_cumprod(std::stoll(t)) == doctest::Approx(alpha.get<double>()).epsilon(3e-5));
      CHECK(same_rounding.alpha_cumprod(std::stoll(t)) == alpha.get<double>());
    }
  }
}

TEST_CASE("timesteps of every chain length equal diffusers', for three samplers and three spacings") {
  const Json reference = read_numeric("scheduler_reference.json");
  for (const Json& one : reference.at("timesteps")) {
    ScheduleOptions options;
    options.timestep_spacing = one.at("timestep_spacing");
    options.steps_offset = one.at("steps_offset");
    const NoiseSchedule schedule(options);
    const std::vector<int64_t> left_out = one.at("left_out");
    const bool multistep = one.at("sampler") == "dpm-solver++";
    int64_t digest = 0;
    for (int64_t n = 1; n <= 1000 - multistep; ++n) {
      if (std::find(left_out.begin(), left_out.end(), n) != left_out.end()) continue;
      const auto sampler = make_sampler({.name = one.at("sampler"), .num_inference_steps = n}, schedule);
      const std::vector<int64_t>& steps = sampler->timesteps();
      for (size_t i = 0; i < steps.size(); ++i) {
        digest = (digest * 31 + steps[i] * (static_cast<int64_t>(i) + 1) + n) % 2147483647;
      }
    }
    CHECK_MESSAGE(digest == one.at("digest").get<int64_t>(), one.dump());
  }
}

TEST_CASE("chains that do not fit are refused") {
  const NoiseSchedule leading({});
  CHECK_THROWS_AS(leading.timesteps(0), Error);
  CHECK_THROWS_AS(leading.timesteps(1001), Error);
  CHECK_THROWS_AS(leading.timesteps(1000), Error);  // offset 1 would start at 1000
  CHECK(NoiseSchedule({.steps_offset = 0}).timesteps(1000).front() == 999);
  CHECK_THROWS_AS(make_sampler({.name = "dpm-solver++", .num_inference_steps = 1000}, leading), Error);
  CHECK_THROWS_AS(make_sampler({.name = "euler"}, leading), Error);
  CHECK_THROWS_AS(leading.alpha_cumprod(int64_t{1000}), Error);
}

TEST_CASE("options survive JSON; unknown keys and bad values are bad input") {
  ScheduleOptions options{.num_train_timesteps = 77, .beta_schedule = "squaredcos_cap_v2", .prediction_type = "v_prediction",
                          .timestep_spacing = "trailing", .steps_offset = 0, .set_alpha_to_one = true, .clip_sample = true};
  CHECK(ScheduleOptions::from_json(options.to_json(), "m.h5") == options);
  for (const char* bad : {R"({"beta_shedule":"linear"})", R"({"beta_schedule":"sigmoid"})", R"({"num_train_timesteps":0})",
                          R"({"steps_offset":"1"})", R"({"prediction_type":"noise"})", R"({"beta_start":0.5})", "[]"}) {
    try {
      ScheduleOptions::from_json(Json::parse(bad), "m.h5");
      FAIL(bad << " was accepted");
    } catch (const Error& error) {
      CHECK(error.exit() == Exit::kBadInput);
    }
  }
}

TEST_CASE("adding noise, targets and predictions are inverse to each other") {
  for (const char* type : {"epsilon", "sample", "v_prediction"}) {
    ScheduleOptions options;
    options.prediction_type = type;
    const NoiseSchedule schedule(options);
    const Tensor x0 = at::arange(12, at::kDouble).reshape({3, 2, 2}) / 6 - 1, eps = (x0 * 3).sin();
    const Tensor t = at::tensor({0, 400, 950}, at::kLong);
    const Tensor x_t = schedule.add_noise(x0, eps, t), a = schedule.alpha_cumprod(t).reshape({3, 1, 1});
    CHECK(largest_difference(x_t, a.sqrt() * x0 + (1 - a).sqrt() * eps) < 1e-15);
    const Prediction p = predict(schedule.prediction_type(), schedule.training_target(x0, eps, t), x_t, a);
    CHECK(largest_difference(p.x0, x0) < 1e-12);
    CHECK(largest_difference(p.eps, eps) < 1e-12);
  }
  const NoiseSchedule schedule({});
  const Tensor t = at::tensor({-5, 0, 999}, at::kLong);
  CHECK(schedule.alpha_cumprod(t)[0].item<double>() == schedule.alphas_cumprod().front());
  CHECK(schedule.alpha_cumprod_like(t, at::zeros({3, 1, 28, 28})).sizes().vec() == std::vector<int64_t>{3, 1, 1, 1});
  CHECK(NoiseSchedule({.set_alpha_to_one = true}).alpha_cumprod(int64_t{-1}) == 1.0);
}

}  // namespace plumb::diffusion
