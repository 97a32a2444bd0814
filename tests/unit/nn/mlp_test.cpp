// Networks of vectors: the perceptron, data on a subspace, the predictor.   SPDX-License-Identifier: Apache-2.0
#include "nn/mlp.h"

#include "nn/denoiser_fit.h"
#include "nn/lora.h"
#include "nn/mlp_predictor.h"
#include "nn/subspace_denoiser.h"
#include "unit/gradcheck.h"
#include "unit/nn/helpers.h"

using namespace plumb;
using namespace plumb::nn;
using namespace plumb::nn::test;

namespace {

io::Json small_config(const std::string& type, int64_t num_classes = 2) {
  io::Json network{{"elements", 5}, {"hidden", {7, 6}}, {"time_dim", 4}, {"class_dim", 3}, {"num_classes", num_classes}};
  if (type == "subspace") network["subspace_dim"] = 2;
  return {{"type", type}, {"config", network}};
}

Thrown refused(const std::string& type, const char* key, const io::Json& value) {
  io::Json config = small_config(type);
  config["config"][key] = value;
  return thrown_by([&] { make_denoiser(config, "net.json"); });
}

Condition classes() { return {at::tensor({0, 1, 2}, at::kLong)}; }

}  // namespace

TEST_CASE("Mlp: linear, silu, linear; hidden is what the last layer sees") {
  Mlp mlp(1, {1}, 1);
  mlp.load_state({{"layers.0.weight", at::full({1, 1}, 2.0)}, {"layers.0.bias", at::full({1}, -1.0)},
                  {"layers.1.weight", at::full({1, 1}, 3.0)}, {"layers.1.bias", at::full({1}, 0.5)}}, "test");
  const double h = 2 * 1.5 - 1, silu = h / (1 + std::exp(-h));
  const Tensor x = at::full({1, 1}, 1.5);
  CHECK(mlp.hidden(x).item<double>() == doctest::Approx(silu).epsilon(1e-6));
  CHECK(mlp.forward(x).item<double>() == doctest::Approx(3 * silu + 0.5).epsilon(1e-6));
}

TEST_CASE("vectors' denoisers: gradients equal central differences, an item does not see its batch, no class is the null class") {
  for (const std::string type : {"mlp", "subspace"}) {
    CAPTURE(type);
    auto network = make_denoiser(small_config(type), "test");
    randomise(*network, 11);
    const Tensor x = normal({3, 5}, 3), t = at::tensor({3, 700, 0}, at::kLong);
    {
      const at::NoGradGuard no_grad;
      const Tensor together = network->forward(x, t, classes());
      CHECK((together.sizes() == x.sizes()));
      for (int64_t i = 0; i < 3; ++i) {
        const Tensor alone = network->forward(x.slice(0, i, i + 1), t.slice(0, i, i + 1), classes().slice(i, i + 1));
        CHECK(max_difference(alone[0], together[i]) < 1e-6);
      }
      CHECK(max_difference(network->forward(x, t, Condition{at::tensor({1, 1, 2}, at::kLong)})[0], together[0]) > 1e-4);
      CHECK(max_difference(network->forward(x, at::tensor({4, 700, 0}, at::kLong), classes())[0], together[0]) > 1e-4);
      const Condition null_class{at::full({3}, 2, at::kLong)};
      CHECK(at::equal(network->forward(x, t, {}), network->forward(x, t, null_class)));
      // a latent of any shape is flattened and comes back in its shape
      CHECK(at::equal(network->forward(x.view({3, 5, 1}), t, classes()), together.view({3, 5, 1})));
    }
    network->to(at::kDouble);
    const Tensor x64 = x.to(at::kDouble), weights = normal({3, 5}, 4).to(at::kDouble);
    std::vector<Tensor> inputs{x64};
    for (auto& [name, tensor] : network->parameters()) inputs.push_back(tensor);
    CHECK(plumb::test::gradient_error([&] { return (network->forward(x64, t, classes()) * weights).sum(); }, inputs, 4) < 1e-6);
  }
}

TEST_CASE("time enters as cos and sin of 1000 t / num_train_timesteps times 10^(-4 i / half)") {
  io::Json config = small_config("mlp", 0);
  config["config"]["hidden"] = {4};
  config["config"]["num_train_timesteps"] = 200;
  auto network = make_denoiser(config, "test");
  const at::NoGradGuard no_grad;
  // hidden unit k is silu(time feature k), outputs are sums: only output 0 is used. Inputs: 5 of x, cos, cos, sin, sin.
  for (auto& [name, tensor] : network->parameters()) {
    tensor.zero_();
    if (name == "network.mlp.layers.0.weight") tensor.slice(1, 5, 9).copy_(at::eye(4));
    if (name == "network.mlp.layers.1.weight") tensor[0].copy_(at::tensor({1, 10, 100, 1000}, at::kFloat));
  }
  const auto silu = [](double x) { return x / (1 + std::exp(-x)); };
  const double tau = 1000.0 * 37 / 200, slow = tau * 1e-2;
  const double want = silu(std::cos(tau)) + 10 * silu(std::cos(slow)) + 100 * silu(std::sin(tau)) + 1000 * silu(std::sin(slow));
  CHECK(network->forward(at::zeros({1, 5}), at::scalar_tensor(37), {})[0][0].item<double>() == doctest::Approx(want).epsilon(1e-4));
}

TEST_CASE("subspace: V is orthonormal, a free matrix that is orthonormal is its own V, and outputs lie on span V") {
  auto made = make_denoiser(small_config("subspace"), "test");
  initialise(*made, 3);
  auto& network = dynamic_cast<SubspaceDenoiser&>(*made);
  const at::NoGradGuard no_grad;
  const Tensor v = network.basis();
  CHECK((v.sizes() == at::IntArrayRef({5, 2})));
  CHECK(max_difference(at::matmul(v.t(), v), at::eye(2)) < 1e-6);
  Tensor free = network.parameters()[0].second;
  CHECK(network.parameters()[0].first == "basis");
  // the same span as the free matrix's
  CHECK(max_difference(at::matmul(v, at::matmul(v.t(), free)), free) < 1e-6);
  const Tensor x0 = network.forward(normal({3, 5}, 1), at::tensor({3, 700, 0}, at::kLong), classes());
  CHECK(x0.abs().max().item<double>() > 1e-3);
  CHECK(max_difference(at::matmul(at::matmul(x0, v), v.t()), x0) < 1e-6);
  free.copy_(v);
  CHECK(max_difference(network.basis(), v) < 1e-6);
  free.copy_(-v);
  CHECK(max_difference(network.basis(), -v) < 1e-6);   // not LAPACK's sign but the matrix's
}

TEST_CASE("vectors' denoisers: adapters, configs, fitting to items and schedule") {
  for (const std::string type : {"mlp", "subspace"}) {
    CAPTURE(type);
    auto network = make_denoiser(small_config(type), "test");
    CHECK((make_denoiser(network->config(), "test")->config() == network->config()));
    initialise(*network, 3);
    auto other = make_denoiser(network->config(), "test");
    other->load_state(network->state(), "test");
    const Tensor x = normal({3, 5}, 3), t = at::tensor({3, 700, 0}, at::kLong);
    const at::NoGradGuard no_grad;
    const Tensor before = network->forward(x, t, classes());
    CHECK(at::equal(other->forward(x, t, classes()), before));
    CHECK(attach_lora(*network, {.rank = 2, .targets = {"all"}}, 7) == 3);
    CHECK(at::equal(network->forward(x, t, classes()), before));
    for (auto& [name, tensor] : lora_parameters(*network)) tensor.copy_(normal(tensor.sizes().vec(), 5));
    const Tensor adapted = network->forward(x, t, classes());
    CHECK(max_difference(adapted, before) > 1e-2);
    merge_lora(*network);
    CHECK(max_difference(network->forward(x, t, classes()), adapted) < 1e-3);

    CHECK(refused(type, "hidden", io::Json::array()).says("hidden: is empty"));
    CHECK(refused(type, "hiden", io::Json::array()).says("did you mean 'hidden'?"));
    CHECK(refused(type, "time_dim", 3).says("time_dim: 3 is odd"));
    CHECK(refused(type, "elements", 0).exit == Exit::kUsage);
    CHECK(thrown_by([&] { network->forward(normal({3, 6}, 1), t, classes()); }).says("items of 5 numbers"));
  }
  CHECK(refused("subspace", "subspace_dim", 6).says("whole number from 1 to 5"));
  io::Json open{{"type", "subspace"}, {"config", {{"elements", 5}}}};
  CHECK(thrown_by([&] { make_denoiser(open, "net.json"); }).says("subspace_dim: is required"));
  open["config"]["subspace_dim"] = 2;
  CHECK(make_denoiser(open, "net.json")->config().at("config").at("hidden") == io::Json({256, 256}));

  io::Json fitted = denoiser_preset("auto", {"vector", {64}, ""}, 0);
  fit_timesteps(fitted, 200);
  CHECK(fitted["type"] == "mlp");
  CHECK(fitted["config"]["elements"] == 64);
  CHECK(fitted["config"]["num_train_timesteps"] == 200);
  CHECK(make_denoiser(fitted, "auto")->parameter_count() == (64 + 16) * 512 + 512 + 512 * 512 + 512 + 512 * 64 + 64);
  CHECK(denoiser_preset("vector", {"latent", {4, 8, 8}, ""}, 3)["config"]["elements"] == 256);
  CHECK(denoiser_preset("vector", {"sequence", {50}, "ACGT"}, 3)["config"]["elements"] == 200);
  CHECK_NOTHROW(check_prediction_type(open, "sample"));
  CHECK_NOTHROW(check_prediction_type(fitted, "epsilon"));
  CHECK(thrown_by([&] { check_prediction_type(open, "v_prediction"); }).says("--prediction-type"));
}

TEST_CASE("predictors of vectors and sequences: presets by space, features before the head, configs") {
  const io::Space vectors{"vector", {6}, ""}, dna{"sequence", {50}, "ACGT"}, grey{"image", {1, 28, 28}, ""};
  const auto network = make_predictor(predictor_preset("auto", vectors, 3), "auto");
  CHECK(network->config() == io::Json({{"type", "mlp"}, {"config", {{"elements", 6}, {"hidden", {256, 256}}, {"outputs", 3}, {"activation", "silu"}, {"input_scale", 1.0}}}}));
  CHECK((make_predictor(network->config(), "test")->config() == network->config()));
  initialise(*network, 1);
  const at::NoGradGuard no_grad;
  const Tensor x = normal({4, 6}, 2);
  CHECK((network->features(x).sizes() == at::IntArrayRef({4, 256})));
  CHECK((network->forward(x).sizes() == at::IntArrayRef({4, 3})));
  CHECK(at::equal(network->forward(x), network->head(network->features(x))));
  CHECK(max_difference(network->forward(x.slice(0, 1, 2))[0], network->forward(x)[1]) < 1e-6);

  const auto sequences = make_predictor(predictor_preset("auto", dna, 1), "auto");
  CHECK(sequences->parameter_count() == 262273);   // 15*4*128+128, 3*(5*128*128+128), 128*64+64, 64+1
  CHECK(sequences->feature_dimension() == 64);
  CHECK(predictor_preset("auto", grey, 10)["type"] == "resnet");
  CHECK(thrown_by([&] { predictor_preset("sequence", vectors, 1); }).says("a conv1d needs sequences"));
  CHECK(thrown_by([&] { predictor_preset("small", dna, 1); }).says("a resnet needs images"));
  CHECK(thrown_by([&] { predictor_preset("auto", {"sequence", {7}, "ACGT"}, 1); }).says("at least 8"));
  CHECK(thrown_by([] { make_predictor({{"type", "conv1d"}, {"config", {{"kernel", 4}}}}, "x"); }).says("kernel: 4 is even"));
  CHECK(thrown_by([] { make_predictor({{"type", "conv1d"}, {"config", {{"blocks", 17}}}}, "x"); }).says("blocks"));
  CHECK(thrown_by([] { make_predictor({{"type", "mlp"}, {"config", {{"hidden", io::Json::array()}}}}, "x"); }).says("hidden"));
}
