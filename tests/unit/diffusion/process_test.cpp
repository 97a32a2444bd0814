// The interface of all reverse processes, for Gaussian chains.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/process.h"

#include <cmath>

#include "core/error.h"
#include "nn/data.h"
#include "unit/diffusion/helpers.h"

namespace plumb::diffusion {
namespace {

using namespace testing;

ModelFunction tiny(TinyDenoiser& denoiser) {
  return [&](size_t, const Tensor& x_t, const Tensor& t, const nn::Condition& c) { return denoiser.forward(x_t, t, c); };
}

}  // namespace

TEST_CASE("a process runs the very chains of its sampler") {
  const NoiseSchedule schedule({.beta_schedule = "squaredcos_cap_v2", .prediction_type = "v_prediction"});
  TinyDenoiser denoiser(3);
  const at::NoGradGuard no_grad;
  const nn::Condition condition{at::tensor({0, 2}, at::kLong)};
  for (const std::string& name : sampler_names()) {
    const SamplerOptions options{.name = name, .num_inference_steps = 6};
    const auto sampler = make_sampler(options, schedule);
    const Tensor one = run_chain(*sampler, tiny(denoiser), {4, 9}, 11, {2, 4}, condition, at::kCPU);
    const auto process = make_gaussian_process(options, schedule, {2, 4});
    CHECK(at::equal(run_process(*process, tiny(denoiser), {11, {4, 9}}, condition), one));
    CHECK(process->is_markov() == (name != "dpm-solver++"));
  }
}

TEST_CASE("an ancestral step: mean of the posterior, noise of the posterior or beta, KL of its means") {
  const NoiseSchedule schedule({.num_train_timesteps = 50, .beta_start = 0.002, .beta_end = 0.4, .timestep_spacing = "leading", .steps_offset = 0});
  const SamplerOptions options{.name = "ddpm", .num_inference_steps = 50, .variance = "beta"};
  const auto process = make_gaussian_process(options, schedule, {3}, true);
  const Tensor x = at::tensor({0.3, -1.2, 0.7}).reshape({1, 3}), eps = at::tensor({0.1, 0.4, -0.2}).reshape({1, 3});
  const Tensor other = eps + 0.25;
  for (const int64_t i : {0, 20, 49}) {
    const int64_t t = 49 - i;
    const double a = schedule.alpha_cumprod(t), b = t > 0 ? schedule.alpha_cumprod(t - 1) : 1.0, alpha = a / b, beta = 1 - alpha;
    const auto step = process->transition(i, x, eps);
    REQUIRE(step);
    CHECK(largest_difference(step->mean, (x - beta / std::sqrt(1 - a) * eps) / std::sqrt(alpha)) < 1e-6);  // Ho et al. 2020, eq. 11
    CHECK(step->sigma.item<double>() == doctest::Approx(std::sqrt(beta)));
    // sum over coordinates of beta / (2 alpha (1 - abar)) (eps - eps')^2
    CHECK(process->step_kl(i, x, eps, other).item<double>() == doctest::Approx(3 * 0.0625 * beta / (2 * alpha * (1 - a))).epsilon(1e-5));
    const Tensor noise = process->noise(i, {5, {7}});
    REQUIRE(noise.defined());
    CHECK(at::allclose(process->advance(i, x, eps, noise), step->mean + std::sqrt(beta) * noise));
  }
  CHECK_THROWS_AS(make_gaussian_process({.name = "ddpm"}, schedule, {3}, true), Error);
  const auto without = make_gaussian_process(options, schedule, {3});
  CHECK_FALSE(without->noise(49, {5, {7}}).defined());
  CHECK(without->noise(48, {5, {7}}).defined());
}

TEST_CASE("path KL cases of offline design: means, drifts, predicted noise under both variances") {
  const Json means = offline_case("path_kl_means"), drift = offline_case("path_kl_drift"), eps = offline_case("path_kl_ddpm_eps");
  {
    const Json& in = means.at("inputs");
    const Tensor kl = gaussian_kl(tensor_of(in.at("mu_theta")), tensor_of(in.at("mu_pre")), tensor_of(in.at("sigma2")).sqrt(), Reduce::kSum);
    check_close(kl, means.at("expected").at("per_step"));
    check_close(kl.sum(), means.at("expected").at("total"));
  }
  {  // an Euler step of dx = f dt + sigma dw: means f dt, deviation sigma sqrt(dt)
    const Json& in = drift.at("inputs");
    const double dt = in.at("dt").get<double>();
    const Tensor kl = gaussian_kl(tensor_of(in.at("f_theta")) * dt, tensor_of(in.at("f_pre")) * dt, tensor_of(in.at("sigma")) * std::sqrt(dt), Reduce::kSum);
    check_close(kl, drift.at("expected").at("per_step"));
    check_close(kl.sum(), drift.at("expected").at("total"));
  }
  const Json& in = eps.at("inputs");
  const Tensor x = at::zeros({1, 2}, at::kDouble), a = tensor_of(in.at("abar")).reshape({1}), b = a / in.at("alpha").get<double>();
  const Tensor own = tensor_of(in.at("eps_theta")).reshape({1, 2}), reference = tensor_of(in.at("eps_pre")).reshape({1, 2});
  const auto kl = [&](StepVariance v) {
    const Transition p = ddpm_transition(PredictionType::kEpsilon, own, x, a, b, v), q = ddpm_transition(PredictionType::kEpsilon, reference, x, a, b, v);
    return gaussian_kl(p.mean, q.mean, p.sigma, Reduce::kSum).squeeze();
  };
  check_close(kl(StepVariance::kBeta), eps.at("expected").at("kl_sigma2_beta"));
  check_close(kl(StepVariance::kPosterior), eps.at("expected").at("kl_posterior_var"));
}

}  // namespace plumb::diffusion
