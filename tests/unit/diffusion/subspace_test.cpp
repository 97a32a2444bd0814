// The subspace network through the schedule's clean-sample prediction: case subspace_score of offline-design.json.
// SPDX-License-Identifier: Apache-2.0
#include "nn/subspace_denoiser.h"

#include <cmath>

#include "core/error.h"
#include "diffusion/schedule.h"
#include "unit/diffusion/helpers.h"

namespace plumb::diffusion {

using namespace testing;

TEST_CASE("subspace score: x0_hat = V m, score = (sqrt(a) x0_hat - x) / (1 - a), eps = -sqrt(1 - a) score") {
  const Json file = read_numeric("offline-design.json");
  Json one;
  for (const Json& entry : file.at("cases")) {
    if (entry.at("name") == "subspace_score") one = entry;
  }
  const Json& in = one.at("inputs"), &want = one.at("expected");
  const double tolerance = one.at("atol");
  nn::MlpOptions options;
  options.elements = 4;
  options.hidden = {3};
  nn::SubspaceDenoiser network(options, 2);
  network.to(at::kDouble);
  {
    const at::NoGradGuard no_grad;
    for (auto& [name, tensor] : network.parameters()) {   // m is the constant of the last bias
      tensor.zero_();
      if (name == "basis") tensor.copy_(tensor_of(in.at("V")));
      if (name == "network.mlp.layers.1.bias") tensor.copy_(tensor_of(in.at("m")));
    }
  }
  const at::NoGradGuard no_grad;
  const Tensor x = tensor_of(in.at("x")).unsqueeze(0);
  const Tensor x0 = network.forward(x, at::zeros({1}, at::kLong), {});
  const double a = in.at("abar");
  const Prediction p = predict(PredictionType::kSample, x0, x, at::full({1, 1}, a, at::kDouble));
  check_close(p.x0[0], want.at("x0_hat"), tolerance);
  check_close(p.eps[0], want.at("eps"), tolerance);
  check_close(p.eps[0] / -std::sqrt(1 - a), want.at("score"), tolerance);
}

TEST_CASE("subspace: subspace_angle_error") {
  const Json file = read_numeric("offline-design.json");
  Json one;
  for (const Json& entry : file.at("cases")) {
    if (entry.at("name") == "subspace_angle_error") one = entry;
  }
  const Tensor a = tensor_of(one.at("inputs").at("A")), v = tensor_of(one.at("inputs").at("V"));
  CHECK(std::abs(nn::subspace_angle_error(v, a) - one.at("expected").at("error").get<double>()) < one.at("atol").get<double>());
  const auto direct = [](const Tensor& x, const Tensor& y) { return (at::matmul(x, x.t()) - at::matmul(y, y.t())).square().sum().item<double>(); };
  CHECK(std::abs(nn::subspace_angle_error(v, a) - direct(v, a)) < 1e-12);
  const Tensor longer = v.narrow(1, 0, 1) * 2;   // another dimension and length: the same formula
  CHECK(std::abs(nn::subspace_angle_error(longer, a) - direct(longer, a)) < 1e-12);
  CHECK(nn::subspace_angle_error(a, a.flip(1)) == 0.0);   // another basis of it
  CHECK(nn::subspace_angle_error(a, at::eye(4, at::kDouble).narrow(1, 2, 2)) == 4.0);
  CHECK_THROWS_AS(nn::subspace_angle_error(a, at::ones({3, 2}, at::kDouble)), Error);
}

}  // namespace plumb::diffusion
