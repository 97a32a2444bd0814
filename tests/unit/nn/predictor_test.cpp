// SPDX-License-Identifier: Apache-2.0
#include "nn/predictor.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include "core/error.h"
#include "nn/denoiser.h"
#include "nn/resnet.h"

namespace plumb::nn {
namespace {

Exit exit_of(const io::Json& config) {
  try {
    make_predictor(config, "test");
  } catch (const Error& error) {
    return error.exit();
  }
  return Exit::kDone;
}

}  // namespace

TEST_CASE("resnet: shapes, parameter count, features before the head") {
  ResNetOptions options;  // 32, 64, 128 channels, outputs 10
  ResNet network(options);
  initialise(network, 1);
  // stem 9*32; blocks: 64 + 9*32*32*2 + 64; 64 + 9*32*64 + 128 + 9*64*64 + 32*64; 128 + 9*64*128 + 256 + 9*128*128 + 64*128; norm 256; head 1290
  const int64_t want = 288 + (64 + 18432 + 64) + (64 + 18432 + 128 + 36864 + 2048) + (128 + 73728 + 256 + 147456 + 8192) + 256 + 1290;
  CHECK(network.parameter_count() == want);
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::linspace(-1, 1, 3 * 28 * 28).view({3, 1, 28, 28});
  const at::Tensor features = network.features(x);
  CHECK((features.sizes() == at::IntArrayRef({3, 128})));
  CHECK(at::equal(network.forward(x), network.head(features)));
  const at::Tensor alone = network.features(x.narrow(0, 1, 1));  // group norm: an item does not see its batch
  CHECK((alone - features.narrow(0, 1, 1)).abs().max().item<float>() < 1e-5F);
}

TEST_CASE("residual block: the way around is the identity when nothing changes") {
  ResidualBlock block(8, 8, 1, 4);  // weights 0 until drawn: the residual part is 0
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::linspace(-2, 2, 2 * 8 * 5 * 5).view({2, 8, 5, 5});
  CHECK(at::equal(block.forward(x), x));
}

TEST_CASE("predictor: configs") {
  const io::Json good{{"type", "resnet"}, {"config", {{"channels", {8, 16}}, {"norm_num_groups", 4}, {"outputs", 2}}}};
  const auto network = make_predictor(good, "test");
  CHECK((make_predictor(network->config(), "test")->config() == network->config()));
  CHECK((exit_of({{"type", "resnit"}}) == Exit::kUsage));
  CHECK((exit_of({{"config", {}}}) == Exit::kUsage));
  CHECK((exit_of({{"type", "resnet"}, {"config", {{"chanels", {8}}}}}) == Exit::kUsage));
  CHECK((exit_of({{"type", "resnet"}, {"config", {{"channels", {9}}}}}) == Exit::kUsage));
  CHECK((exit_of({{"type", "resnet"}, {"config", {{"outputs", 0}}}}) == Exit::kUsage));
  CHECK((exit_of({{"type", "torchscript"}}) == Exit::kUsage));
  const io::Space grey{"image", {1, 28, 28}, ""}, rgb{"image", {3, 32, 32}, ""};
  CHECK(predictor_preset("small", rgb, 7)["config"]["in_channels"] == 3);
  CHECK(predictor_preset("small", rgb, 7)["config"]["outputs"] == 7);
  for (const char* name : {"tiny", "small", "medium"}) CHECK(make_predictor(predictor_preset(name, grey, 10), name)->outputs() == 10);
  CHECK_THROWS_AS(predictor_preset("smal", grey, 10), Error);
}

}  // namespace plumb::nn
