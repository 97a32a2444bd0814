// Learned rewards of sequences and vectors: items, and the differentiable path.   SPDX-License-Identifier: Apache-2.0
#include "rewards/network_reward.h"

#include <torch/csrc/autograd/autograd.h>

#include "artefacts.h"

namespace plumb::rewards {
using namespace test;

namespace {

/// A regressor with random weights for items of `space`, as an artefact.
std::string write_regressor_of(const std::string& path, const io::Space& space) {
  auto predictor = nn::make_predictor(nn::predictor_preset("auto", space, 1), "test");
  nn::initialise(*predictor, 5);
  io::H5Writer writer(path);
  nn::write_predictor(writer, *predictor);
  const io::Json reward{{"type", "regressor"}, {"network", predictor->config()}, {"target", {{"name", "x"}, {"mean", 3.0}, {"std", 2.0}}}};
  io::commit_artefact(writer, io::Manifest({{"format", "plumb/1"}, {"kind", "reward"}, {"space", space.to_json()}, {"reward", reward}}));
  return path;
}

at::Tensor random_values(const std::vector<int64_t>& shape, uint64_t seed) {
  at::Tensor values = at::empty(shape, at::kFloat);
  Philox(seed, Stream::kSubset).fill_normal(values.mutable_data_ptr<float>(), values.numel());
  return values;
}

}  // namespace

TEST_CASE("learned: sequences enter one-hot, their gradient goes through 2 softmax((x0 + 1) / 2 / 0.1) - 1") {
  const Folder folder;
  const io::Space space{"sequence", {12}, "ACGT"};
  const std::string file = write_regressor_of(folder / "r.h5", space);
  const auto reward = make_reward("learned:" + file, space, at::kCPU);
  const at::Tensor codes = (random_values({70, 12}, 1).abs() * 1.7).clamp(0, 3).to(at::kByte);
  const io::Manifest manifest = io::Manifest::read(file);
  const auto predictor = nn::read_predictor(io::open_artefact(manifest), manifest.json().at("reward").at("network"));
  const at::Tensor one_hot = at::one_hot(codes.to(at::kLong), 4).transpose(1, 2).to(at::kFloat) * 2 - 1;
  const at::Tensor want = predictor->forward(one_hot).squeeze(1).to(at::kDouble) * 2.0 + 3.0;
  const at::Tensor scores = reward->score({codes, {}, 0});
  CHECK(want.std().item<double>() > 1e-4);
  CHECK((scores - want).abs().max().item<double>() < 1e-5);
  CHECK(reward->differentiable());
  CHECK((reward->score_differentiable(one_hot * 2, {}) - want).abs().max().item<double>() < 1e-5);   // saturated letters: the same value

  at::Tensor x0 = (random_values({3, 4, 12}, 2) * 0.1).set_requires_grad(true), twin = x0.detach().clone().set_requires_grad(true);
  torch::autograd::backward({reward->score_differentiable(x0, {}).sum()}, {});
  const at::Tensor p = (twin * 5.0).softmax(1);
  torch::autograd::backward({(predictor->forward(p * 2.0 - 1.0) * 2.0 + 3.0).sum()}, {});
  CHECK(twin.grad().abs().max().item<double>() > 1e-4);
  CHECK((x0.grad() - twin.grad()).abs().max().item<double>() < 1e-4 * twin.grad().abs().max().item<double>());
}

TEST_CASE("learned: vectors enter as they are, with their gradient; another space is refused") {
  const Folder folder;
  const io::Space space{"vector", {6}, ""};
  const std::string file = write_regressor_of(folder / "r.h5", space);
  const auto reward = make_reward("learned:" + file, space, at::kCPU);
  const at::Tensor items = random_values({5, 6}, 3) * 4;   // beyond [-1,1]: not clamped
  at::Tensor x0 = items.clone().set_requires_grad(true);
  const at::Tensor direct = reward->score_differentiable(x0, {});
  CHECK((direct - reward->score({items, {}, 0})).abs().max().item<double>() < 1e-5);
  torch::autograd::backward({direct.sum()}, {});
  CHECK(x0.grad().abs().min().item<double>() > 0);
  CHECK(exit_of([&] { make_reward("learned:" + file, {"sequence", {6}, "ACGT"}, at::kCPU); }) == Exit::kBadInput);
}

}  // namespace plumb::rewards
