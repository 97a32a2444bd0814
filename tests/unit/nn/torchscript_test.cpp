// Users' TorchScript networks.   SPDX-License-Identifier: Apache-2.0
#include "nn/torchscript.h"

#include <torch/csrc/jit/api/module.h>

#include "core/sha256.h"
#include "io/artefact.h"
#include "io/atomic_file.h"
#include "nn/data.h"
#include "unit/nn/helpers.h"

using namespace plumb;
using namespace plumb::nn;
using namespace plumb::nn::test;

namespace {

/// The bytes of a scripted module with one parameter `scale` = 2 and this forward.
std::string scripted(const std::string& forward) {
  torch::jit::Module module("m");
  module.register_parameter("scale", at::full({1}, 2.0), false);
  module.define(forward);
  std::ostringstream stream;
  module.save(stream);
  return stream.str();
}

const char* kPlain = "def forward(self, x, t):\n  return x * self.scale + t.view(-1, 1, 1, 1).to(x.dtype)\n";
const char* kClasses = "def forward(self, x, t, label):\n  return x * self.scale + label.view(-1, 1, 1, 1).to(x.dtype)\n";

}  // namespace

TEST_CASE("a TorchScript denoiser runs, trains and is stored with its file") {
  const TemporaryFolder folder;
  const std::string bytes = scripted(kPlain);
  io::write_file(folder.file("net.pt"), bytes);
  auto network = make_denoiser({{"type", "torchscript"}, {"path", folder.file("net.pt")}}, "test");
  CHECK(network->config().at("sha256") == sha256_of(bytes));
  CHECK(network->num_classes() == 0);
  const Tensor x = normal({2, 1, 4, 4}, 1), t = at::tensor({3, 5}, at::kLong);
  const Tensor y = network->forward(x, t, {});
  CHECK(max_difference(y[1].detach(), x[1] * 2 + 5) < 1e-6);
  torch::autograd::backward({y.sum()}, {});
  const NamedTensors parameters = network->parameters();
  REQUIRE(parameters.size() == 1);
  CHECK(parameters[0].first == "scale");
  CHECK(parameters[0].second.grad().item<double>() == doctest::Approx(x.sum().item<double>()).epsilon(1e-5));
  {
    const at::NoGradGuard no_grad;
    Tensor(parameters[0].second).fill_(3);   // what an optimiser does
  }
  CHECK(max_difference(network->forward(x, t, {})[0].detach(), x[0] * 3 + 3) < 1e-6);

  io::H5Writer writer(folder.file("m.h5"));
  write_denoiser(writer, *network);
  io::commit_artefact(writer, io::Manifest(io::Json{{"format", "plumb/1"}, {"kind", "model"},
                                                    {"space", {{"type", "image"}, {"shape", {1, 4, 4}}}},
                                                    {"model", {{"denoiser", network->config()}, {"schedule", io::Json::object()}}}}));
  std::filesystem::remove(folder.file("net.pt"));
  const Model model = load_model(io::Manifest::read(folder.file("m.h5")), at::kCPU);
  CHECK(max_difference(model.denoiser->forward(x, t, {})[0], x[0] * 3 + 3) < 1e-6);
}

TEST_CASE("a TorchScript denoiser with classes gets labels, or the null class") {
  auto network = torchscript_denoiser(scripted(kClasses), 10, "net.pt");
  const Tensor x = normal({2, 1, 4, 4}, 1), t = at::tensor({3, 5}, at::kLong);
  const at::NoGradGuard no_grad;
  CHECK(network->num_classes() == 10);
  CHECK(max_difference(network->forward(x, t, {at::tensor({4, 7}, at::kLong)})[1], x[1] * 2 + 7) < 1e-6);
  CHECK(max_difference(network->forward(x, t, {})[1], x[1] * 2 + 10) < 1e-6);
}

TEST_CASE("TorchScript denoisers that do not fit are bad input") {
  const auto message = [](const std::string& bytes, int64_t classes) {
    const Thrown error = thrown_by([&] {
      auto network = torchscript_denoiser(bytes, classes, "net.pt");
      network->forward(at::zeros({2, 1, 4, 4}), at::tensor({3, 5}, at::kLong), {});
    });
    CHECK(error.exit == Exit::kBadInput);
    CHECK(error.says("net.pt"));
    CHECK(error.message.find('\n') == std::string::npos);
    return error.message;
  };
  CHECK(message("not a zip", 0).find("not a TorchScript file") != std::string::npos);
  CHECK(message(scripted(kPlain), 10).find("takes 2 arguments") != std::string::npos);
  CHECK(message(scripted(kClasses), 0).find("takes 3 arguments") != std::string::npos);
  CHECK(message(scripted("def forward(self, x, t):\n  return x.mean([2, 3])\n"), 0).find("[2,1]") != std::string::npos);
  CHECK(message(scripted("def forward(self, x, t):\n  return (x, x)\n"), 0).find("not one tensor") != std::string::npos);
  CHECK(message(scripted("def forward(self, x, t):\n  return x.view(7)\n"), 0).find("forward failed") != std::string::npos);
}

TEST_CASE("functions: scalars and features, with gradients; wrong shapes are refused at loading") {
  const TemporaryFolder folder;
  const auto file = [&](const std::string& forward) {
    io::write_file(folder.file("f.pt"), scripted(forward));
    return folder.file("f.pt");
  };
  using Output = TorchScriptFunction::Output;
  const std::vector<int64_t> item{1, 4, 4};
  TorchScriptFunction mean(file("def forward(self, x):\n  return x.mean([1, 2, 3]) * self.scale\n"), item, Output::kScalar, at::kCPU);
  const Tensor x = normal({3, 1, 4, 4}, 1).set_requires_grad(true);
  const Tensor y = mean(x);
  CHECK((y.sizes() == at::IntArrayRef({3})));
  CHECK(y[2].item<double>() == doctest::Approx(2 * x[2].mean().item<double>()));
  torch::autograd::backward({y.sum()}, {});
  CHECK(x.grad()[0][0][0][0].item<double>() == doctest::Approx(2.0 / 16));
  CHECK(mean.digest() == sha256_of(io::read_file(folder.file("f.pt"))));

  TorchScriptFunction features(file("def forward(self, x):\n  return x.flatten(1)\n"), item, Output::kFeatures, at::kCPU);
  CHECK(features.dimension() == 16);
  CHECK((features(x).sizes() == at::IntArrayRef({3, 16})));

  const auto refused = [&](const std::string& forward, Output output, const char* text) {
    const std::string path = file(forward);
    const Thrown error = thrown_by([&] { TorchScriptFunction(path, item, output, at::kCPU); });
    CHECK(error.exit == Exit::kBadInput);
    CHECK_MESSAGE(error.says(text), error.message);
  };
  refused("def forward(self, x):\n  return x.flatten(1)\n", Output::kScalar, "[2,16]");
  refused("def forward(self, x):\n  return x.mean()\n", Output::kScalar, "[]");
  refused("def forward(self, x):\n  return x\n", Output::kFeatures, "[2,1,4,4]");
  refused("def forward(self, x, y):\n  return x\n", Output::kFeatures, "2 arguments");
  CHECK(thrown_by([&] { TorchScriptFunction(folder.file("absent.pt"), item, Output::kScalar, at::kCPU); }).exit == Exit::kBadInput);
}
