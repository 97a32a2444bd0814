// Policy-gradient losses against the oracles D, E, R and closed forms.   SPDX-License-Identifier: Apache-2.0
#include "align/surrogate.h"

#include <cmath>

#include <torch/csrc/autograd/autograd.h>

#include "diffusion/transition.h"
#include "oracle.h"

using namespace plumb;
using namespace plumb::align;

namespace {

double value_of(const std::vector<std::pair<std::string, double>>& values, const std::string& name) {
  for (const auto& [key, value] : values)
    if (key == name)
      return value;
  FAIL("no figure " << name);
  return 0;
}

Tensor parameter(const Tensor& value) { return value.clone().set_requires_grad(true); }

}  // namespace

TEST_CASE("clipped surrogate [D]") {
  const auto c = oracle("D_ppo_clip");
  const auto& in = c["inputs"];
  const double limit = in["adv_clip_max"];
  const Tensor log_prob = parameter(vector_of(in["logp_new"]));
  const LossTerms terms = clipped_surrogate(log_prob, vector_of(in["logp_old"]),
                                            vector_of(in["advantage"]).clamp(-limit, limit), in["clip_range"]);
  terms.loss.backward();
  CHECK(terms.loss.item<double>() == doctest::Approx(c["expected"]["loss"].get<double>()).epsilon(1e-8));
  CHECK(largest_difference(log_prob.grad(), vector_of(c["expected"]["grad_logp_new"])) < 1e-8);
  CHECK(value_of(terms.means, "approx_kl") ==
        doctest::Approx(c["expected"]["approx_kl_half_sq"].get<double>()).epsilon(1e-6));
  CHECK(value_of(terms.means, "clip_fraction") ==
        doctest::Approx(c["expected"]["clipfrac_ratio_outside"].get<double>()));
  CHECK(value_of(terms.means, "clip_active") == doctest::Approx(c["expected"]["clipfrac_clip_active"].get<double>()));
  CHECK(value_of(terms.maxima, "ratio_dev") == doctest::Approx(std::expm1(4e-4)).epsilon(1e-6));
  CHECK(approx_kl_k3(log_prob, vector_of(in["logp_old"])) ==
        doctest::Approx(c["expected"]["approx_kl_k3"].get<double>()).epsilon(1e-6));
}

TEST_CASE("the published DPOK loss: clamped ratios, no maximum, no gradient outside the range") {
  const Tensor old = at::zeros({4}, at::kDouble), advantage = at::tensor({2.0, 2.0, -3.0, -3.0}, at::kDouble);
  const Tensor log_prob = at::tensor({1.5, 0.5, 1.5, 1.05}, at::kDouble).log().requires_grad_(true);
  const LossTerms terms = clamped_surrogate(log_prob, old, advantage, 0.1);
  terms.loss.backward();
  CHECK(terms.loss.item<double>() == doctest::Approx(-(2 * 1.1 + 2 * 0.9 - 3 * 1.1 - 3 * 1.05) / 4).epsilon(1e-12));
  CHECK(largest_difference(log_prob.grad(), at::tensor({0.0, 0.0, 0.0, 3 * 1.05 / 4}, at::kDouble)) < 1e-12);
}

TEST_CASE("score function [E]") {
  const auto c = oracle("E_score_function");
  const Tensor log_prob = parameter(vector_of(c["inputs"]["logp"]));
  const LossTerms terms = score_function(log_prob, log_prob.detach(), vector_of(c["inputs"]["advantage"]));
  terms.loss.backward();
  CHECK(terms.loss.item<double>() == doctest::Approx(c["expected"]["loss"].get<double>()).epsilon(1e-9));
  CHECK(largest_difference(log_prob.grad(), vector_of(c["expected"]["grad_logp"])) < 1e-12);
}

TEST_CASE("at ratio 1 both losses have the same gradient") {
  const Tensor old = at::tensor({0.3, -1.2, 0.9, 2.0}, at::kDouble),
               advantage = at::tensor({1.5, -0.5, 0.0, -2.0}, at::kDouble);
  const Tensor a = parameter(old), b = parameter(old);
  clipped_surrogate(a, old, advantage, 1e-4).loss.backward();
  score_function(b, old, advantage).loss.backward();
  CHECK(largest_difference(a.grad(), b.grad()) < 1e-15);
}

TEST_CASE("gradient on a one-dimensional Gaussian policy equals the closed form") {
  // x ~ N(theta, s^2): d log p / d theta = (x - theta) / s^2, so dL/dtheta = -mean A (x - theta) / s^2.
  const double s = 0.4;
  const Tensor theta = parameter(at::tensor({0.7}, at::kDouble));
  const Tensor x = at::tensor({0.2, 1.1, 0.9, 0.65}, at::kDouble),
               advantage = at::tensor({1.0, -0.5, 2.0, 0.25}, at::kDouble);
  const diffusion::Transition t{theta.expand({4, 1}), at::full({4}, s, at::kDouble), {}};
  const Tensor log_prob = diffusion::log_prob(x.unsqueeze(1), t, diffusion::Reduce::kMean);
  SUBCASE("score function") { score_function(log_prob, log_prob.detach(), advantage).loss.backward(); }
  SUBCASE("clipped surrogate before the first update") {
    clipped_surrogate(log_prob, log_prob.detach(), advantage, 1e-4).loss.backward();
  }
  const double expected = -(advantage * (x - 0.7)).mean().item<double>() / (s * s);
  CHECK(theta.grad().item<double>() == doctest::Approx(expected).epsilon(1e-12));
}

TEST_CASE("a clip range on mean log-probabilities bounds the true ratio [R]") {
  const auto c = oracle("R_clip_equivalence");
  const auto [low, high] = log_ratio_bounds(c["inputs"]["D"], c["inputs"]["eps"]);
  CHECK(high == doctest::Approx(c["expected"]["hi"].get<double>()).epsilon(1e-8));
  CHECK(low == doctest::Approx(c["expected"]["lo"].get<double>()).epsilon(1e-8));
  CHECK(std::exp(high) == doctest::Approx(c["expected"]["ratio_hi"].get<double>()).epsilon(1e-8));
  CHECK(std::exp(low) == doctest::Approx(c["expected"]["ratio_lo"].get<double>()).epsilon(1e-8));
  CHECK(log_ratio_bounds(784, equivalent_clip_range(784)).second == doctest::Approx(high).epsilon(2e-3));
}
