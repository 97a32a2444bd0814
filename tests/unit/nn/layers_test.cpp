// Layers, modules and initial weights.   SPDX-License-Identifier: Apache-2.0
#include "nn/layers.h"

#include "nn/unet2d_blocks.h"
#include "unit/gradcheck.h"
#include "unit/nn/helpers.h"

using namespace plumb;
using namespace plumb::nn;
using namespace plumb::nn::test;

namespace {

/// Largest relative gradient error of sum(f(x) * w) over x and the module's parameters.
template <typename F>
double error_of(Module& module, const std::vector<int64_t>& input, const F& f) {
  randomise(module, 21);
  module.to(at::kDouble);
  const Tensor x = normal(input, 1).to(at::kDouble);
  const Tensor weights = normal(f(x).sizes().vec(), 2).to(at::kDouble);
  std::vector<Tensor> inputs{x};
  for (auto& [name, tensor] : module.parameters()) inputs.push_back(tensor);
  return plumb::test::gradient_error([&] { return (f(x) * weights).sum(); }, inputs);
}

}  // namespace

TEST_CASE("layers: gradients equal central differences") {
  Linear linear(5, 3);
  CHECK(error_of(linear, {4, 5}, [&](const Tensor& x) { return linear.forward(x); }) < 1e-8);
  Conv2d conv(3, 4, 3, 2, 1);
  CHECK(error_of(conv, {2, 3, 6, 6}, [&](const Tensor& x) { return conv.forward(x); }) < 1e-8);
  GroupNorm norm(2, 6, 1e-3);
  CHECK(error_of(norm, {2, 6, 4, 4}, [&](const Tensor& x) { return norm.forward(x); }) < 1e-7);
  CHECK(error_of(norm, {2, 6, 4, 4}, [&](const Tensor& x) { return norm.forward_silu(x); }) < 1e-7);
  Attention attention(8, 4, 2, 1e-5, 1.5);
  CHECK(error_of(attention, {2, 8, 3, 3}, [&](const Tensor& x) { return attention.forward(x); }) < 1e-7);
}

TEST_CASE("residual blocks: gradients equal central differences in each form") {
  BlockOptions options;
  options.temb_channels = 5;
  options.norm_groups = 2;
  const Tensor temb = normal({2, 5}, 7).to(at::kDouble);
  for (const bool scale_shift : {false, true}) {
    for (const Resample resample : {Resample::kNone, Resample::kUp, Resample::kDown}) {
      options.scale_shift = scale_shift;
      ResnetBlock block(4, 6, options, resample, 1.25);
      CHECK(error_of(block, {2, 4, 4, 4}, [&](const Tensor& x) { return block.forward(x, temb); }) < 1e-7);
    }
  }
}

TEST_CASE("layers compute what they say") {
  Linear linear(2, 1);
  linear.load_state({{"weight", at::tensor({2.0, -1.0}, at::kFloat).view({1, 2})}, {"bias", at::tensor({0.5}, at::kFloat)}}, "test");
  CHECK(linear.forward(at::tensor({3.0, 4.0}, at::kFloat).view({1, 2})).item<double>() == doctest::Approx(2 * 3 - 4 + 0.5));
  GroupNorm norm(1, 2);
  const Tensor y = norm.forward(at::tensor({1.0, 3.0, 5.0, 7.0}, at::kFloat).view({1, 2, 1, 2}));
  CHECK(y[0][0][0][0].item<double>() == doctest::Approx(-3 / std::sqrt(5.0 + 1e-5)));   // mean 4, variance 5
  const Tensor up = upsample_nearest_2x(at::tensor({1.0, 2.0}, at::kFloat).view({1, 1, 1, 2}));
  CHECK(at::equal(up.flatten(), at::tensor({1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0}, at::kFloat)));
}

TEST_CASE("initial weights: torch's ranges, one stream a parameter, the same every time") {
  Conv2d conv(16, 32, 3);
  initialise(conv, 1);
  const double bound = 1.0 / std::sqrt(16.0 * 9);
  CHECK(conv.weight().abs().max().item<double>() <= bound);
  CHECK(conv.weight().abs().max().item<double>() > 0.99 * bound);
  CHECK(conv.weight().mean().item<double>() == doctest::Approx(0).epsilon(1).scale(4 * bound / std::sqrt(3.0 * 4608)));
  CHECK(conv.weight().var().item<double>() == doctest::Approx(bound * bound / 3).epsilon(0.05));
  CHECK(conv.state()[1].second.abs().max().item<double>() <= bound);
  const Tensor before = conv.weight().detach().clone();
  initialise(conv, 2);
  CHECK(max_difference(conv.weight(), before) > 0.01);
  initialise(conv, 1);
  CHECK(at::equal(conv.weight(), before));

  Embedding table(200, 50);
  initialise(table, 1);
  CHECK(table.state()[0].second.var().item<double>() == doctest::Approx(1).epsilon(0.05));
  GroupNorm norm(2, 4);
  randomise(norm, 1);
  initialise(norm, 1);
  CHECK(norm.state()[0].second.eq(1).all().item<bool>());
  CHECK(norm.state()[1].second.eq(0).all().item<bool>());

  // The stream is counted in parameters: the network's second convolution does not repeat the first.
  auto network = make_denoiser(small_unet(), "test");
  initialise(*network, 1);
  CHECK(network->state()[0].first == "conv_in.weight");
  Tensor first, second;
  for (const auto& [name, tensor] : network->state()) {
    if (name == "mid_block.resnets.0.conv1.weight") first = tensor;
    if (name == "mid_block.resnets.1.conv1.weight") second = tensor;
  }
  CHECK(max_difference(first, second) > 0.01);
}

TEST_CASE("load_state: in place, whole, and each misfit is named before anything changes") {
  Linear linear(2, 3);
  const Tensor weight = linear.weight();
  const NamedTensors good{{"weight", normal({3, 2}, 1)}, {"bias", normal({3}, 2)}};
  linear.load_state(good, "file.h5");
  CHECK(at::equal(weight, good[0].second));
  const NamedTensors absent{{"weight", normal({3, 2}, 5)}};
  const Thrown error = thrown_by([&] { linear.load_state(absent, "file.h5"); });
  CHECK(error.exit == Exit::kBadInput);
  CHECK(error.says("file.h5"));
  CHECK(error.says("'bias'"));
  CHECK(thrown_by([&] { linear.load_state({{"weight", normal({2, 3}, 5)}, good[1]}, "f"); }).says("[2,3]"));
  CHECK(thrown_by([&] { linear.load_state({good[0], good[1], {"extra", normal({1}, 1)}}, "f"); }).says("'extra'"));
  CHECK(at::equal(weight, good[0].second));
}

TEST_CASE("train and requires_grad reach every part") {
  auto network = make_denoiser(small_unet(), "test");
  network->train(true);
  network->set_requires_grad(false);
  size_t parts = 0;
  network->each_module([&](const std::string&, Module& part) { parts += part.is_training() ? 1 : 0; });
  CHECK(parts > 30);
  network->each_parameter([&](const std::string& name, Tensor& tensor) { CHECK_MESSAGE(!tensor.requires_grad(), name); });
  network->set_requires_grad(true);
  network->each_parameter([&](const std::string& name, Tensor& tensor) { CHECK_MESSAGE(tensor.requires_grad(), name); });
}
