// UNet2D against diffusers, and its own rules.   SPDX-License-Identifier: Apache-2.0
#include "nn/unet2d.h"

#include "nn/dropout.h"
#include "nn/precision.h"
#include "unit/gradcheck.h"
#include "unit/nn/reference.h"

using namespace plumb;
using namespace plumb::nn;
using namespace plumb::nn::test;

TEST_CASE("UNet2D equals diffusers: output, gradients of the input and of every weight") {
  const char* live = std::getenv("PLUMB_UNET_REFERENCE");
  const io::SafetensorsReader file(live ? live : numeric_file("unet2d.safetensors"));
  const io::Json cases = io::Json::parse(file.metadata().at("cases"));
  CHECK(cases.size() >= (live ? 1U : 5U));
  for (const auto& [name, config] : cases.items()) {
    CAPTURE(name);
    UNet2D network(UNet2DOptions::from_json(config, name), 1, false);
    fill_as_reference(network);
    const Tensor x = read(file, name + "/x").set_requires_grad(true);
    Condition condition;
    if (file.tensors().count(name + "/label")) condition.label = read(file, name + "/label");
    const Tensor expected = read(file, name + "/output"), cotangent = read(file, name + "/cotangent");
    const Tensor output = network.forward(x, read(file, name + "/timestep"), condition);
    REQUIRE((output.sizes() == expected.sizes()));
    const double scale = std::max(1.0, expected.abs().max().item<double>());
    CHECK(expected.abs().max().item<double>() > 0.05);
    CHECK(max_difference(output, expected) <= 1e-5 * scale);   // float32 sums in another order; seen: 1e-6

    torch::autograd::backward({(output * cotangent).sum()}, {});
    const Tensor expected_grad_x = read(file, name + "/grad_x");
    CHECK(max_difference(x.grad(), expected_grad_x) <= 1e-5 * std::max(1.0, expected_grad_x.abs().max().item<double>()));
    CHECK(parameter_gradient_error(network, read(file, name + "/grad")) <= 1e-5);
  }
}

TEST_CASE("UNet2D: gradients equal central differences in float64") {
  auto network = make_denoiser(small_unet(), "test");
  randomise(*network, 11);
  network->to(at::kDouble);
  const Tensor x = normal({2, 1, 8, 8}, 3).to(at::kDouble), weights = normal({2, 1, 8, 8}, 4).to(at::kDouble);
  const Tensor t = at::tensor({3, 700}, at::kLong);
  Condition condition{at::tensor({0, 2}, at::kLong)};
  std::vector<Tensor> inputs{x};
  for (auto& [name, tensor] : network->parameters()) inputs.push_back(tensor);
  CHECK(plumb::test::gradient_error([&] { return (network->forward(x, t, condition) * weights).sum(); }, inputs, 2) < 1e-6);
}

TEST_CASE("the pixel fold wraps the same network") {
  auto folded = make_denoiser(small_unet(true, 2), "test");
  io::Json plain_config = small_unet(true, 2);
  plain_config.erase("patch");
  auto plain = make_denoiser(plain_config, "test");
  initialise(*folded, 5);
  plain->load_state(folded->state(), "test");
  const Tensor x = normal({3, 1, 8, 8}, 1), t = at::tensor({1, 2, 999}, at::kLong);
  const Condition condition{at::tensor({0, 1, 2}, at::kLong)};
  const at::NoGradGuard no_grad;
  const Tensor y = folded->forward(x, t, condition);
  CHECK((y.sizes() == x.sizes()));
  CHECK(at::equal(y, at::pixel_shuffle(plain->forward(at::pixel_unshuffle(x, 2), t, condition), 2)));
  // channel = (row in the patch) * 2 + column in the patch, as torch defines it
  CHECK(at::pixel_unshuffle(x, 2)[0][3][0][0].item<float>() == x[0][0][1][1].item<float>());
}

TEST_CASE("an item's output does not depend on the rest of the batch") {
  auto network = make_denoiser(small_unet(), "test");
  initialise(*network, 2);
  const Tensor x = normal({5, 1, 8, 8}, 9), t = at::tensor({0, 10, 500, 900, 999}, at::kLong);
  const Condition condition{at::tensor({0, 1, 2, 1, 0}, at::kLong)};
  const at::NoGradGuard no_grad;
  const Tensor together = network->forward(x, t, condition);
  for (int64_t i = 0; i < 5; ++i) {
    const Tensor alone = network->forward(x.slice(0, i, i + 1), t.slice(0, i, i + 1), condition.slice(i, i + 1));
    CHECK(max_difference(alone[0], together[i]) < 1e-6);
  }
}

TEST_CASE("a frozen network gives the same bits as one that trains") {
  auto network = make_denoiser(small_unet(), "test");
  initialise(*network, 2);
  const Tensor x = normal({5, 1, 8, 8}, 9), t = at::tensor({0, 10, 500, 900, 999}, at::kLong);
  const Tensor with_graph = network->forward(x, t, {}).detach();
  const at::NoGradGuard no_grad;
  CHECK(at::equal(network->forward(x, t, {}), with_graph));
  network->set_requires_grad(false);
  CHECK(at::equal(network->forward(x, t, {}), with_graph));
}

TEST_CASE("conditions: the null class, classes outside the table, labels for a model without classes") {
  auto network = make_denoiser(small_unet(true), "test");
  initialise(*network, 2);
  CHECK(network->num_classes() == 2);
  const Tensor x = normal({2, 1, 8, 8}, 9), t = at::tensor({5, 6}, at::kLong);
  const at::NoGradGuard no_grad;
  CHECK(at::equal(network->forward(x, t, {}), network->forward(x, t, {at::tensor({2, 2}, at::kLong)})));
  CHECK(max_difference(network->forward(x, t, {}), network->forward(x, t, {at::tensor({0, 1}, at::kLong)})) > 1e-4);
  CHECK(thrown_by([&] { network->forward(x, t, {at::tensor({0, 3}, at::kLong)}); }).says("class 3"));
  CHECK(thrown_by([&] { network->forward(x, t, {at::tensor({0}, at::kLong)}); }).says("batch of 2"));
  auto unconditional = make_denoiser(small_unet(false), "test");
  CHECK(unconditional->num_classes() == 0);
  CHECK(thrown_by([&] { unconditional->forward(x, t, {at::tensor({0, 1}, at::kLong)}); }).says("unconditional"));
  io::Json imported = small_unet(true);
  imported["null_class"] = false;
  auto no_null = make_denoiser(imported, "test");
  CHECK(no_null->num_classes() == 3);
  CHECK(thrown_by([&] { no_null->forward(x, t, {}); }).says("needs a class"));
}

TEST_CASE("shapes that do not fit are named") {
  auto network = make_denoiser(small_unet(), "test");
  const Tensor t = at::tensor({5}, at::kLong);
  CHECK(thrown_by([&] { network->forward(at::zeros({1, 1, 10, 8}), t, {}); }).says("multiples of 4"));
  CHECK(thrown_by([&] { network->forward(at::zeros({1, 3, 8, 8}), t, {}); }).exit == Exit::kBadInput);
  CHECK(thrown_by([&] { network->forward(at::zeros({2, 1, 8, 8}), at::tensor({1, 2, 3}, at::kLong), {}); }).says("timestep"));
}

TEST_CASE("options: bad ones are refused by name, good ones survive a round trip") {
  const auto refused = [](const char* key, const io::Json& value, const char* text) {
    io::Json config = small_unet();
    config["config"][key] = value;
    const Thrown error = thrown_by([&] { make_denoiser(config, "net.json"); });
    CHECK_MESSAGE(error.exit == Exit::kUsage, error.message);
    CHECK_MESSAGE(error.says(key), error.message);
    CHECK_MESSAGE(error.says(text), error.message);
  };
  refused("norm_num_group", 4, "did you mean 'norm_num_groups'?");
  refused("act_fn", "gelu", "gelu");
  refused("down_block_types", {"DownBlock2D", "SkipDownBlock2D"}, "SkipDownBlock2D");
  refused("down_block_types", {"DownBlock2D"}, "2");
  refused("mid_block_type", "UNetMidBlock2DCrossAttn", "UNetMidBlock2DCrossAttn");
  refused("norm_num_groups", 3, "block_out_channels");
  refused("layers_per_block", 1.5, "whole number");
  refused("layers_per_block", "two", "whole number");
  refused("layers_per_block", 0, "below 1");
  refused("dropout", 1.0, "1");
  refused("class_embed_type", "projection", "projection");
  refused("attention_head_dim", 16, "channels");
  io::Json learned = small_unet();
  learned["config"]["time_embedding_type"] = "learned";
  CHECK(thrown_by([&] { make_denoiser(learned, "x"); }).says("num_train_timesteps: is needed"));
  CHECK(thrown_by([] { make_denoiser({{"type", "unet3d"}}, "x"); }).says("did you mean 'unet2d'?"));
  CHECK(thrown_by([] { make_denoiser({{"type", "unet2d"}, {"pach", 2}}, "x"); }).says("did you mean 'patch'?"));
  CHECK(thrown_by([] { make_denoiser({{"type", "unet2d"}, {"patch", 2}}, "x"); }).says("multiples of 4"));

  auto network = make_denoiser(small_unet(), "test");
  const io::Json config = network->config();
  auto again = make_denoiser(config, "test");
  CHECK(again->config() == config);
  CHECK(again->parameter_count() == network->parameter_count());
}

TEST_CASE("dropout: in training only, keyed by item and step, of the right strength") {
  io::Json config = small_unet();
  config["config"]["dropout"] = 0.5;
  auto network = make_denoiser(config, "test");
  initialise(*network, 2);
  const Tensor x = normal({2, 1, 8, 8}, 9), t = at::tensor({5, 6}, at::kLong);
  const at::NoGradGuard no_grad;
  const Tensor evaluated = network->forward(x, t, {});
  network->train(true);
  CHECK(thrown_by([&] { network->forward(x, t, {}); }).says("dropout"));
  const auto trained = [&](uint64_t seed, const std::vector<int64_t>& items, uint32_t step) {
    const DropoutScope scope(seed, items, step);
    return network->forward(x, t, {});
  };
  const Tensor first = trained(1, {10, 11}, 0);
  CHECK(at::equal(first, trained(1, {10, 11}, 0)));
  CHECK(max_difference(first, evaluated) > 1e-3);
  CHECK(max_difference(first, trained(1, {10, 11}, 1)) > 1e-3);
  const Tensor other = trained(1, {12, 11}, 0);
  CHECK(max_difference(first[0], other[0]) > 1e-3);
  CHECK(at::equal(first[1], other[1]));

  const DropoutScope scope(3, {0}, 0);
  const Tensor kept = dropout(at::ones({1, 100000}), 0.3);
  CHECK(kept.mean().item<double>() == doctest::Approx(1).epsilon(0.01));             // 3 standard errors: 0.006
  CHECK((kept == 0).to(at::kDouble).mean().item<double>() == doctest::Approx(0.3).epsilon(0.02));
}

TEST_CASE("bf16 rounds the products, keeps float32 outside, and ends with the guard") {
  auto network = make_denoiser(small_unet(), "test");
  initialise(*network, 2);
  const Tensor x = normal({2, 1, 8, 8}, 9), t = at::tensor({5, 6}, at::kLong);
  const Tensor exact = network->forward(x, t, {}).detach();
  {
    const PrecisionGuard guard(Precision::kBf16, at::kCPU);
    const Tensor rounded = network->forward(x, t, {});
    CHECK((rounded.scalar_type() == at::kFloat));
    const double error = max_difference(rounded.detach(), exact);
    CHECK(error > 1e-5);   // it was really used
    CHECK(error < 0.05);   // bf16 has 8 bits
    torch::autograd::backward({rounded.sum()}, {});
    CHECK((network->parameters()[0].second.grad().scalar_type() == at::kFloat));
  }
  CHECK(at::equal(network->forward(x, t, {}), exact));
  CHECK((parse_precision("bf16", at::kCPU, true) == Precision::kBf16));
  CHECK(thrown_by([] { parse_precision("fp16", at::kCPU, true); }).exit == Exit::kUsage);
}
