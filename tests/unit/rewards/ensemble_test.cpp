// Ensembles: penalties by hand, resamples, prior networks.   SPDX-License-Identifier: Apache-2.0
#include "rewards/ensemble.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "nn/denoiser.h"
#include "offline_case.h"
#include "unit/gradcheck.h"

namespace plumb::rewards {
using namespace test;

namespace {

const io::Json kMlp{{"type", "mlp"}, {"config", {{"elements", 3}, {"hidden", {16, 8}}, {"activation", "relu"}}}};

}  // namespace

TEST_CASE("ensemble: the three penalties, and their gradients") {
  const io::Json reference_case = offline_case("bootstrap_penalty"), in = reference_case["inputs"], want = reference_case["expected"];
  const double atol = reference_case["atol"].get<double>(), kappa = in["kappa"].get<double>(), tau = in["tau"].get<double>();
  const at::Tensor members = tensor_of(in["preds"]);
  CHECK(largest_difference(penalised(members, {"min", kappa, tau}), tensor_of(want["min"])) < atol);
  CHECK(largest_difference(penalised(members, {"mean-std", kappa, tau}), tensor_of(want["mean_minus_kstd"])) < atol);
  CHECK(largest_difference(penalised(members, {"softmin", kappa, tau}), tensor_of(want["softmin"])) < atol);
  for (const char* kind : {"min", "mean-std", "softmin"}) {
    const at::Tensor values = members.clone();
    CHECK(plumb::test::gradient_error([&] { return penalised(values, {kind, kappa, tau}).sum(); }, {values}) < 1e-8);
  }
  at::Tensor same = at::ones({3, 2}, at::kDouble).set_requires_grad(true);   // all agree: a finite gradient
  torch::autograd::backward({penalised(same, {"mean-std", 2, tau}).sum()}, {});
  CHECK(largest_difference(same.grad(), at::full({3, 2}, 1.0 / 3, at::kDouble)) < 1e-12);
  CHECK(exit_of([&] { penalised(members, {"max", 1, 1}); }) == Exit::kUsage);
}

TEST_CASE("ensemble: each member has a resample and weights of its own") {
  std::vector<int64_t> rows(2000);
  std::iota(rows.begin(), rows.end(), int64_t{100});
  const std::vector<int64_t> first = resample(rows, 3, 0), second = resample(rows, 3, 1);
  CHECK(first.size() == rows.size());
  CHECK(first != second);
  CHECK(first == resample(rows, 3, 0));
  const auto distinct = static_cast<double>(std::set<int64_t>(first.begin(), first.end()).size());
  CHECK(distinct / 2000 == doctest::Approx(1 - std::exp(-1.0)).epsilon(0.05));   // 1 - (1 - 1/n)^n
  CHECK(*std::min_element(first.begin(), first.end()) >= 100);
  CHECK(member_seed(3, 0) != member_seed(3, 1));
  auto a = make_member(kMlp, "test", 0, 3, 0), b = make_member(kMlp, "test", 0, 3, 1), again = make_member(kMlp, "test", 0, 3, 1);
  const at::Tensor x = normal_values(5, 3, 1).to(at::kFloat);
  CHECK(largest_difference(a->forward(x), b->forward(x)) > 1e-3);
  CHECK(largest_difference(b->forward(x), again->forward(x)) == 0);
}

TEST_CASE("ensemble: a prior network is added, frozen, and drawn by its own rule") {
  auto plain = make_member(kMlp, "test", 0, 3, 2), with = make_member(kMlp, "test", 3, 3, 2);
  auto prior = nn::make_predictor(kMlp, "test");
  draw_prior(*prior, 3, 2);
  const at::Tensor x = normal_values(5, 3, 1).to(at::kFloat);
  CHECK(largest_difference(with->forward(x), plain->forward(x) + 3 * prior->forward(x)) < 1e-5);
  CHECK(prior->forward(x).std().item<double>() > 0.05);
  CHECK(with->parameter_count() == plain->parameter_count());
  CHECK(with->state().size() == 2 * plain->state().size());
  with->set_requires_grad(true);
  for (const auto& [name, tensor] : with->state()) CHECK(tensor.requires_grad() == name.starts_with("trained."));
  for (const auto& [name, tensor] : prior->state()) {
    if (!name.starts_with("mlp.layers.1.")) continue;   // fan-in 16
    const double bound = tensor.dim() == 2 ? 1.7 / 4 : 1.0 / 4, largest = tensor.abs().max().item<double>();
    CHECK(largest <= bound);
    CHECK(largest > (tensor.dim() == 2 ? 0.9 : 0.5) * bound);   // of 128 draws, of 8
  }
  auto other = make_member(kMlp, "test", 3, 3, 2);
  draw_prior(*prior, 3, 1);
  other->load_state(with->state(), "test");   // a round trip carries the prior
  CHECK(largest_difference(other->forward(x), with->forward(x)) == 0);
}

TEST_CASE("ensemble: the mean of its members, from features too") {
  std::vector<std::unique_ptr<nn::Predictor>> members;
  for (int64_t k = 0; k < 3; ++k) members.push_back(make_member(kMlp, "test", k == 0 ? 0 : 2, 5, k));
  EnsemblePredictor ensemble(std::move(members));
  const at::Tensor x = normal_values(5, 3, 1).to(at::kFloat);
  at::Tensor mean = at::zeros({5, 1});
  for (size_t k = 0; k < 3; ++k) mean += ensemble.member(k).forward(x) / 3;
  CHECK(largest_difference(ensemble.forward(x), mean) < 1e-6);
  CHECK(largest_difference(ensemble.head(ensemble.features(x)), mean) < 1e-6);
  CHECK(ensemble.features(x).size(1) == ensemble.feature_dimension());
  CHECK(ensemble.members(x).sizes() == at::IntArrayRef({3, 5}));
}

}  // namespace plumb::rewards
