// KL to the base model against the oracles K, and guidance [C].   SPDX-License-Identifier: Apache-2.0
#include "align/kl.h"

#include <cmath>

#include "core/error.h"
#include "diffusion/sampler.h"
#include "diffusion/transition.h"
#include "oracle.h"

using namespace plumb;
using namespace plumb::align;

TEST_CASE("KL of equal-variance Gaussians [K]") {
  const auto c = oracle("K_kl_gaussian");
  const Tensor mean = matrix_of(c["inputs"]["mean_theta"]), ref = matrix_of(c["inputs"]["mean_ref"]);
  const Tensor sigma = vector_of(c["inputs"]["sigma"]);
  CHECK(largest_difference(diffusion::gaussian_kl(mean, ref, sigma, diffusion::Reduce::kMean),
                           vector_of(c["expected"]["kl_mean"])) < 1e-9);
  CHECK(largest_difference(diffusion::gaussian_kl(mean, ref, sigma, diffusion::Reduce::kSum),
                           vector_of(c["expected"]["kl_sum"])) < 1e-9);
}

TEST_CASE("the KL of a step from noise predictions has DPOK's weight [K]") {
  const auto c = oracle("K_kl_eps_space");
  const Tensor a = vector_of(c["inputs"]["alpha_bar_t"]), b = vector_of(c["inputs"]["alpha_bar_prev"]);
  const Tensor eps = matrix_of(c["inputs"]["eps_theta"]), ref = matrix_of(c["inputs"]["eps_ref"]);
  const Tensor x_t = matrix_of(oracle("B_ddim_logprob_eta1.0")["inputs"]["x_t"]);
  const auto step = [&](const Tensor& output) {
    return diffusion::ddim_transition(diffusion::PredictionType::kEpsilon, output, x_t, a, b, c["inputs"]["eta"]);
  };
  const diffusion::Transition policy = step(eps), base = step(ref);
  const Tensor kl = diffusion::gaussian_kl(policy.mean, base.mean, policy.sigma, diffusion::Reduce::kMean);
  CHECK(largest_difference(kl, vector_of(c["expected"]["kl_mean"])) < 1e-9);
  const Tensor gain = noise_gain(a, b, policy.sigma);
  CHECK(largest_difference(gain, vector_of(c["expected"]["c_t"])) < 1e-8);
  CHECK(largest_difference(gain.square() / (2 * policy.sigma.square()), vector_of(c["expected"]["weight"])) < 1e-8);
  const Tensor noise_error = (eps - ref).square().mean(1);
  CHECK(largest_difference(noise_error, vector_of(c["expected"]["mse_eps"])) < 1e-12);
  CHECK(largest_difference(gain.square() / (2 * policy.sigma.square()) * noise_error, kl) < 1e-12);
}

TEST_CASE("penalty shapes [K]") {
  const auto c = oracle("K_kl_penalty_modes");
  const Tensor log_prob = vector_of(c["inputs"]["logp"]), ref = vector_of(c["inputs"]["logp_ref"]);
  for (const auto& [shape, expected] : c["expected"].items()) {
    CAPTURE(shape);
    CHECK(largest_difference(kl_penalty(parse_kl_shape(shape), log_prob, ref), vector_of(expected)) < 1e-8);
  }
  CHECK_THROWS_AS(parse_kl_shape("k2"), Error);
}

TEST_CASE("the mean of the k3 shape under the policy is the KL to the reference, that of approx is not") {
  // N(0.5, 1) against N(0, 1): KL 0.125; d = l - l_ref = 0.5 x - 0.125, over a fine grid of the policy's quantiles.
  const int64_t n = 20001;
  const Tensor u = (at::arange(n, at::kDouble) + 0.5) / static_cast<double>(n), x = 0.5 + std::sqrt(2.0) * at::erfinv(2 * u - 1);
  const Tensor log_prob = -0.5 * (x - 0.5).square(), log_prob_ref = -0.5 * x.square();
  CHECK(kl_penalty(KlShape::kK3, log_prob, log_prob_ref).mean().item<double>() == doctest::Approx(0.125).epsilon(1e-3));
  CHECK(kl_penalty(KlShape::kKl, log_prob, log_prob_ref).mean().item<double>() == doctest::Approx(0.125).epsilon(1e-3));
  CHECK(kl_penalty(KlShape::kApprox, log_prob, log_prob_ref).mean().item<double>() == doctest::Approx(std::exp(0.25) - 1.125).epsilon(1e-2));
}

TEST_CASE("adaptive coefficient [K]") {
  const auto c = oracle("K_kl_controller");
  const auto& in = c["inputs"];
  KlController controller(in["value"], in["target"], in["horizon"]);
  controller.update(in["current"], in["n"]);
  CHECK(controller.value() == doctest::Approx(c["expected"]["value"].get<double>()).epsilon(1e-12));
  KlController fixed(0.2, 0, 2000);
  fixed.update(100, 256);
  CHECK(fixed.value() == 0.2);
}

TEST_CASE("classifier-free guidance [C]") {
  const auto c = oracle("C_cfg");
  struct TwoAnswers : nn::Denoiser {
    Tensor without, with;
    Tensor forward(const Tensor& x, const Tensor&, const nn::Condition& condition) override {
      const Tensor null_class = (condition.label == 1).unsqueeze(1);
      return at::where(null_class, without, with).expand_as(x);
    }
    int64_t num_classes() const override { return 1; }
    io::Json config() const override { return {}; }
  } denoiser;
  denoiser.without = vector_of(c["inputs"]["eps_uncond"]);
  denoiser.with = vector_of(c["inputs"]["eps_cond"]);
  const nn::Condition condition{at::zeros({1}, at::kLong)};
  const Tensor guided = diffusion::GuidedDenoiser{denoiser, c["inputs"]["w"]}(at::zeros({1, 3}, at::kDouble),
                                                                              at::zeros({1}, at::kLong), condition);
  CHECK(largest_difference(guided[0], vector_of(c["expected"]["eps"])) < 1e-12);
}
