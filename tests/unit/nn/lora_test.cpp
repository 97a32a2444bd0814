// Low-rank adapters.   SPDX-License-Identifier: Apache-2.0
#include "nn/lora.h"

#include "nn/layers.h"
#include "nn/precision.h"
#include "unit/gradcheck.h"
#include "unit/nn/helpers.h"

using namespace plumb;
using namespace plumb::nn;
using namespace plumb::nn::test;

namespace {

struct Fixture {
  std::unique_ptr<Denoiser> network = make_denoiser(small_unet(), "test");
  Tensor x = normal({2, 1, 8, 8}, 9), t = at::tensor({5, 600}, at::kLong);
  Condition condition{at::tensor({0, 1}, at::kLong)};
  Fixture() { initialise(*network, 4); }
  Tensor run() {
    const at::NoGradGuard no_grad;
    return network->forward(x, t, condition);
  }
  void fill_b() {
    const at::NoGradGuard no_grad;
    uint64_t seed = 50;
    for (auto& [name, tensor] : lora_parameters(*network)) {
      if (name.ends_with("lora_B.weight")) tensor.copy_(normal(tensor.sizes().vec(), seed++) * 0.2);
    }
  }
};

}  // namespace

TEST_CASE("an adapter is nothing at the start and trains alone") {
  Fixture f;
  const Tensor before = f.run();
  f.network->set_requires_grad(false);
  const int64_t layers = attach_lora(*f.network, {.rank = 2, .alpha = 4, .targets = {"all"}}, 7);
  CHECK(at::equal(f.run(), before));
  const NamedTensors adapters = lora_parameters(*f.network);
  CHECK(adapters.size() == static_cast<size_t>(2 * layers));
  torch::autograd::backward({f.network->forward(f.x, f.t, f.condition).pow(2).sum()}, {});
  double grad_b = 0;
  for (const auto& [name, tensor] : f.network->parameters()) {
    const bool adapter = name.find(".lora_") != std::string::npos;
    CHECK_MESSAGE(tensor.requires_grad() == adapter, name);
    if (name.ends_with("lora_B.weight")) grad_b += tensor.grad().abs().sum().item<double>();
    if (name.ends_with("lora_A.weight")) CHECK_MESSAGE(tensor.grad().abs().max().item<double>() == 0, name);   // B is 0
  }
  CHECK(grad_b > 0);
}

TEST_CASE("merging gives the adapted network; scale 0 the base") {
  Fixture f;
  const Tensor base = f.run();
  attach_lora(*f.network, {.rank = 3, .alpha = 6, .targets = {"all"}}, 7);
  f.fill_b();
  const Tensor adapted = f.run();
  CHECK(max_difference(adapted, base) > 1e-2);
  set_lora_scale(*f.network, 0);
  CHECK(at::equal(f.run(), base));
  set_lora_scale(*f.network, 0.5);
  const Tensor half = f.run();
  CHECK(max_difference(half, adapted) > 1e-3);
  const int64_t with_adapter = f.network->parameter_count();
  merge_lora(*f.network);
  CHECK_FALSE(has_lora(*f.network));
  CHECK(f.network->parameter_count() < with_adapter);
  CHECK(max_difference(f.run(), half) < 1e-5);   // (W + BA) x against W x + B (A x)
}

TEST_CASE("the adapter's arithmetic: W x + scale alpha/rank B A x") {
  Linear linear(2, 2, false);
  linear.load_state({{"weight", at::eye(2)}}, "test");
  linear.attach_lora(1, 3, 0, 0);
  const at::NoGradGuard no_grad;
  linear.lora_a_.copy_(at::tensor({1.0, 2.0}, at::kFloat).view({1, 2}));
  linear.lora_b_.copy_(at::tensor({10.0, -1.0}, at::kFloat).view({2, 1}));
  linear.set_lora_scale(0.5);
  const Tensor y = linear.forward(at::tensor({1.0, 1.0}, at::kFloat).view({1, 2}));
  CHECK(y[0][0].item<double>() == doctest::Approx(1 + 0.5 * 3 * 10 * 3));
  CHECK(y[0][1].item<double>() == doctest::Approx(1 + 0.5 * 3 * -1 * 3));
}

TEST_CASE("adapters: gradients equal central differences") {
  Conv2d conv(3, 4, 3, 2, 1);
  conv.attach_lora(2, 5, 1, 0);
  Linear linear(4, 3);
  linear.attach_lora(2, 1, 1, 1);
  for (Module* layer : std::initializer_list<Module*>{&conv, &linear}) {
    randomise(*layer, 3);
    layer->to(at::kDouble);
  }
  const Tensor x = normal({2, 3, 6, 6}, 1).to(at::kDouble);
  const auto f = [&] { return linear.forward(conv.forward(x).mean({2, 3})).pow(2).sum(); };
  CHECK(plumb::test::gradient_error(f, {x, conv.lora_a_, conv.lora_b_, linear.lora_a_, linear.lora_b_, conv.weight()}) < 1e-7);
}

TEST_CASE("adapters in bf16: the same function, rounded, and gradients of both factors") {
  Conv2d conv2d(3, 4, 3, 1, 1);
  Conv1d conv1d(4, 5, 3, 1);
  Linear linear(5, 2);
  uint64_t index = 0;
  for (LoraTarget* layer : std::initializer_list<LoraTarget*>{&conv2d, &conv1d, &linear}) {
    layer->attach_lora(2, 4, 1, index++);
    randomise(*layer, 3 + index);
  }
  const Tensor x = normal({2, 3, 6, 6}, 1);
  const auto f = [&] { return linear.forward(conv1d.forward(conv2d.forward(x).flatten(2)).mean(2)); };
  const Tensor exact = f().detach();
  Tensor rounded;
  {
    const PrecisionGuard guard(Precision::kBf16, at::kCPU);
    rounded = f().to(at::kFloat);
  }
  CHECK(max_difference(rounded, exact) < 0.05 * exact.abs().max().item<double>());   // bf16 has 8 bits
  CHECK(max_difference(rounded, exact) > 0);
  torch::autograd::backward({rounded.sum()}, {});
  for (LoraTarget* layer : std::initializer_list<LoraTarget*>{&conv2d, &conv1d, &linear}) {
    CHECK(layer->lora_a_.grad().abs().max().item<double>() > 0);
    CHECK(layer->lora_b_.grad().abs().max().item<double>() > 0);
  }
}

TEST_CASE("targets are suffixes of module names; none found lists what there is") {
  Fixture f;
  CHECK(attach_lora(*f.network, {.rank = 1, .targets = {"to_q", "to_out.0"}}, 7) == 8);   // 1 down, 1 middle, 2 up
  const Thrown again = thrown_by([&] { attach_lora(*f.network, {.rank = 1, .targets = {"to_q"}}, 7); });
  CHECK(again.says("adapter already"));
  Fixture g;
  const Thrown none = thrown_by([&] { attach_lora(*g.network, {.rank = 1, .targets = {"q_proj"}}, 7); });
  CHECK(none.exit == Exit::kUsage);
  CHECK(none.says("to_q"));
  CHECK(none.says("to_out.0"));
  CHECK(thrown_by([&] { attach_lora(*g.network, {.rank = 0, .targets = {"all"}}, 7); }).exit == Exit::kUsage);
}

TEST_CASE("initial adapters have spread 1/rank and do not depend on which others there are") {
  Fixture f, g;
  attach_lora(*f.network, {.rank = 4, .targets = {"all"}}, 7);
  attach_lora(*g.network, {.rank = 4, .targets = {"conv2"}}, 7);
  std::vector<Tensor> all;
  Tensor one, other;
  for (const auto& [name, tensor] : lora_parameters(*f.network)) {
    if (name.ends_with("lora_A.weight")) all.push_back(tensor.detach().flatten());
    if (name == "mid_block.resnets.0.conv2.lora_A.weight") one = tensor;
  }
  for (const auto& [name, tensor] : lora_parameters(*g.network)) {
    if (name == "mid_block.resnets.0.conv2.lora_A.weight") other = tensor;
  }
  CHECK(at::cat(all).std().item<double>() == doctest::Approx(0.25).epsilon(0.05));
  CHECK(at::equal(one, other));
}

TEST_CASE("LoraOptions survive the manifest") {
  const LoraOptions options{.rank = 3, .alpha = 6, .targets = {"to_q", "to_v"}};
  const LoraOptions again = LoraOptions::from_json(options.to_json(), "test");
  CHECK(again.rank == 3);
  CHECK(again.alpha == 6);
  CHECK(again.targets == options.targets);
  CHECK(LoraOptions{.rank = 3, .targets = {"all"}}.to_json().at("alpha") == 3);
  CHECK(thrown_by([] { LoraOptions::from_json({{"rank", 0}, {"alpha", 1}, {"targets", {"all"}}}, "m.h5"); }).exit == Exit::kBadInput);
}
