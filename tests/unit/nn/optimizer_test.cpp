// AdamW and moving averages against torch.   SPDX-License-Identifier: Apache-2.0
#include "nn/adamw.h"
#include "nn/ema.h"
#include "unit/nn/helpers.h"

using namespace plumb;
using namespace plumb::nn;
using namespace plumb::nn::test;

namespace {

Tensor values(int64_t n, uint64_t k) {   // as tests/numeric/make_optimizer_reference.py
  Tensor out = at::empty({n}, at::kFloat);
  for (uint64_t i = 0; i < static_cast<uint64_t>(n); ++i) {
    const uint64_t hash = (i * 2654435761U + k * 40503U) % 4294967296U;
    out.mutable_data_ptr<float>()[i] = static_cast<float>(static_cast<double>(hash) / 2147483648.0 - 1.0);
  }
  return out;
}

Tensor tensor_of(const io::Json& numbers) { return at::tensor(numbers.get<std::vector<double>>(), at::kDouble); }

io::Json reference() {
  std::ifstream file(numeric_file("optimizer_reference.json"));
  REQUIRE(file.good());
  return io::Json::parse(file);
}

constexpr AdamWOptions kOptions{.lr = 1e-2, .beta1 = 0.8, .beta2 = 0.99, .eps = 1e-6, .weight_decay = 0.1};

/// Steps first..last-1 of the reference's run; returns the gradient norms.
std::vector<double> run(AdamW& optimizer, Tensor p, Tensor q, int first, int last) {
  std::vector<double> norms;
  for (int step = first; step < last; ++step) {
    p.mutable_grad() = values(37, 10 + static_cast<uint64_t>(step)) * (step + 1);
    q.mutable_grad() = step != 2 ? values(5, 20 + static_cast<uint64_t>(step)) : Tensor();
    optimizer.set_lr(1e-2 / (step + 1));
    norms.push_back(optimizer.clip_grad_norm(5.0));
    optimizer.step();
  }
  return norms;
}

}  // namespace

TEST_CASE("AdamW equals torch.optim.AdamW(fused) with clipping, changing rates and a skipped gradient") {
  const io::Json expected = reference().at("adamw");
  Tensor p = values(37, 1).set_requires_grad(true), q = values(5, 2).set_requires_grad(true);
  AdamW optimizer({{"p", p}, {"q", q}}, kOptions);
  const std::vector<double> norms = run(optimizer, p, q, 0, 6);
  for (size_t i = 0; i < norms.size(); ++i) CHECK(norms[i] == doctest::Approx(expected["norms"][i].get<double>()).epsilon(1e-6));
  CHECK(max_difference(p.detach().to(at::kDouble), tensor_of(expected["p"])) <= 1e-7);   // clipping rounds once more or less
  CHECK(max_difference(q.detach().to(at::kDouble), tensor_of(expected["q"])) <= 1e-7);
  CHECK(optimizer.steps() == 6);
  optimizer.zero_grad();
  CHECK_FALSE(p.grad().defined());
}

TEST_CASE("AdamW restored in the middle goes on bit for bit") {
  Tensor p = values(37, 1).set_requires_grad(true), q = values(5, 2).set_requires_grad(true);
  AdamW whole({{"p", p}, {"q", q}}, kOptions);
  run(whole, p, q, 0, 3);
  Tensor p2 = p.detach().clone().set_requires_grad(true), q2 = q.detach().clone().set_requires_grad(true);
  AdamW second({{"p", p2}, {"q", q2}}, kOptions);
  second.restore(whole.state(), whole.steps());
  run(whole, p, q, 3, 6);
  run(second, p2, q2, 3, 6);
  CHECK(at::equal(p, p2));
  CHECK(at::equal(q, q2));
  CHECK(second.steps() == 6);
  CHECK(thrown_by([&] { second.restore({}, 0); }).says("p.exp_avg"));
}

TEST_CASE("clip_grad_norm: below the limit and at limit 0 nothing changes") {
  Tensor p = at::zeros({2}).set_requires_grad(true);
  AdamW optimizer({{"p", p}}, {});
  p.mutable_grad() = at::tensor({3.0, 4.0}, at::kFloat);
  CHECK(optimizer.clip_grad_norm(6) == doctest::Approx(5));
  CHECK(at::equal(p.grad(), at::tensor({3.0, 4.0}, at::kFloat)));
  CHECK(optimizer.clip_grad_norm(0) == doctest::Approx(5));
  CHECK(at::equal(p.grad(), at::tensor({3.0, 4.0}, at::kFloat)));
  optimizer.clip_grad_norm(1);
  CHECK(p.grad().norm().item<double>() == doctest::Approx(1).epsilon(1e-5));
}

TEST_CASE("Ema equals torch-ema's rule and is restored exactly") {
  Tensor value = values(9, 3);
  Ema ema({{"w", value}}, 0.7);
  for (uint64_t step = 0; step < 30; ++step) {
    value = values(9, 30 + step);
    ema.update({{"w", value}});
  }
  CHECK(max_difference(ema.shadow()[0].second.to(at::kDouble), tensor_of(reference().at("ema"))) <= 1e-6);
  CHECK(ema.updates() == 30);
  Ema other({{"w", at::zeros({9})}}, 0.7);
  other.restore(ema.shadow(), ema.updates());
  ema.update({{"w", value}});
  other.update({{"w", value}});
  CHECK(at::equal(ema.shadow()[0].second, other.shadow()[0].second));
  CHECK(thrown_by([&] { other.restore({}, 0); }).exit == Exit::kBadInput);
}

TEST_CASE("Ema starts from a copy, not a view, of the parameters") {
  const Tensor value = at::ones({3});
  Ema ema({{"w", value}}, 0.999);
  value.fill_(5);
  CHECK(ema.shadow()[0].second[0].item<double>() == 1);
  ema.update({{"w", value}});                       // d = 2/11 at the first update
  CHECK(ema.shadow()[0].second[0].item<double>() == doctest::Approx(1 * 2.0 / 11 + 5 * 9.0 / 11));
}
