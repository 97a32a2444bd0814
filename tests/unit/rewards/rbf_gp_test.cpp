// Exact Gaussian processes: numbers by hand, gradients, limits.   SPDX-License-Identifier: Apache-2.0
#include "rewards/rbf_gp.h"

#include "offline_case.h"
#include "unit/gradcheck.h"

namespace plumb::rewards {
using namespace test;

TEST_CASE("rbf_gp: posterior of three points") {
  const io::Json reference_case = offline_case("rbf_gp_posterior"), in = reference_case["inputs"], want = reference_case["expected"];
  const double atol = reference_case["atol"].get<double>();
  const RbfGp gp(tensor_of(in["X"]).unsqueeze(1), tensor_of(in["y"]),
                 {in["lengthscale"].get<double>(), in["noise_var"].get<double>(), in["signal_var"].get<double>()});
  const at::Tensor at_points = tensor_of(in["x_star"]).unsqueeze(1);
  const RbfGp::Posterior posterior = gp.posterior(at_points);
  CHECK(largest_difference(posterior.mean, tensor_of(want["mean"])) < atol);
  CHECK(largest_difference(posterior.variance, tensor_of(want["var"])) < atol);
  CHECK(largest_difference(posterior.variance.sqrt(), tensor_of(want["std"])) < atol);
  CHECK(largest_difference(posterior.mean - posterior.variance.sqrt(), tensor_of(want["lcb_C1"])) < atol);
  CHECK(largest_difference(gp.mean(at_points), posterior.mean) < 1e-12);
}

TEST_CASE("rbf_gp: gradients of mean and deviation, also through the flattened items") {
  RbfGpPredictor network(RbfGp(normal_values(30, 6, 1), normal_values(30, 1, 2).squeeze(1), {0, 0.01, 1}), 6);
  const at::Tensor x = normal_values(4, 6, 3).view({4, 2, 3});
  CHECK(plumb::test::gradient_error([&] { return network.posterior(x).mean.sum(); }, {x}) < 1e-8);
  CHECK(plumb::test::gradient_error([&] { return network.posterior(x).variance.sqrt().sum(); }, {x}) < 1e-8);
  CHECK(x.grad().abs().max().item<double>() > 1e-3);
  CHECK(largest_difference(network.forward(x.detach()).squeeze(1), network.posterior(x.detach()).mean) < 1e-12);
}

TEST_CASE("rbf_gp: the median distance, and what is refused") {
  const at::Tensor x = at::tensor({0.0, 1.0, 3.0}, at::kDouble).unsqueeze(1);   // distances 1, 3, 2
  CHECK(median_distance(x) == doctest::Approx(2));
  CHECK(median_distance(at::zeros({3, 2}, at::kDouble)) == 1);
  CHECK(RbfGp(x, at::zeros({3}, at::kDouble), {}).length() == doctest::Approx(2));
  CHECK(exit_of([] { RbfGp(at::zeros({kMostGpItems + 1, 1}), at::zeros({kMostGpItems + 1}), {}); }) == Exit::kBadInput);
  CHECK(exit_of([&] { RbfGp(at::cat({x, x}), at::zeros({6}, at::kDouble), {1, -0.5, 1}); }) == Exit::kBadNumbers);
}

}  // namespace plumb::rewards
