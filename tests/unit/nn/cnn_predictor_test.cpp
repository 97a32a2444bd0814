// The convolutional classifier: against the published module on weights by a formula; dropout.   SPDX-License-Identifier: Apache-2.0
#include "nn/cnn_predictor.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include "nn/dropout.h"
#include "unit/nn/preference_fill.h"

namespace plumb::nn {
namespace {

using namespace test;

const io::Space kGrey{"image", {1, 28, 28}, ""};

}  // namespace

TEST_SUITE("cnn") {
  TEST_CASE("U02: parameters and log-probabilities as the published module's") {
    const io::Json want = preference_case("U02_classifier").at("expected");
    const auto network = make_predictor(predictor_preset("cnn", kGrey, 10), "cnn");
    CHECK(network->parameter_count() == want.at("n_params"));
    network->to(at::kDouble);
    network->set_requires_grad(false);
    fill_as_preference(*network);
    const Tensor x = at::sin(0.1 * at::arange(28 * 28, at::kDouble)).view({1, 1, 28, 28});
    const Tensor got = network->forward(x).log_softmax(1), expected = at::tensor(want.at("log_probs").get<std::vector<double>>(), at::kDouble);
    CHECK(max_difference(got[0], expected) < 1e-6);
    network->to(at::kFloat);
    CHECK(max_difference(network->forward(x.to(at::kFloat)).log_softmax(1)[0].to(at::kDouble), expected) < 1e-4);
  }

  TEST_CASE("features are the hidden units; the config makes the same network again") {
    const auto network = make_predictor(predictor_preset("cnn", {"image", {3, 9, 12}, ""}, 4), "cnn");
    const auto again = make_predictor(network->config(), "cnn");
    CHECK((again->config() == network->config()));
    randomise(*network, 3, 0.1);
    again->load_state(network->state(), "cnn");
    const at::NoGradGuard no_grad;
    const Tensor x = normal({2, 3, 9, 12}, 5), h = network->features(x);
    CHECK((h.sizes() == at::IntArrayRef({2, 128})));
    CHECK(h.min().item<float>() == 0);
    CHECK(network->feature_dimension() == 128);
    CHECK(at::equal(network->head(h), network->forward(x)));
    CHECK(at::equal(again->forward(x), network->forward(x)));
    CHECK(thrown_by([&] { network->features(x.slice(2, 1)); }).exit == Exit::kBadInput);
  }

  TEST_CASE("dropout: in training only, each item's by its own key") {
    const auto network = make_predictor(predictor_preset("cnn", kGrey, 10), "cnn");
    randomise(*network, 3, 0.1);
    const at::NoGradGuard no_grad;
    const Tensor x = normal({2, 1, 28, 28}, 5), still = network->forward(x);
    network->train(true);
    const auto trained = [&](uint64_t seed, const std::vector<int64_t>& items) {
      const DropoutScope scope(seed, items, 0);
      return network->forward(x);
    };
    CHECK(at::equal(trained(1, {7, 8}), trained(1, {7, 8})));
    CHECK(max_difference(trained(1, {7, 8}), still) > 1e-3);
    CHECK(max_difference(trained(1, {7, 8}), trained(2, {7, 8})) > 1e-3);
    CHECK(max_difference(trained(1, {7, 8})[1], trained(1, {9, 8})[1]) < 1e-4);
    CHECK(thrown_by([&] { network->forward(x); }).exit == Exit::kFailed);
    network->train(false);
    CHECK(at::equal(network->forward(x), still));
    // Without dropout training is evaluation.
    io::Json plain = network->config();
    plain["config"]["dropout"] = {0, 0};
    const auto other = make_predictor(plain, "cnn");
    other->load_state(network->state(), "cnn");
    other->train(true);
    CHECK(at::equal(other->forward(x), still));
  }

  TEST_CASE("what it refuses") {
    const auto refused = [](const char* key, const io::Json& value) {
      const Thrown thrown = thrown_by([&] { make_predictor({{"type", "cnn"}, {"config", {{key, value}}}}, "x"); });
      return thrown.exit == Exit::kUsage && thrown.says(key);
    };
    CHECK(refused("channels", {32}));
    CHECK(refused("dropout", {0.25, 1}));
    CHECK(refused("dropout", {0.25}));
    CHECK(refused("height", 5));
    CHECK(refused("hiden", 5));
    CHECK(thrown_by([] { predictor_preset("cnn", {"vector", {30}, ""}, 2); }).says("a cnn needs images"));
    CHECK(thrown_by([] { make_predictor(predictor_preset("cnn", {"image", {1, 4, 4}, ""}, 2), "x"); }).says("height"));
  }
}

}  // namespace plumb::nn
