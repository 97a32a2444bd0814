// SPDX-License-Identifier: Apache-2.0
#include "artefacts.h"

#include <fstream>

namespace plumb::rewards {
using namespace test;

namespace {
const io::Space kSpace4{"vector", {4}, ""};
}

TEST_CASE("off-support: off_support, its parts and penalties") {
  const Folder folder;
  const io::Json c = design_case("off_support");
  const at::Tensor x = vector(c.at("inputs").at("x")).unsqueeze(0);
  const std::string file = write_support(folder / "a.npz");
  const auto value = [&](const std::string& rest) { return make_reward("off-support:" + file + rest, kSpace4, at::kCPU)->score({x, {}, 0})[0].item<double>(); };
  const io::Json& want = c.at("expected");
  const double atol = c.at("atol").get<double>();
  CHECK(std::abs(value("") - want.at("reward").get<double>()) < atol);
  CHECK(std::abs(value(",part=norm") - want.at("norm_perp").get<double>()) < atol);
  CHECK(std::abs(value(",part=along") - want.at("norm_par").get<double>()) < atol);
  CHECK(std::abs(value(",part=ratio") - want.at("ratio").get<double>()) < atol);
  CHECK(value(",part=linear") == doctest::Approx(-1.0).epsilon(1e-12));          // 0.6 - 2 0.8
  CHECK(value(",penalty=2") == doctest::Approx(-1.0 - 2 * 0.25).epsilon(1e-12));
}

TEST_CASE("off-support: a turned subspace, alone as in a batch, gradients") {
  const Folder folder;
  // cos, sin of 0.3 in the plane of axes 0 and 2, axis 1; theta off the subspace counts along it only.
  const std::string file = write_support(folder / "a,b.npz", {0.95533648912560602, 0, 0, 1, 0.29552020666133955, 0, 0, 0}, {0.2, 0.5, -0.7, 9.0});
  const at::Tensor x = at::arange(20, at::kDouble).mul(0.7).sin().view({5, 4});
  for (const char* rest : {"", ",part=norm", ",part=along", ",part=ratio", ",part=linear"}) {
    CAPTURE(rest);
    auto reward = make_reward("off-support:" + file + rest, kSpace4, at::kCPU);
    check_alone_equals_batch(*reward, x.to(at::kFloat), {}, 0.0);
    CHECK((reward->score_differentiable(x, {}) - reward->score({x, {}, 0})).abs().max().item<double>() < 1e-12);
    check_jacobian(*reward, x, {}, 1e-6, 1e-6);
  }
  at::Tensor on = at::zeros({1, 4}, at::kDouble).set_requires_grad(true);
  auto norm = make_reward("off-support:" + file + ",part=norm", kSpace4, at::kCPU);
  norm->score_differentiable(on, {}).sum().backward();
  CHECK(on.grad().abs().max().item<double>() == 0.0);   // finite on the subspace itself
}

TEST_CASE("off-support: a table of numbers says what an archive says") {
  const Folder folder;
  const std::string archive = write_support(folder / "a.npz"), table = folder / "a.csv";
  const auto write = [&](const std::string& text) { std::ofstream(table) << text; };
  write("theta, A1,A2\n0.6,1,0\r\n0.8,0,1\n\n0,0,0\n0,0,0\n");
  const at::Tensor x = at::arange(20, at::kDouble).mul(0.7).sin().view({5, 4});
  for (const char* rest : {"", ",part=norm", ",part=linear"}) {
    CHECK(at::equal(make_reward("off-support:" + table + rest, kSpace4, at::kCPU)->score({x, {}, 0}),
                    make_reward("off-support:" + archive + rest, kSpace4, at::kCPU)->score({x, {}, 0})));
  }
  std::string message;
  const auto fails = [&] { return exit_of([&] { make_reward("off-support:" + table, kSpace4, at::kCPU); }, &message); };
  write("theta,B1\n0.6,1\n");
  CHECK(fails() == Exit::kBadInput);
  CHECK(message.find("has no array 'A', nor the columns") != std::string::npos);
  write("theta,A1\n0.6,1\n0.8\n");
  CHECK(fails() == Exit::kBadInput);
  CHECK(message.find("line 3 has 1 fields, the first 2") != std::string::npos);
  write("theta,A1\n0.6,1\n0.8,x\n");
  CHECK(fails() == Exit::kBadInput);
  CHECK(message.find("line 3: 'x' is not a finite number") != std::string::npos);
  write("theta,A1\n0.6,1\n0.8,inf\n");
  CHECK(fails() == Exit::kBadInput);
}

TEST_CASE("off-support: errors") {
  const Folder folder;
  const std::string file = write_support(folder / "a.npz");
  std::string message;
  const auto fails = [&](const std::string& text, const io::Space& space = kSpace4) { return exit_of([&] { make_reward(text, space, at::kCPU); }, &message); };
  CHECK(fails("off-support") == Exit::kUsage);
  CHECK(fails("off-support:" + file + ",part=angle") == Exit::kUsage);
  CHECK(message.find("'part=angle' is not understood") != std::string::npos);
  CHECK(fails("off-support:" + file + ",penalty=1,part=norm") == Exit::kUsage);
  CHECK(fails("off-support:" + file + ",penalty=-1") == Exit::kUsage);
  CHECK(fails("off-support:" + file, {"vector", {5}, ""}) == Exit::kBadInput);
  CHECK(fails("off-support:" + file, image_space(1, 2, 2)) == Exit::kBadInput);
  CHECK(fails("off-support:" + write_support(folder / "b.npz", {1, 0, 0, 1, 0, 0, 0.1, 0})) == Exit::kBadInput);
  CHECK(message.find("not orthonormal") != std::string::npos);
  CHECK(fails("off-support:" + write_support(folder / "c.npz", {1, 0, 0, 1, 0, 0, 0, 0}, {1, 2})) == Exit::kBadInput);
  CHECK(fails("off-support:nosuch.npz") == Exit::kBadInput);
}

}  // namespace plumb::rewards
