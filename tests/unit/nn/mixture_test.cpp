// The exact denoiser of a mixture.   SPDX-License-Identifier: Apache-2.0
#include "nn/mixture_denoiser.h"

#include <cmath>
#include <fstream>

#include <nlohmann/json.hpp>

#include "nn/denoiser_fit.h"
#include "nn/lora.h"
#include "unit/nn/helpers.h"

using namespace plumb;
using namespace plumb::nn;
using namespace plumb::nn::test;

namespace {

/// alphas_cumprod of linear betas.
std::vector<double> linear_levels(int64_t count, double first, double last) {
  std::vector<double> levels;
  double product = 1;
  for (int64_t t = 0; t < count; ++t) {
    product *= 1 - (first + (last - first) * static_cast<double>(t) / static_cast<double>(count - 1));
    levels.push_back(product);
  }
  return levels;
}

io::Json nine_modes() {
  io::Json centres = io::Json::array();
  for (const int a : {-3, 0, 3})
    for (const int b : {-3, 0, 3}) centres.push_back({a, b});
  return {{"type", "mixture"}, {"config", {{"centres", centres}, {"std", 0.5}, {"num_train_timesteps", 50}}}};
}

std::unique_ptr<Denoiser> fitted(const io::Json& config, const std::vector<double>& levels) {
  auto network = make_denoiser(config, "test");
  initialise(*network, 3);
  fit_schedule(*network, levels);
  return network;
}

Thrown refused(const char* key, const io::Json& value) {
  io::Json config = nine_modes();
  config["config"][key] = value;
  return thrown_by([&] { make_denoiser(config, "net.json"); });
}

}  // namespace

TEST_CASE("a mixture's noise is the closed form [gmm_exact_eps]") {
  std::ifstream file(numeric_file("offline-design.json"));
  const nlohmann::json all = nlohmann::json::parse(file);
  nlohmann::json found;
  for (const auto& entry : all.at("cases")) {
    if (entry.at("name") == "gmm_exact_eps") found = entry;
  }
  const std::vector<double> levels = linear_levels(50, 0.002, 0.4);
  const auto t = found["inputs"]["t_index"].get<int64_t>();
  CHECK(levels[static_cast<size_t>(t)] == doctest::Approx(found["expected"]["abar"].get<double>()).epsilon(1e-8));
  CHECK(levels.back() == doctest::Approx(found["expected"]["abar_last"].get<double>()).epsilon(1e-4));
  const auto network = fitted(nine_modes(), levels);
  const std::vector<float> x = found["inputs"]["x"], eps = found["expected"]["eps"];
  const Tensor out = network->forward(at::tensor(x).unsqueeze(0), at::full({1}, t, at::kLong), {});
  CHECK(max_difference(out[0], at::tensor(eps)) < 1e-6);
}

TEST_CASE("noise is minus the score of the noised mixture, weights and all, by central differences") {
  io::Json config = nine_modes();
  config["config"]["centres"] = {{-1.0, 0.5, 2.0}, {0.7, -0.3, 0.1}};
  config["config"]["weights"] = {3.0, 1.0};
  const std::vector<double> levels = linear_levels(50, 0.002, 0.4);
  const auto network = fitted(config, levels);
  const at::NoGradGuard no_grad;
  network->to(at::kDouble);
  for (const int64_t t : {0, 7, 30, 49}) {
    const double a = levels[static_cast<size_t>(t)], v = a * 0.25 + 1 - a, h = 1e-5;
    const auto log_density = [&](const std::vector<double>& x) {
      double sum = 0;
      for (size_t k = 0; k < 2; ++k) {
        double square = 0;
        for (size_t d = 0; d < 3; ++d) square += std::pow(x[d] - std::sqrt(a) * config["config"]["centres"][k][d].get<double>(), 2);
        sum += config["config"]["weights"][k].get<double>() * std::exp(-square / (2 * v));
      }
      return std::log(sum);
    };
    const std::vector<double> x{0.2, 0.4, 1.1};
    const Tensor eps = network->forward(at::tensor(x, at::kDouble).unsqueeze(0), at::full({1}, t, at::kLong), {})[0];
    for (size_t d = 0; d < 3; ++d) {
      std::vector<double> up = x, down = x;
      up[d] += h;
      down[d] -= h;
      const double score = (log_density(up) - log_density(down)) / (2 * h);
      CHECK(eps[static_cast<int64_t>(d)].item<double>() == doctest::Approx(-std::sqrt(1 - a) * score).epsilon(1e-5));
    }
  }
}

TEST_CASE("a mixture's residual starts at zero and is what training and adapters change; its levels are part of its state") {
  const std::vector<double> levels = linear_levels(50, 0.002, 0.4);
  const auto network = fitted(nine_modes(), levels);
  const Tensor x = normal({4, 2}, 5), t = at::tensor({0, 10, 20, 49}, at::kLong);
  const Tensor before = network->forward(x, t, {}).detach();
  const auto copy = make_denoiser(network->config(), "copy");
  copy->load_state(network->state(), "copy");
  CHECK(at::equal(copy->forward(x, t, {}).detach(), before));
  const auto unfitted = make_denoiser(network->config(), "unfitted");
  CHECK(max_difference(unfitted->forward(x, t, {}).detach(), before) > 1e-3);
  CHECK(attach_lora(*network, {.rank = 2, .targets = {"all"}}, 1) == 3);
  CHECK(at::equal(network->forward(x, t, {}).detach(), before));
  merge_lora(*network);
  network->each_parameter([](const std::string&, Tensor& p) { p.data().add_(0.1); });
  CHECK(max_difference(network->forward(x, t, {}).detach(), before) > 1e-2);
}

TEST_CASE("mixtures that make no sense are refused by name") {
  CHECK(refused("centres", io::Json::array()).says("centres: is required"));
  CHECK(refused("centres", {{1, 2}, {3}}).says("not all of one size"));
  CHECK(refused("weights", {1, 2}).says("2 for 9 centres"));
  CHECK(refused("std", 0).says("std: 0 is not above 0"));
  CHECK(refused("time_dim", 3).says("is odd"));
  CHECK(refused("spread", 3).says("unknown network option 'spread'"));
  const auto network = make_denoiser(nine_modes(), "test");
  CHECK(thrown_by([&] { fit_schedule(*network, {0.5}); }).says("1 noise levels, the network is set for 50"));
  CHECK(thrown_by([&] { network->forward(at::zeros({1, 2}), at::zeros({1}, at::kLong), {at::zeros({1}, at::kLong)}); }).says("class"));
  CHECK(thrown_by([&] { check_prediction_type(nine_modes(), "v_prediction"); }).says("predicts the noise"));
}
