// The UNet of PAPA: against the published module on weights by a formula.   SPDX-License-Identifier: Apache-2.0
#include "nn/papa_unet.h"

#include <map>

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include "nn/lora.h"
#include "unit/nn/preference_fill.h"

namespace plumb::nn {
namespace {

using namespace test;

/// A two-level network of one layer a block.
io::Json small_config() {
  return {{"type", "papa-unet"},
          {"config", {{"im_channels", 1}, {"down_channels", {8, 16}}, {"mid_channels", {16, 8}}, {"down_sample", {true}}, {"time_emb_dim", 8},
                      {"num_heads", 4}, {"num_down_layers", 1}, {"num_mid_layers", 1}, {"num_up_layers", 1}}}};
}

double error_of(const Tensor& got, const io::Json& expected) {
  const Tensor want = at::tensor(expected.get<std::vector<double>>(), at::kDouble);
  return (got.detach().flatten() - want).abs().max().item<double>();
}

}  // namespace

TEST_SUITE("papa-unet") {
  TEST_CASE("P17: the time embedding") {
    const io::Json c = preference_case("P17_time_embedding"), want = c.at("expected");
    CHECK(error_of(papa_time_embedding(at::tensor({c.at("inputs").at("t").get<int64_t>()}, at::kLong), c.at("inputs").at("dim")), want.at("emb")) < 1e-8);
    const Tensor late = papa_time_embedding(at::tensor({999}, at::kLong), 128);
    CHECK(error_of(late.slice(1, 0, 3), want.at("emb_t999_dim128_first3")) < 1e-8);
    CHECK(error_of(late.slice(1, 64, 67), want.at("emb_t999_dim128_cos_first3")) < 1e-8);
  }

  TEST_CASE("U01: parameters by part, outputs at t = 10 and 700 as the published module's") {
    const io::Json want = preference_case("U01_unet").at("expected");
    const io::Json config = denoiser_preset("papa", {"image", {1, 28, 28}, ""}, 0);
    const auto network = make_denoiser(config, "papa");
    CHECK(network->parameter_count() == want.at("n_params"));
    CHECK(network->parameters().size() == want.at("n_tensors"));
    CHECK(network->state().size() == want.at("n_tensors"));
    std::map<std::string, int64_t> parts;
    for (const auto& [name, tensor] : network->parameters()) {
      const std::string top = name.substr(0, name.find('.'));
      const bool list = top == "downs" || top == "mids" || top == "ups";
      parts[list ? name.substr(0, name.find('.', top.size() + 1)) : top] += tensor.numel();
    }
    size_t found = 0;
    for (const auto& [part, count] : want.at("params_by_part").items()) {
      if (!count.is_array()) {
        CHECK(parts[part] == count);
        ++found;
        continue;
      }
      for (size_t i = 0; i < count.size(); ++i) CHECK(parts[part + "." + std::to_string(i)] == count[i]);
      found += count.size();
    }
    CHECK(found == parts.size());

    network->to(at::kDouble);
    network->set_requires_grad(false);
    fill_as_preference(*network);
    const Tensor x = at::sin(0.1 * at::arange(28 * 28, at::kDouble)).view({1, 1, 28, 28});
    const auto at_time = [&](int64_t t) { return network->forward(x, at::tensor({t}, at::kLong), {}); };
    const Tensor early = at_time(10), late = at_time(700);
    CHECK((early.scalar_type() == at::kDouble));
    CHECK(early.sum().item<double>() == doctest::Approx(want.at("t10_sum").get<double>()).epsilon(1e-6));
    CHECK(early.abs().mean().item<double>() == doctest::Approx(want.at("t10_absmean").get<double>()).epsilon(1e-6));
    CHECK(error_of(early.flatten().slice(0, 0, 4), want.at("t10_first4")) < 1e-6);
    CHECK(std::abs(early[0][0][14][14].item<double>() - want.at("t10_center").get<double>()) < 1e-6);
    CHECK(late.sum().item<double>() == doctest::Approx(want.at("t700_sum").get<double>()).epsilon(1e-6));
    CHECK(error_of(late.flatten().slice(0, 0, 4), want.at("t700_first4")) < 1e-6);

    network->to(at::kFloat);
    const Tensor single = network->forward(x.to(at::kFloat), at::tensor({10}, at::kLong), {});
    CHECK(max_difference(single.to(at::kDouble), early) < 1e-3);
  }

  TEST_CASE("a batch is its items one by one, each with its own time; the config makes the same network again") {
    const auto network = make_denoiser(small_config(), "x"), again = make_denoiser(network->config(), "x");
    CHECK((again->config() == network->config()));
    randomise(*network, 5);
    again->load_state(network->state(), "x");
    const at::NoGradGuard no_grad;
    const Tensor x = normal({2, 1, 4, 6}, 3), t = at::tensor({3, 900}, at::kLong), both = network->forward(x, t, {});
    CHECK((both.sizes() == x.sizes()));
    CHECK(at::equal(again->forward(x, t, {}), both));
    for (int64_t i = 0; i < 2; ++i) {
      CHECK(max_difference(network->forward(x.slice(0, i, i + 1), t.slice(0, i, i + 1), {}), both.slice(0, i, i + 1)) < 1e-4);
    }
    CHECK(max_difference(network->forward(x, t.flip(0), {}), both) > 1e-3);
  }

  TEST_CASE("first weights are torch's: Xavier for the packed projection, biases of attention 0") {
    const auto network = make_denoiser(small_config(), "x");
    initialise(*network, 1);
    for (const auto& [name, tensor] : network->parameters()) {
      const double largest = tensor.abs().max().item<double>();
      CAPTURE(name);
      if (name.ends_with("in_proj_bias") || name.ends_with("out_proj.bias")) CHECK(largest == 0);
      if (name == "downs.0.attentions.0.in_proj_weight") CHECK((largest > 0.9 * std::sqrt(6.0 / 64) && largest < std::sqrt(6.0 / 64)));
      if (name == "ups.0.up_sample_conv.weight") CHECK((largest > 0.85 / std::sqrt(8 * 16.0) && largest < 1 / std::sqrt(8 * 16.0)));
    }
  }

  TEST_CASE("adapters: on the packed projection too, nothing at first, and merged they are the same function") {
    const auto network = make_denoiser(small_config(), "x");
    randomise(*network, 5);
    network->set_requires_grad(false);
    const Tensor x = normal({2, 1, 4, 4}, 3), t = at::tensor({3, 9}, at::kLong), before = network->forward(x, t, {});
    LoraOptions options;
    options.rank = 2;
    options.targets = {"attentions.0"};
    CHECK(attach_lora(*network, options, 1) == 3);
    CHECK(max_difference(network->forward(x, t, {}), before) == 0);
    {
      const at::NoGradGuard no_grad;
      uint64_t seed = 9;
      for (auto& [name, tensor] : lora_parameters(*network)) tensor.copy_(normal(tensor.sizes().vec(), seed++));
    }
    CHECK((lora_parameters(*network)[0].second.sizes() == at::IntArrayRef({2, 16})));
    CHECK((lora_parameters(*network)[1].second.sizes() == at::IntArrayRef({48, 2})));
    const Tensor after = network->forward(x, t, {});
    CHECK(max_difference(after, before) > 1e-2);
    merge_lora(*network);
    CHECK(max_difference(network->forward(x, t, {}), after) < 1e-3 * std::max(1.0, after.abs().max().item<double>()));
    options.targets = {"all"};
    CHECK(attach_lora(*network, options, 1) == 27);   // all but the transposed convolution
  }

  TEST_CASE("what it refuses") {
    const auto refused = [](const char* key, const io::Json& value) {
      io::Json config = small_config();
      config["config"][key] = value;
      const Thrown thrown = thrown_by([&] { make_denoiser(config, "x"); });
      return thrown.exit == Exit::kUsage && thrown.says(key);
    };
    CHECK(refused("num_class_embeds", 10));
    CHECK(refused("down_channels", {8, 12}));
    CHECK(refused("down_sample", io::Json::array()));
    CHECK(refused("mid_channels", {16, 16}));
    CHECK(refused("mid_channels", {8, 8}));
    CHECK(refused("num_heads", 3));
    CHECK(refused("time_emb_dim", 7));
    CHECK(refused("channels", 7));
    CHECK(thrown_by([] { denoiser_preset("papa", {"image", {1, 28, 28}, ""}, 10); }).says("knows no classes"));
    CHECK(thrown_by([] { denoiser_preset("papa", {"image", {1, 30, 30}, ""}, 0); }).says("multiples of 4"));
    CHECK(thrown_by([] { denoiser_preset("papa", {"vector", {30}, ""}, 0); }).exit == Exit::kUsage);
    CHECK(denoiser_preset("papa", {"image", {3, 32, 32}, ""}, 0)["config"]["im_channels"] == 3);
    const auto network = make_denoiser(small_config(), "x");
    const Tensor t = at::zeros({1}, at::kLong);
    CHECK(thrown_by([&] { network->forward(at::zeros({1, 1, 5, 4}), t, {}); }).exit == Exit::kBadInput);
    CHECK(thrown_by([&] { network->forward(at::zeros({1, 2, 4, 4}), t, {}); }).exit == Exit::kBadInput);
    CHECK(thrown_by([&] { network->forward(at::zeros({1, 1, 4, 4}), t, {at::zeros({1}, at::kLong)}); }).says("unconditional"));
    CHECK(thrown_by([&] { network->forward(at::zeros({2, 1, 4, 4}), at::zeros({3}, at::kLong), {}); }).says("timestep"));
  }
}

}  // namespace plumb::nn
