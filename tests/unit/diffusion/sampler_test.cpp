// Samplers against diffusers' schedulers with the same network and noise (tests/numeric/make_scheduler_reference.py), and the
// independence of a sample from its batch.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/sampler.h"

#include <cmath>

#include "core/error.h"
#include "unit/diffusion/helpers.h"

namespace plumb::diffusion {
namespace {

using namespace testing;

Tensor network(const Tensor& x, int64_t t, const std::string& prediction_type) {
  const double g = static_cast<double>(t) / 1000;
  if (prediction_type == "epsilon") return x * (1 - std::exp(-4 * g)) + 0.2 * (2 * x + 3 * g).sin();
  if (prediction_type == "sample") return 0.8 * x.tanh() + 0.1 * g;
  return 0.3 * (2 * x + 3 * g).sin();
}

Tensor formula_noise(int64_t i) {  // as noise() of the script
  return (1.4 * (0.37 * static_cast<double>((i + 2) * (i + 2)) + 2.3 * at::arange(16, at::kDouble) + 0.5).sin()).reshape({2, 8}).to(at::kFloat);
}

}  // namespace

TEST_CASE("each sampler ends where diffusers' scheduler ends, on tables of either precision") {
  const Json reference = read_numeric("scheduler_reference.json");
  REQUIRE(reference.at("chains").size() >= 12);
  for (const Json& one : reference.at("chains")) {
    const auto check = [&](const std::string& table_dtype, const char* expected, double tolerance) {
      ScheduleOptions options = ScheduleOptions::from_json(one.at("schedule"), "reference");
      options.table_dtype = table_dtype;
      const NoiseSchedule schedule(options);
      const auto sampler = make_sampler({.name = one.at("sampler"), .num_inference_steps = one.at("steps"), .eta = one.at("eta")}, schedule);
      REQUIRE(sampler->timesteps().size() == one.at("steps").get<size_t>());
      Tensor x = formula_noise(-1);
      for (size_t i = 0; i < sampler->timesteps().size(); ++i) {
        const Tensor output = network(x, sampler->timesteps()[i], options.prediction_type);
        x = sampler->step(i, x, output, sampler->needs_noise(i) ? formula_noise(static_cast<int64_t>(i)) : Tensor());
      }
      const double difference = largest_difference(x, tensor_of(one.at(expected)));
      CHECK_MESSAGE(difference <= tolerance, one.at("sampler") << " " << one.at("steps") << " " << options.to_json() << ": " << difference);
    };
    check("float32", "final", 1e-4);  // diffusers as shipped
    if (one.contains("final_float64_tables")) check("float64", "final_float64_tables", 1e-5);
  }
}

TEST_CASE("a sample does not depend on its batch, and a resumed multistep chain starts afresh") {
  const NoiseSchedule schedule({.beta_schedule = "squaredcos_cap_v2", .prediction_type = "v_prediction"});
  TinyDenoiser denoiser(3);
  const at::NoGradGuard no_grad;
  for (const std::string& name : sampler_names()) {
    const auto sampler = make_sampler({.name = name, .num_inference_steps = 10}, schedule);
    const ModelFunction guided = [&](size_t, const Tensor& x_t, const Tensor& timestep, const nn::Condition& condition) {
      return GuidedDenoiser{denoiser, 2.0}(x_t, timestep, condition);
    };
    const auto draw = [&](const std::vector<int64_t>& items, uint64_t seed) {
      nn::Condition condition;
      condition.label = choose_labels("random", items, 3, seed);
      return run_chain(*sampler, guided, items, seed, {4}, condition, at::kCPU);
    };
    const Tensor all = draw({5, 6, 7, 1000000007}, 3);
    CHECK(largest_difference(draw({7}, 3)[0], all[2]) <= 1e-6);
    CHECK(largest_difference(draw({1000000007, 5}, 3), at::stack({all[3], all[0]})) <= 1e-6);
    CHECK(largest_difference(draw({7}, 4)[0], all[2]) > 1e-2);
    CHECK(largest_difference(all[0], all[1]) > 1e-2);
  }
}

TEST_CASE("the observer sees a connected chain, and steps draw noise of their own") {
  const NoiseSchedule schedule({});
  TinyDenoiser denoiser;
  const at::NoGradGuard no_grad;
  const auto sampler = make_sampler({.name = "ddim", .num_inference_steps = 5, .eta = 1.0}, schedule);
  Tensor last, first_noise;
  std::vector<int64_t> seen;
  const ModelFunction model = [&](size_t, const Tensor& x_t, const Tensor& t, const nn::Condition& c) { return denoiser.forward(x_t, t, c); };
  const Tensor x0 = run_chain(*sampler, model, {1, 2}, 9, {4}, {}, at::kCPU,
                              [&](size_t i, int64_t t, const Tensor& x_t, const Tensor& output, const Tensor& next) {
    CHECK(i == seen.size());
    seen.push_back(t);
    if (last.defined()) CHECK(at::equal(x_t, last));
    last = next;
    const Tensor noise = next - sampler->step(i, x_t, output, at::zeros_like(x_t));
    if (first_noise.defined()) CHECK(largest_difference(noise, first_noise) > 1e-3);
    first_noise = noise;
  });
  CHECK(seen == sampler->timesteps());
  CHECK(at::equal(x0, last));
  CHECK(denoiser.calls == 5);
}

TEST_CASE("labels: in turn, at random by item, none, one class") {
  CHECK(at::equal(choose_labels("balanced", {9, 10, 11, 3}, 10, 0), at::tensor({9, 0, 1, 3}, at::kLong)));
  CHECK(at::equal(choose_labels("none", {1, 2}, 10, 0), at::tensor({10, 10}, at::kLong)));
  CHECK(at::equal(choose_labels("7", {1, 2}, 10, 0), at::tensor({7, 7}, at::kLong)));
  std::vector<int64_t> items(1000);
  for (size_t i = 0; i < items.size(); ++i) items[i] = static_cast<int64_t>(i);
  CHECK(at::equal(choose_labels("balanced", {0, 1, 2, 3, 18, 19, 20}, 10, 0, 2), at::tensor({0, 0, 1, 1, 9, 9, 0}, at::kLong)));
  const Tensor in_twos = choose_labels("random", {4, 5, 6, 7}, 10, 5, 2), firsts = choose_labels("random", {4, 6}, 10, 5);
  CHECK(at::equal(in_twos, firsts.repeat_interleave(2)));
  const Tensor random = choose_labels("random", items, 10, 5);
  CHECK(at::equal(random.narrow(0, 500, 1), choose_labels("random", {500}, 10, 5)));
  CHECK(at::bincount(random, {}, 10).min().item<int64_t>() > 60);  // 100 each, standard deviation 9.5
  for (const char* bad : {"10", "-1", "balance", "1.5"}) CHECK_THROWS_AS(choose_labels(bad, {1}, 10, 0), Error);
}

}  // namespace plumb::diffusion
