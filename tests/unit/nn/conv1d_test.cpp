// Networks of sequences: the layer, the denoiser and the predictor, against PyTorch and by their rules.   SPDX-License-Identifier: Apache-2.0
#include "nn/conv1d_denoiser.h"

#include "nn/conv1d_predictor.h"
#include "nn/denoiser_fit.h"
#include "nn/lora.h"
#include "unit/gradcheck.h"
#include "unit/nn/reference.h"

using namespace plumb;
using namespace plumb::nn;
using namespace plumb::nn::test;

namespace {

/// A small conditional network of 4 letters: 2 classes and the null class.
io::Json small_conv1d(int64_t num_classes = 2) {
  return {{"type", "conv1d"},
          {"config", {{"channels", 4}, {"width", 6}, {"kernel", 3}, {"dilations", {1, 2}}, {"embedding_dim", 8}, {"num_classes", num_classes}}}};
}

struct Fixture {
  std::unique_ptr<Denoiser> network = make_denoiser(small_conv1d(), "test");
  Tensor x = normal({3, 4, 9}, 9), t = at::tensor({0, 5, 999}, at::kLong);
  Condition condition{at::tensor({0, 1, 2}, at::kLong)};
  Fixture() { initialise(*network, 4); }
  Tensor run() {
    const at::NoGradGuard no_grad;
    return network->forward(x, t, condition);
  }
};

Thrown refused(const char* key, const io::Json& value) {
  io::Json config = small_conv1d();
  config["config"][key] = value;
  return thrown_by([&] { make_denoiser(config, "net.json"); });
}

}  // namespace

TEST_CASE("Conv1d: by hand, and gradients of it and its adapter equal central differences") {
  Conv1d conv(1, 1, 3, Conv1d::same_padding(3, 2), 2);
  conv.load_state({{"weight", at::tensor({1.0, 10.0, 100.0}, at::kFloat).view({1, 1, 3})}, {"bias", at::tensor({0.5}, at::kFloat)}}, "test");
  const Tensor y = conv.forward(at::tensor({1, 2, 3, 4}, at::kFloat).view({1, 1, 4}));
  CHECK(at::equal(y.flatten(), at::tensor({310.5, 420.5, 31.5, 42.5}, at::kFloat)));   // x[i-2] + 10 x[i] + 100 x[i+2], 0 outside

  Conv1d with_adapter(3, 4, 3, 2, 2);
  with_adapter.attach_lora(2, 5, 1, 0);
  randomise(with_adapter, 3);
  with_adapter.to(at::kDouble);
  const Tensor x = normal({2, 3, 7}, 1).to(at::kDouble), w = normal({2, 4, 7}, 2).to(at::kDouble);
  const auto f = [&] { return (with_adapter.forward(x) * w).sum(); };
  CHECK(plumb::test::gradient_error(f, {x, with_adapter.weight(), with_adapter.lora_a_, with_adapter.lora_b_}) < 1e-8);
}

TEST_CASE("Conv1dDenoiser equals PyTorch: output, gradients of the input and of every weight") {
  const io::SafetensorsReader file(numeric_file("conv1d.safetensors"));
  const io::Json cases = io::Json::parse(file.metadata().at("cases"));
  REQUIRE(cases.size() == 2);
  for (const auto& [name, config] : cases.items()) {
    CAPTURE(name);
    Conv1dDenoiser network(Conv1dOptions::from_json(config, name));
    fill_as_reference(network);
    const Tensor x = read(file, name + "/x").set_requires_grad(true);
    Condition condition;
    if (file.tensors().count(name + "/label")) condition.label = read(file, name + "/label");
    const Tensor expected = read(file, name + "/output"), expected_grad_x = read(file, name + "/grad_x");
    const Tensor output = network.forward(x, read(file, name + "/timestep"), condition);
    REQUIRE((output.sizes() == expected.sizes()));
    CHECK(expected.abs().max().item<double>() > 0.5);
    CHECK(max_difference(output, expected) <= 1e-5 * std::max(1.0, expected.abs().max().item<double>()));   // float32 sums in another order
    torch::autograd::backward({(output * read(file, name + "/cotangent")).sum()}, {});
    CHECK(max_difference(x.grad(), expected_grad_x) <= 1e-5 * std::max(1.0, expected_grad_x.abs().max().item<double>()));
    CHECK(parameter_gradient_error(network, read(file, name + "/grad")) <= 1e-5);
  }
}

TEST_CASE("Conv1dPredictor equals PyTorch: output, gradients of the input and of every weight") {
  const io::SafetensorsReader file(numeric_file("conv1d.safetensors"));
  Conv1dPredictor network(Conv1dPredictorOptions::from_json(io::Json::parse(file.metadata().at("predictor")), "test"));
  fill_as_reference(network);
  const Tensor x = read(file, "predictor/x").set_requires_grad(true), expected = read(file, "predictor/output");
  const Tensor output = network.forward(x), expected_grad_x = read(file, "predictor/grad_x");
  REQUIRE((output.sizes() == expected.sizes()));
  CHECK(max_difference(output, expected) <= 1e-5 * std::max(1.0, expected.abs().max().item<double>()));
  torch::autograd::backward({(output * read(file, "predictor/cotangent")).sum()}, {});
  CHECK(expected_grad_x.abs().max().item<double>() > 1e-3);
  CHECK(max_difference(x.grad(), expected_grad_x) <= 1e-5 * std::max(1.0, expected_grad_x.abs().max().item<double>()));
  CHECK(parameter_gradient_error(network, read(file, "predictor/grad")) <= 1e-5);
  CHECK((network.features(x).sizes() == at::IntArrayRef({4, 5})));
  CHECK(at::equal(network.head(network.features(x)), output));
  CHECK(thrown_by([&] { network.forward(normal({2, 4, 3}, 1)); }).says("L at least 4"));
}

TEST_CASE("Conv1dDenoiser: gradients equal central differences in float64") {
  auto network = make_denoiser(small_conv1d(), "test");
  randomise(*network, 11);
  network->to(at::kDouble);
  const Tensor x = normal({2, 4, 9}, 3).to(at::kDouble), weights = normal({2, 4, 9}, 4).to(at::kDouble);
  const Tensor t = at::tensor({3, 700}, at::kLong);
  const Condition condition{at::tensor({0, 2}, at::kLong)};
  std::vector<Tensor> inputs{x};
  for (auto& [name, tensor] : network->parameters()) inputs.push_back(tensor);
  CHECK(plumb::test::gradient_error([&] { return (network->forward(x, t, condition) * weights).sum(); }, inputs, 3) < 1e-6);
}

TEST_CASE("Conv1dDenoiser of masked letters: fewer channels out than in, positions normalised by themselves, no time; gradients") {
  ChannelNorm norm(2);
  norm.load_state({{"weight", at::tensor({2.0, 3.0}, at::kFloat)}, {"bias", at::tensor({0.0, 1.0}, at::kFloat)}}, "test");
  const Tensor y = norm.forward(at::tensor({1, 5, 3, 11}, at::kFloat).view({1, 2, 2}));   // positions (1,3) and (5,11): -1 and +1 each
  CHECK(max_difference(y, at::tensor({-2, -2, 4, 4}, at::kFloat).view({1, 2, 2})) < 1e-4);

  io::Json config = small_conv1d();
  config["config"].erase("channels");
  fit_masked(config, 4);
  CHECK(config["config"]["channels"] == 5);
  CHECK(config["config"]["out_channels"] == 4);
  CHECK(config["config"]["use_time"] == false);
  config["config"]["norm"] = "layer";
  config["config"]["activation"] = "relu";
  auto network = make_denoiser(config, "test");
  CHECK((make_denoiser(network->config(), "again")->config() == network->config()));
  randomise(*network, 11);
  network->to(at::kDouble);
  const Tensor x = normal({2, 5, 9}, 3).to(at::kDouble), weights = normal({2, 4, 9}, 4).to(at::kDouble);
  const Condition condition{at::tensor({0, 2}, at::kLong)};
  const Tensor t = at::tensor({3.0, 700.0}, at::kFloat);
  REQUIRE((network->forward(x, t, condition).sizes() == at::IntArrayRef({2, 4, 9})));
  CHECK(at::equal(network->forward(x, t, condition), network->forward(x, t * 0.5, condition)));
  std::vector<Tensor> inputs{x};
  for (auto& [name, tensor] : network->parameters()) inputs.push_back(tensor);
  CHECK(plumb::test::gradient_error([&] { return (network->forward(x, t, condition) * weights).sum(); }, inputs, 3) < 1e-5);

  io::Json fitted = small_conv1d();   // as the preset is fitted to the items: channels of model space
  fit_masked(fitted, 4);
  CHECK(fitted["config"]["channels"] == 5);
  fitted["config"]["channels"] = 7;
  CHECK(thrown_by([&] { fit_masked(fitted, 4); }).says("need channels 5 and out_channels 4"));
  io::Json mlp{{"type", "mlp"}};
  CHECK(thrown_by([&] { fit_masked(mlp, 4); }).says("masked letters need a conv1d network, not 'mlp'"));
  CHECK(refused("norm", "batch").says("norm: 'batch' is not supported"));
  CHECK(refused("activation", "tanh").says("activation"));
  CHECK(refused("out_channels", -1).says("out_channels"));
}

TEST_CASE("Conv1dDenoiser: an item sees neither its batch nor whether the network trains; time and class matter") {
  Fixture f;
  const Tensor with_graph = f.network->forward(f.x, f.t, f.condition).detach(), together = f.run();
  CHECK(at::equal(together, with_graph));
  for (int64_t i = 0; i < 3; ++i) {
    const at::NoGradGuard no_grad;
    const Tensor alone = f.network->forward(f.x.slice(0, i, i + 1), f.t.slice(0, i, i + 1), f.condition.slice(i, i + 1));
    CHECK(max_difference(alone[0], together[i]) < 1e-6);
  }
  f.t = at::tensor({6, 6, 6}, at::kLong);
  const Tensor other_time = f.run();
  CHECK(max_difference(other_time, together) > 1e-3);
  f.condition.label = at::tensor({1, 1, 1}, at::kLong);
  CHECK(max_difference(f.run()[0], other_time[0]) > 1e-3);
  f.condition.label = at::full({3}, 2, at::kLong);
  const Tensor null_class = f.run();
  f.condition.label = Tensor();
  CHECK(at::equal(f.run(), null_class));   // no class given = the null class
  CHECK(f.network->num_classes() == 2);
  const Tensor scalar_time = [&] { const at::NoGradGuard no_grad; return f.network->forward(f.x, at::scalar_tensor(6), {}); }();
  CHECK(at::equal(scalar_time, null_class));
}

TEST_CASE("Conv1dDenoiser: the Fourier frequencies are a buffer with its spread, saved with the weights and never trained") {
  io::Json config = small_conv1d(0);
  config["config"]["embedding_dim"] = 4000;
  auto network = make_denoiser(config, "test");
  initialise(*network, 1);
  const Tensor frequencies = network->state().back().second;
  CHECK(network->state().back().first == "time_proj.weight");
  CHECK(frequencies.std().item<double>() == doctest::Approx(30).epsilon(0.05));
  for (const auto& [name, tensor] : network->parameters()) CHECK(name != "time_proj.weight");
  // sin, cos of 2 pi w t / num_train_timesteps
  FourierProjection projection(1, 30);
  projection.load_state({{"weight", at::full({1}, 0.25)}}, "test");
  const Tensor wave = projection.forward(at::full({1}, 0.5));
  CHECK(wave[0][0].item<double>() == doctest::Approx(std::sqrt(0.5)).epsilon(1e-6));
  CHECK(wave[0][1].item<double>() == doctest::Approx(std::sqrt(0.5)).epsilon(1e-6));
}

TEST_CASE("a model of sequences goes through its file, and an adapter through its own") {
  const TemporaryFolder folder;
  Fixture f;
  const io::Json schedule{{"num_train_timesteps", 1000}};
  const auto write = [&](const std::string& name, const io::Json& model, const io::Json& inputs) {
    io::H5Writer writer(folder.file(name));
    write_denoiser(writer, *f.network);
    io::Json manifest{{"format", "plumb/1"}, {"kind", "model"}, {"space", io::Space{"sequence", {9}, "ACGT"}.to_json()}, {"model", model}};
    if (!inputs.is_null()) manifest["inputs"] = inputs;
    io::commit_artefact(writer, io::Manifest(manifest));
    return io::Manifest::read(folder.file(name));
  };
  const io::Manifest base = write("base.h5", {{"denoiser", f.network->config()}, {"schedule", schedule}}, nullptr);
  const Model whole = load_model(base, at::kCPU);
  CHECK((whole.denoiser->config() == f.network->config()));
  const Tensor before = f.run();
  {
    const at::NoGradGuard no_grad;
    CHECK(at::equal(whole.denoiser->forward(f.x, f.t, f.condition), before));   // the frequencies too
  }

  const LoraOptions options{.rank = 2, .alpha = 4, .targets = {"all"}};
  const int64_t layers = attach_lora(*f.network, options, 7);
  CHECK(layers == 1 + 1 + 2 * 3 + 2);   // time embedding, conv_in, blocks of conv + time + class, head and conv_out
  CHECK(at::equal(f.run(), before));    // B is 0
  {
    const at::NoGradGuard no_grad;
    uint64_t seed = 50;
    for (auto& [name, tensor] : lora_parameters(*f.network)) {
      if (name.ends_with("lora_B.weight")) tensor.copy_(normal(tensor.sizes().vec(), seed++) * 0.2);
    }
  }
  const Tensor adapted = f.run();
  CHECK(max_difference(adapted, before) > 1e-2);
  const io::Manifest adapter = write("adapter.h5", {{"lora", options.to_json()}}, {{"model", base.json()}});
  const Model loaded = load_model(adapter, at::kCPU);
  {
    const at::NoGradGuard no_grad;
    CHECK(at::equal(loaded.denoiser->forward(f.x, f.t, f.condition), adapted));
  }
  merge_lora(*f.network);
  CHECK(max_difference(f.run(), adapted) < 1e-5);   // (W + BA) * x against W * x + B (A * x)
  CHECK_FALSE(has_lora(*f.network));
}

TEST_CASE("adapters of Conv1d train alone") {
  Fixture f;
  f.network->set_requires_grad(false);
  attach_lora(*f.network, {.rank = 2, .targets = {"conv"}}, 7);
  CHECK(lora_parameters(*f.network).size() == 4);
  torch::autograd::backward({f.network->forward(f.x, f.t, f.condition).pow(2).sum()}, {});
  for (const auto& [name, tensor] : f.network->parameters()) {
    CHECK_MESSAGE(tensor.requires_grad() == (name.find(".lora_") != std::string::npos), name);
    if (name.ends_with("lora_B.weight")) CHECK_MESSAGE(tensor.grad().abs().max().item<double>() > 0, name);
  }
}

TEST_CASE("conv1d configs: round trip, fitted to the items and the schedule, and each bad value is named") {
  const auto network = make_denoiser(small_conv1d(), "test");
  CHECK((make_denoiser(network->config(), "test")->config() == network->config()));
  const io::Space dna{"sequence", {50}, "ACGT"}, protein{"sequence", {12}, "ACDEFGHIKLMNPQRSTVWY"};
  io::Json fitted = denoiser_preset("auto", dna, 3);
  CHECK(fitted["config"]["channels"] == 4);
  CHECK(fitted["config"]["num_classes"] == 3);
  CHECK_FALSE(fitted["config"].contains("num_train_timesteps"));
  fit_timesteps(fitted, 200);
  CHECK(fitted["config"]["num_train_timesteps"] == 200);
  fit_timesteps(fitted, 400);
  CHECK(fitted["config"]["num_train_timesteps"] == 200);   // no longer open
  CHECK(make_denoiser(fitted, "auto")->num_classes() == 3);
  CHECK(denoiser_preset("sequence", protein, 0)["config"]["channels"] == 20);
  const auto unconditional = make_denoiser(denoiser_preset("sequence", dna, 0), "sequence");
  CHECK(unconditional->parameter_count() == 500612);   // 9*4*64+64, 8*(128 + 9*64*64+64 + 256*64+64), 64*64+64, 64*4+4, 256*256+256
  CHECK(make_denoiser(denoiser_preset("sequence-large", dna, 0), "large")->parameter_count() == 13269764);
  CHECK(thrown_by([] { denoiser_preset("sequence", {"vector", {5}, ""}, 0); }).says("conv1d needs sequences"));
  CHECK(thrown_by([&] { denoiser_preset("image-28", dna, 0); }).says("sequence [50]"));

  CHECK(refused("kernel", 4).says("kernel: 4 is even"));
  CHECK(refused("embedding_dim", 5).says("embedding_dim: 5 is odd"));
  CHECK(refused("width", 0).says("width"));
  CHECK(refused("channels", 0).says("channels"));
  CHECK(refused("dilations", io::Json::array()).says("dilations: is empty"));
  CHECK(refused("dilation", 3).says("did you mean 'dilations'?"));
  CHECK(refused("width", 2.5).says("not a whole number"));
  CHECK(refused("output_scale", io::Json::parse("[[2,1],[1,1]]")).says("do not ascend"));
  CHECK(refused("output_scale", "x").exit == Exit::kUsage);
  CHECK(refused("fourier_scale", 0).exit == Exit::kUsage);
  CHECK(thrown_by([] { make_denoiser({{"type", "conv2d"}, {"config", io::Json::object()}}, "x"); }).says("did you mean 'conv1d'?"));
  Fixture f;
  CHECK(thrown_by([&] { f.network->forward(normal({3, 5, 9}, 1), f.t, {}); }).says("[B,4,L]"));
  CHECK(thrown_by([&] { f.network->forward(f.x, at::tensor({1, 2}, at::kLong), {}); }).says("timestep"));
  CHECK(thrown_by([&] { f.network->forward(f.x, f.t, Condition{at::tensor({0, 3, 0}, at::kLong)}); }).says("class 3"));
  CHECK(thrown_by([&] { f.network->forward(f.x, f.t, Condition{at::tensor({0, 1}, at::kLong)}); }).says("batch of 3"));
  CHECK(thrown_by([&] { unconditional->forward(normal({3, 4, 50}, 1), f.t, f.condition); }).says("unconditional"));
}
