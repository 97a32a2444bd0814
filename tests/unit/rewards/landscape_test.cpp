// SPDX-License-Identifier: Apache-2.0
#include "artefacts.h"

namespace plumb::rewards {
using namespace test;

namespace {
const io::Space kPlane{"vector", {2}, ""};
}

TEST_CASE("landscape: synthetic_landscape, islands and the trap") {
  const io::Json c = design_case("synthetic_landscape");
  const at::Tensor x = matrix(c.at("inputs").at("x")), want = vector(c.at("expected").at("r_star"));
  auto reward = make_reward("landscape", kPlane, at::kCPU), valid = make_reward("landscape:valid", kPlane, at::kCPU), trap = make_reward("landscape:trap", kPlane, at::kCPU);
  CHECK((reward->score({x, {}, 0}) - want).abs().max().item<double>() < c.at("atol").get<double>());
  const at::Tensor inside = valid->score({x, {}, 0}), caught = trap->score({x, {}, 0});
  for (int64_t i = 0; i < x.size(0); ++i) {
    CHECK(inside[i].item<double>() == (c.at("expected").at("valid")[static_cast<size_t>(i)].get<bool>() ? 1.0 : 0.0));
    CHECK(caught[i].item<double>() == (i == 2 ? 1.0 : 0.0));
  }
  const at::Tensor more = at::tensor({3.0, 4.4, 2.0, 2.0, 3.0, 1.4, 4.2, 4.2, -3.0, -3.0, 1e9, 0.0}, at::kDouble).view({6, 2});
  CHECK(at::equal(trap->score({more, {}, 0}), at::tensor({1.0, 1.0, 0.0, 0.0, 0.0, 0.0}, at::kDouble)));
  CHECK(at::equal(valid->score({more, {}, 0}), at::tensor({1.0, 1.0, 1.0, 0.0, 1.0, 0.0}, at::kDouble)));
  check_alone_equals_batch(*reward, x.to(at::kFloat), {}, 0.0);
}

TEST_CASE("landscape: gradient on an island and none off it; steps have none") {
  auto reward = make_reward("landscape", kPlane, at::kCPU);
  const at::Tensor x = at::tensor({3.5, 2.4, 2.2, 3.1, 0.3, -0.2, 3.3, -3.4, -0.9, 2.8, 2.9, 2.9}, at::kDouble).view({6, 2});
  check_jacobian(*reward, x, {}, 1e-6, 1e-6);
  at::Tensor off = at::tensor({4.8, 4.8}, at::kDouble).view({1, 2}).set_requires_grad(true);
  reward->score_differentiable(off, {}).sum().backward();
  CHECK(off.grad().abs().max().item<double>() == 0.0);
  CHECK_FALSE(make_reward("landscape:trap", kPlane, at::kCPU)->differentiable());
  std::string message;
  CHECK(exit_of([&] { make_reward("landscape:valid", kPlane, at::kCPU)->score_differentiable(x, {}); }, &message) == Exit::kUsage);
  CHECK(message.find("landscape:valid") != std::string::npos);
}

TEST_CASE("landscape: errors") {
  std::string message;
  CHECK(exit_of([&] { make_reward("landscape:traps", kPlane, at::kCPU); }, &message) == Exit::kUsage);
  CHECK(message.find("there is no part 'traps'") != std::string::npos);
  CHECK(exit_of([&] { make_reward("landscape", {"vector", {3}, ""}, at::kCPU); }, &message) == Exit::kBadInput);
  CHECK(message.find("needs vectors of 2 numbers") != std::string::npos);
}

}  // namespace plumb::rewards
