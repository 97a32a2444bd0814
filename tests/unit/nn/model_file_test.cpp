// Models and adapters in artefacts; presets.   SPDX-License-Identifier: Apache-2.0
#include "io/artefact.h"
#include "nn/data.h"
#include "nn/lora.h"
#include "unit/nn/helpers.h"

using namespace plumb;
using namespace plumb::nn;
using namespace plumb::nn::test;

namespace {

io::Json schedule() { return {{"num_train_timesteps", 1000}}; }

io::Manifest model_manifest(const Denoiser& network) {
  return io::Manifest(io::Json{{"format", "plumb/1"}, {"kind", "model"}, {"space", {{"type", "image"}, {"shape", {1, 8, 8}}}},
                               {"model", {{"denoiser", network.config()}, {"schedule", schedule()}}}});
}

io::Manifest save(const std::string& path, Denoiser& network, io::Manifest manifest, const NamedTensors* values = nullptr) {
  io::H5Writer writer(path);
  write_denoiser(writer, network, values);
  return io::commit_artefact(writer, std::move(manifest));
}

Tensor run(Denoiser& network) {
  const at::NoGradGuard no_grad;
  return network.forward(normal({2, 1, 8, 8}, 9), at::tensor({5, 600}, at::kLong), {at::tensor({0, 1}, at::kLong)});
}

void fill_adapter(Denoiser& network, const LoraOptions& options) {
  attach_lora(network, options, 3);
  const at::NoGradGuard no_grad;
  uint64_t seed = 1;
  for (auto& [name, tensor] : lora_parameters(network)) tensor.copy_(normal(tensor.sizes().vec(), seed++) * 0.2);
}

}  // namespace

TEST_CASE("a model comes back as it was, frozen and in evaluation mode") {
  const TemporaryFolder folder;
  auto network = make_denoiser(small_unet(), "test");
  initialise(*network, 1);
  save(folder.file("m.h5"), *network, model_manifest(*network));
  const Model model = load_model(io::Manifest::read(folder.file("m.h5")), at::kCPU);
  CHECK(at::equal(run(*model.denoiser), run(*network)));
  CHECK(model.schedule == schedule());
  CHECK((model.space.shape == std::vector<int64_t>{1, 8, 8}));
  CHECK_FALSE(model.denoiser->is_training());
  CHECK_FALSE(model.denoiser->parameters()[0].second.requires_grad());
}

TEST_CASE("averages are written in place of the network's own values") {
  const TemporaryFolder folder;
  auto network = make_denoiser(small_unet(), "test");
  initialise(*network, 1);
  auto other = make_denoiser(small_unet(), "test");
  initialise(*other, 2);
  const NamedTensors values = other->parameters();
  save(folder.file("m.h5"), *network, model_manifest(*network), &values);
  CHECK(at::equal(run(*load_model(io::Manifest::read(folder.file("m.h5")), at::kCPU).denoiser), run(*other)));
}

TEST_CASE("an adapter finds its base, is scaled, and is refused when the base has changed") {
  const TemporaryFolder folder;
  auto network = make_denoiser(small_unet(), "test");
  initialise(*network, 1);
  const io::Manifest base = save(folder.file("m.h5"), *network, model_manifest(*network));
  const Tensor plain = run(*network);
  const LoraOptions options{.rank = 2, .alpha = 2, .targets = {"to_q", "to_v", "conv1"}};
  fill_adapter(*network, options);
  const Tensor adapted = run(*network);
  io::Manifest manifest = model_manifest(*network);
  manifest.json()["model"]["lora"] = options.to_json();
  manifest.json()["inputs"] = {{"model", base.json()}};
  save(folder.file("a.h5"), *network, manifest);

  const io::Manifest adapter = io::Manifest::read(folder.file("a.h5"));
  CHECK(std::filesystem::file_size(folder.file("a.h5")) < std::filesystem::file_size(folder.file("m.h5")));
  CHECK(at::equal(run(*load_model(adapter, at::kCPU).denoiser), adapted));
  CHECK(at::equal(run(*load_model(adapter, at::kCPU, 0).denoiser), plain));
  CHECK(max_difference(run(*load_model(adapter, at::kCPU, 0.5).denoiser), adapted) > 1e-4);

  auto changed = make_denoiser(small_unet(), "test");
  initialise(*changed, 99);
  save(folder.file("m.h5"), *changed, model_manifest(*changed));
  const Thrown error = thrown_by([&] { load_model(adapter, at::kCPU); });
  CHECK(error.exit == Exit::kBadInput);
  CHECK(error.says("m.h5"));
}

TEST_CASE("files that do not fit are bad input") {
  const TemporaryFolder folder;
  auto network = make_denoiser(small_unet(true), "test");
  initialise(*network, 1);
  auto unconditional = make_denoiser(small_unet(false), "test");
  save(folder.file("m.h5"), *network, model_manifest(*unconditional));
  const Thrown error = thrown_by([&] { load_model(io::Manifest::read(folder.file("m.h5")), at::kCPU); });
  CHECK(error.exit == Exit::kBadInput);
  CHECK(error.says("class_embedding.weight"));
  io::Manifest odd = model_manifest(*network);
  odd.json()["model"]["denoiser"]["config"]["act_fn"] = "gelu";
  save(folder.file("o.h5"), *network, odd);
  const Thrown bad_option = thrown_by([&] { load_model(io::Manifest::read(folder.file("o.h5")), at::kCPU); });
  CHECK(bad_option.exit == Exit::kBadInput);
  CHECK(bad_option.says("gelu"));
  CHECK(thrown_by([] { load_model(io::Manifest(io::Json{{"kind", "samples"}}), at::kCPU); }).exit == Exit::kBadInput);
}

TEST_CASE("presets fit the data they are given") {
  const io::Json config = denoiser_preset("image-28", {"image", {1, 28, 28}, ""}, 10);
  auto network = make_denoiser(config, "image-28");
  CHECK(network->num_classes() == 10);
  initialise(*network, 1);
  const at::NoGradGuard no_grad;
  CHECK((network->forward(at::zeros({1, 1, 28, 28}), at::tensor({5}, at::kLong), {}).sizes() == at::IntArrayRef({1, 1, 28, 28})));
  CHECK(make_denoiser(denoiser_preset("auto", {"image", {1, 28, 28}, ""}, 0), "auto")->num_classes() == 0);
  CHECK(denoiser_preset("auto", {"image", {3, 32, 32}, ""}, 0) == denoiser_preset("image-32", {"image", {3, 32, 32}, ""}, 0));
  CHECK(make_denoiser(denoiser_preset("image-32", {"image", {3, 32, 32}, ""}, 0), "x")->config().at("config").at("in_channels") == 12);
  CHECK(thrown_by([] { denoiser_preset("image-29", {"image", {1, 28, 28}, ""}, 0); }).says("image-2"));
  CHECK(thrown_by([] { denoiser_preset("image-28", {"image", {1, 30, 30}, ""}, 0); }).says("multiples of 4"));
  CHECK(thrown_by([] { denoiser_preset("image-28", {"vector", {30}, ""}, 0); }).exit == Exit::kUsage);
  const TemporaryFolder folder;
  std::ofstream(folder.file("mine.json")) << small_unet(false, 1).dump();
  CHECK(denoiser_preset(folder.file("mine.json"), {"image", {1, 8, 8}, ""}, 0).at("config").at("norm_num_groups") == 2);
  CHECK(thrown_by([&] { denoiser_preset(folder.file("absent.json"), {"image", {1, 8, 8}, ""}, 0); }).exit == Exit::kBadInput);
}
