// EfficientNet-Lite0 against its PyTorch port, and its own rules.   SPDX-License-Identifier: Apache-2.0
#include "nn/efficientnet_lite.h"

#include "unit/nn/efficientnet.h"
#include "unit/nn/helpers.h"

using namespace plumb;
using namespace plumb::nn;
using namespace plumb::nn::test;

TEST_CASE("EfficientNet-Lite0 equals its PyTorch port: features and logits, even and odd sides") {
  const io::Json& reference = efficientnet_reference();
  EfficientNetLite0 network;
  fill_as_reference(network);
  const at::NoGradGuard no_grad;
  REQUIRE(reference.at("network").size() == 2);
  for (const io::Json& c : reference.at("network")) {
    const int64_t height = c["height"], width = c["width"];
    CAPTURE(height);
    const Tensor x = (metrics::test::uniform(51, 3, height * width) * 2 - 1).to(at::kFloat).view({1, 3, height, width});
    const Tensor features = network.features(x), logits = network.logits(features);
    REQUIRE((features.sizes() == at::IntArrayRef({1, 1280})));
    REQUIRE((logits.sizes() == at::IntArrayRef({1, 1000})));
    // The peer's own float32 outputs are 5e-6 from its float64 ones.
    CHECK(difference(features, reference["every_feature"], c["features"]) < 5e-5);
    CHECK(difference(logits, reference["every_logit"], c["logits"]) < 5e-5);
    CHECK(features.to(at::kDouble).mean().item<double>() == doctest::Approx(c["feature_mean"].get<double>()).epsilon(1e-5));
    CHECK(features.max().item<double>() == doctest::Approx(c["feature_max"].get<double>()).epsilon(1e-5));
  }
}

TEST_CASE("EfficientNet-Lite0: the size of Tan & Le's table; an item's output is its own, in any mode") {
  EfficientNetLite0 network;
  CHECK(network.parameter_count() == 4652008);
  CHECK(network.state().size() == 296);
  fill_as_reference(network);
  const at::NoGradGuard no_grad;
  const Tensor x = normal({2, 3, 33, 40}, 4);
  const Tensor both = network.features(x);
  CHECK(max_difference(both[1], network.features(x.slice(0, 1))[0]) < 1e-5);
  network.train(true);
  CHECK(at::equal(network.features(x), both));
  CHECK(thrown_by([&] { network.features(x.slice(1, 0, 1)); }).says("takes pictures [B,3,H,W], got [2,1,33,40]"));
}

TEST_CASE("SAME padding: as many outputs as strides fit, the odd zero after the picture") {
  const auto ones = [](int64_t kernel, int64_t stride, const Tensor& x) {
    SameConv2d conv(1, 1, kernel, stride);
    conv.load_state({{"weight", at::ones({1, 1, kernel, kernel})}}, "test");
    const at::NoGradGuard no_grad;
    return conv.forward(x);
  };
  const Tensor x = at::arange(1, 17, at::kFloat).view({1, 1, 4, 4});   // rows 1-4, 5-8, 9-12, 13-16
  // 3x3, stride 2, 4 pixels: one zero after; the first window is rows and columns 0-2, the last rows and columns 2-3
  CHECK(at::equal(ones(3, 2, x).flatten(), at::tensor({54.F, 45.F, 72.F, 54.F})));
  // 3 pixels: one before, one after
  CHECK(at::equal(ones(3, 2, x.slice(2, 0, 3).slice(3, 0, 3)).flatten(), at::tensor({14.F, 18.F, 30.F, 34.F})));
  CHECK((ones(5, 2, x).sizes() == at::IntArrayRef({1, 1, 2, 2})));
  CHECK((ones(5, 1, x).sizes() == at::IntArrayRef({1, 1, 4, 4})));
  CHECK(ones(5, 2, x)[0][0][0][0].item<float>() == 136.F);   // 3 zeros: 1 before, 2 after, so the whole picture is seen
}

TEST_CASE("EfficientNet-Lite0 from a file: frozen, the same digits; another network's file is refused") {
  const TemporaryFolder folder;
  EfficientNetLite0 network;
  fill_as_reference(network);
  const auto loaded = load_efficientnet_lite0(write_weights(network, folder.file("w.safetensors")));
  for (const auto& [name, tensor] : loaded->parameters()) CHECK_FALSE(tensor.requires_grad());
  const at::NoGradGuard no_grad;
  const Tensor x = normal({1, 3, 32, 32}, 4);
  CHECK(at::equal(loaded->features(x), network.features(x)));
  const float value = 1;
  const auto refuse = [&](const std::string& name, const std::string& dtype, const std::vector<int64_t>& shape) {
    io::write_safetensors(folder.file("x.safetensors"), {{name, dtype, shape, &value, sizeof value}});
    const Thrown thrown = thrown_by([&] { load_efficientnet_lite0(folder.file("x.safetensors")); });
    CHECK(thrown.exit == Exit::kBadInput);
    return thrown;
  };
  CHECK(refuse("weight", "F32", {1}).says("has no weight '_conv_stem.weight'"));
  CHECK(refuse("weight", "I32", {1}).says("a float type was expected"));
  CHECK(thrown_by([&] { load_efficientnet_lite0(folder.file("none")); }).exit == Exit::kBadInput);
}
