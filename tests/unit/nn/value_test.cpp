// Networks that are conditioned on a value: every architecture.   SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "nn/denoiser_fit.h"
#include "nn/lora.h"
#include "nn/mlp.h"
#include "nn/subspace_denoiser.h"
#include "nn/unet2d.h"
#include "unit/gradcheck.h"
#include "unit/nn/helpers.h"

using namespace plumb;
using namespace plumb::nn;
using namespace plumb::nn::test;

namespace {

const float kNone = std::numeric_limits<float>::quiet_NaN();

struct Case {
  io::Json config;                // without a value
  std::vector<int64_t> shape;     // of three items
};

std::vector<Case> cases() {
  io::Json vector{{"elements", 5}, {"hidden", {7, 6}}, {"time_dim", 4}, {"class_dim", 3}, {"num_classes", 2}}, subspace = vector, residual;
  subspace["subspace_dim"] = 2;
  residual = subspace;
  residual["residual"] = true;
  const io::Json conv{{"channels", 4}, {"width", 6}, {"kernel", 3}, {"dilations", {1, 2}}, {"embedding_dim", 8}, {"num_classes", 2}};
  return {{{{"type", "mlp"}, {"config", vector}}, {3, 5}},
          {{{"type", "subspace"}, {"config", subspace}}, {3, 5}},
          {{{"type", "subspace"}, {"config", residual}}, {3, 5}},
          {{{"type", "conv1d"}, {"config", conv}}, {3, 4, 9}},
          {small_unet(), {3, 1, 8, 8}}};
}

std::unique_ptr<Denoiser> with_levels(const io::Json& config) {
  auto network = make_denoiser(config, "test");
  std::vector<double> levels;
  for (int t = 0; t < 1000; ++t) levels.push_back(0.999 - 0.998 * t / 999.0);
  fit_schedule(*network, levels);
  return network;
}

}  // namespace

TEST_CASE("a value: added at 0 it changes nothing; NaN is none; an item does not see its batch; gradients equal central differences") {
  for (const Case& one : cases()) {
    CAPTURE(one.config.dump());
    io::Json config = one.config;
    fit_value(config);
    const auto plain = with_levels(one.config), network = with_levels(config);
    CHECK_FALSE(plain->takes_value());
    CHECK(network->takes_value());
    CHECK((make_denoiser(network->config(), "test")->config() == network->config()));
    CHECK(make_denoiser(network->config(), "test")->takes_value());
    CHECK(one.config.dump().find("value") == std::string::npos);
    initialise(*plain, 3);
    initialise(*network, 3);
    const Tensor x = normal(one.shape, 3), t = at::tensor({3, 700, 0}, at::kLong);
    const Condition label{at::tensor({0, 1, 2}, at::kLong)};
    Condition condition = label;
    condition.value = at::tensor({1.5F, -0.3F, kNone}, at::kFloat);
    {
      const at::NoGradGuard no_grad;
      CHECK(at::equal(network->forward(x, t, condition), plain->forward(x, t, label)));   // same draws, embedding at 0
      CHECK(thrown_by([&] { plain->forward(x, t, condition); }).says("not conditioned on a value"));

      randomise(*plain, 20);
      const auto wider = with_value(*plain, 9);
      CHECK((wider->config() == network->config()));
      CHECK(at::equal(wider->forward(x, t, condition), plain->forward(x, t, label)));
      CHECK(wider->parameter_count() > plain->parameter_count());

      randomise(*network, 11);
      const Tensor together = network->forward(x, t, condition), without = network->forward(x, t, label);
      CHECK(max_difference(together[0], without[0]) > 1e-4);
      CHECK(at::equal(together[2], without[2]));
      Condition zero = condition;
      zero.value = at::zeros({3});
      CHECK(max_difference(network->forward(x, t, zero)[2], together[2]) > 1e-5);   // 0, the mean, is not "none"
      for (int64_t i = 0; i < 3; ++i) {
        const Tensor alone = network->forward(x.slice(0, i, i + 1), t.slice(0, i, i + 1), condition.slice(i, i + 1));
        CHECK(max_difference(alone[0], together[i]) < 1e-5);
      }
      CHECK(thrown_by([&] { network->forward(x, t, {{}, at::zeros({2})}); }).says("[2] for a batch of 3"));
    }
    network->to(at::kDouble);
    const Tensor x64 = x.to(at::kDouble), weights = normal(one.shape, 4).to(at::kDouble);
    std::vector<Tensor> inputs{x64};
    for (auto& [name, tensor] : network->parameters()) inputs.push_back(tensor);
    CHECK(plumb::test::gradient_error([&] { return (network->forward(x64, t, condition) * weights).sum(); }, inputs, 3) < 1e-6);
  }
  io::Json script{{"type", "torchscript"}, {"path", "x.pt"}};
  CHECK(thrown_by([&] { fit_value(script); }).says("takes no value"));
  io::Json unet = small_unet();
  unet["value"] = 1;
  CHECK(thrown_by([&] { make_denoiser(unet, "net.json"); }).says("value is not true or false"));
}

TEST_CASE("value embedding: y, whether it is known, and its waves") {
  ValueEmbedding embedding(14);
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : embedding.parameters()) {   // linear_1 passes features k on, linear_2 sums silu(feature) 10^-k
    tensor.zero_();
    if (name == "linear_1.weight") tensor.copy_(at::eye(14));
    if (name == "linear_2.weight") tensor.copy_(at::eye(14));
  }
  const auto silu = [](double x) { return x / (1 + std::exp(-x)); };
  const Tensor out = embedding.forward(value_of_items({{}, at::tensor({0.7F, kNone}, at::kFloat)}, true, 2, at::kCPU));
  CHECK(at::equal(out[1], at::zeros({14})));
  CHECK(out[0][0].item<double>() == doctest::Approx(silu(0.7)));
  CHECK(out[0][1].item<double>() == doctest::Approx(silu(1)));
  CHECK(out[0][2].item<double>() == doctest::Approx(silu(std::sin(0.7 / 8))));
  CHECK(out[0][7].item<double>() == doctest::Approx(silu(std::sin(0.7 * 4))));
  CHECK(out[0][13].item<double>() == doctest::Approx(silu(std::cos(0.7 * 4))));
}

TEST_CASE("adapters leave a value embedding its names; subspace residual: exact at a correction of 0") {
  io::Json config = cases()[2].config;
  fit_value(config);
  const auto network = with_levels(config);
  CHECK(network->config().at("config").at("residual") == true);
  initialise(*network, 5);
  const NamedTensors state = network->state();
  CHECK(std::any_of(state.begin(), state.end(), [](const auto& entry) { return entry.first == "alphas_cumprod"; }));
  CHECK(attach_lora(*network, {.rank = 2, .targets = {"value_proj"}}, 7) == 1);
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : network->parameters()) {
    if (name != "basis") tensor.zero_();
  }
  auto& subspace = dynamic_cast<SubspaceDenoiser&>(*network);
  const Tensor x = normal({2, 5}, 1), t = at::tensor({0, 999}, at::kLong), v = subspace.basis();
  const Tensor a = at::tensor({0.999, 0.001}).to(at::kFloat).unsqueeze(1);
  // m = 0: the posterior mean of standard normal coordinates, sqrt(a) V V^T x_t
  CHECK(max_difference(network->forward(x, t, {}), at::sqrt(a) * at::matmul(at::matmul(x, v), v.t())) < 1e-6);
  for (auto& [name, tensor] : network->parameters()) {
    if (name == "network.mlp.layers.2.bias") tensor.copy_(at::tensor({2.0F, -1.0F}));
  }
  const Tensor want = at::matmul(at::sqrt(a) * at::matmul(x, v) + at::sqrt(1 - a) * at::tensor({2.0F, -1.0F}), v.t());
  CHECK(max_difference(network->forward(x, t, {}), want) < 1e-6);
  CHECK(thrown_by([&] { fit_schedule(*network, {0.5}); }).says("num_train_timesteps"));
  config["config"]["residual"] = "yes";
  CHECK(thrown_by([&] { make_denoiser(config, "net.json"); }).says("residual: is not true or false"));
}
