// The last-layer bonus: numbers by hand, its other form, its gradient, how it shrinks.   SPDX-License-Identifier: Apache-2.0
#include "rewards/bonus.h"

#include <cmath>

#include "nn/denoiser.h"
#include "nn/predictor.h"
#include "offline_case.h"
#include "unit/gradcheck.h"

namespace plumb::rewards {
using namespace test;

namespace {

FeatureMoments moments_of(const at::Tensor& features) {
  FeatureMoments moments;
  for (const at::Tensor& part : features.split(3)) moments.add(part);   // batches do not matter
  return moments;
}

}  // namespace

TEST_CASE("bonus: the Gram form, its gradient and the kernel form of the same number") {
  const io::Json reference_case = offline_case("gp_bonus_gram"), in = reference_case["inputs"], want = reference_case["expected"];
  const double atol = reference_case["atol"].get<double>(), lambda = in["lam"].get<double>(), scale = in["C"].get<double>();
  const at::Tensor features = tensor_of(in["Phi"]);
  at::Tensor phi = tensor_of(in["phi"]).unsqueeze(0).set_requires_grad(true);
  const FeatureMoments moments = moments_of(features);
  CHECK(moments.count() == 4);
  const at::Tensor factor = bonus_factor(moments.gram(), lambda);
  CHECK(largest_difference(factor.matmul(factor.t()), tensor_of(want["A"])) < atol);
  const at::Tensor g = bonus(phi, factor, scale);
  CHECK(std::abs(g.item<double>() - want["bonus"].get<double>()) < atol);
  CHECK(std::abs(std::pow(g.item<double>() / scale, 2) - want["quad"].get<double>()) < atol);
  torch::autograd::backward({g.sum()}, {});
  CHECK(largest_difference(phi.grad().squeeze(0), tensor_of(want["dbonus_dphi"])) < atol);
  // dual: [k(x,x) - k_x^T (K + lambda I)^-1 k_x] / lambda
  const at::Tensor k = features.matmul(phi.detach().t()), kernel = features.matmul(features.t()) + lambda * at::eye(4, at::kDouble);
  const at::Tensor dual = (phi.detach().square().sum() - k.t().matmul(at::linalg_solve(kernel, k)).squeeze()) / lambda;
  CHECK(std::abs(dual.item<double>() - want["quad_dual_form"].get<double>()) < atol);
}

TEST_CASE("bonus: with the centred covariance") {
  const io::Json reference_case = offline_case("gp_bonus_centred_cov_variant"), in = reference_case["inputs"], want = reference_case["expected"];
  const double atol = reference_case["atol"].get<double>();
  const FeatureMoments moments = moments_of(tensor_of(in["Phi"]));
  const at::Tensor factor = bonus_factor(moments.centred(), in["lam"].get<double>());
  CHECK(largest_difference(factor.matmul(factor.t()), tensor_of(want["cov"])) < atol);   // with lambda on its diagonal
  const at::Tensor g = bonus(tensor_of(in["phi"]).unsqueeze(0), factor, in["C"].get<double>());
  CHECK(std::abs(g.item<double>() - want["bonus"].get<double>()) < atol);
  CHECK(exit_of([] { moments_of(at::ones({1, 2}, at::kDouble)).centred(); }) == Exit::kBadInput);
}

TEST_CASE("bonus: its gradient goes through the network to the item") {
  for (const char* activation : {"silu", "relu"}) {
    auto network = nn::make_predictor({{"type", "mlp"}, {"config", {{"elements", 3}, {"hidden", {8, 6}}, {"activation", activation}, {"input_scale", 0.5}}}}, "test");
    nn::initialise(*network, 7);
    network->to(at::kDouble);
    network->set_requires_grad(false);
    FeatureMoments moments;
    moments.add(with_constant(network->features(normal_values(40, 3, 1))));
    const at::Tensor factor = bonus_factor(moments.gram(), 0.1);
    const at::Tensor x = normal_values(4, 3, 2) * 3;
    CHECK(plumb::test::gradient_error([&] { return bonus(with_constant(network->features(x)), factor, 2).sum(); }, {x}) < 1e-8);
    CHECK(x.grad().abs().max().item<double>() > 1e-3);
  }
}

TEST_CASE("bonus: falls like 1 / sqrt(n) where the data are, stays where they are not, and does not depend on the batch") {
  const at::Tensor inside = with_constant(normal_values(50, 3, 3));
  at::Tensor beyond = at::zeros({1, 4}, at::kDouble);
  beyond[0][3] = 1;
  double small_n = 0, large_n = 0, small_beyond = 0, large_beyond = 0;
  for (const int64_t n : {500, 8000}) {
    at::Tensor features = at::cat({normal_values(n, 3, 4), at::zeros({n, 1}, at::kDouble)}, 1);   // the fourth direction is never seen
    const at::Tensor factor = bonus_factor(moments_of(features).gram(), 0.1);
    const at::Tensor g = bonus(at::cat({inside.narrow(1, 0, 3), at::zeros({50, 1}, at::kDouble)}, 1), factor, 1);
    (n == 500 ? small_n : large_n) = g.mean().item<double>();
    (n == 500 ? small_beyond : large_beyond) = bonus(beyond, factor, 1).item<double>();
    CHECK(largest_difference(bonus(inside.narrow(0, 7, 1), factor, 1), bonus(inside, factor, 1).narrow(0, 7, 1)) < 1e-14);
  }
  CHECK(small_n / large_n == doctest::Approx(4).epsilon(0.08));        // sqrt(8000 / 500)
  CHECK(small_beyond == doctest::Approx(1 / std::sqrt(0.1)).epsilon(1e-9));
  CHECK(large_beyond == doctest::Approx(1 / std::sqrt(0.1)).epsilon(1e-9));
  CHECK(bonus(at::zeros({1, 4}, at::kDouble), bonus_factor(at::eye(4, at::kDouble), 0), 1).item<double>() == doctest::Approx(1e-6));   // the clamp
  CHECK(exit_of([] { bonus_factor(-at::eye(2, at::kDouble), 0.5); }) == Exit::kBadNumbers);
}

}  // namespace plumb::rewards
