// Exporters and the exchange with diffusers, as far as the command-line tables do not hold them.
// SPDX-License-Identifier: Apache-2.0
#include "io/exporter.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>

#include "core/error.h"
#include "io/diffusers.h"
#include "io/npy.h"
#include "io/safetensors.h"

namespace fs = std::filesystem;
using plumb::io::ExportOptions;
using plumb::io::Json;
using plumb::io::Manifest;
using plumb::io::Type;

namespace {

struct Folder {
  Folder() {
    std::string name = (fs::temp_directory_path() / "plumb-export-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
  fs::path path;
};

void run(const std::string& name, const Manifest& input, const std::string& path, bool force = false) {
  ExportOptions options;
  options.path = path;
  options.force = force;
  for (const auto& row : plumb::io::exporters()) {
    if (row.name == name) row.run(input, options);
  }
}

/// An adapter of rank 2 and alpha 4 on one linear and one convolution.
Manifest write_adapter(const std::string& path) {
  const std::vector<float> a{1, 2, 3, 4, 5, 6}, b{1, 2, 3, 4};
  plumb::io::H5Writer writer(path);
  writer.write("lora/mid_block.attentions.0.to_q.lora_A.weight", Type::kF32, {2, 3}, a.data());
  writer.write("lora/mid_block.attentions.0.to_q.lora_B.weight", Type::kF32, {2, 2}, b.data());
  writer.write("lora/conv_in.lora_A.weight", Type::kF32, {2, 3, 1, 1}, a.data());
  writer.write("lora/conv_in.lora_B.weight", Type::kF32, {2, 2, 1, 1}, b.data());
  Manifest manifest(Json{{"format", "plumb/1"}, {"kind", "model"}, {"space", {{"type", "image"}, {"shape", {1, 2, 2}}}},
                         {"model", {{"denoiser", {{"type", "unet2d"}}}, {"schedule", Json::object()},
                                    {"lora", {{"rank", 2}, {"alpha", 4.0}, {"targets", {"all"}}}}}}});
  return plumb::io::commit_artefact(writer, manifest);
}

plumb::io::Json model_json(Json denoiser, const std::vector<int64_t>& shape) {
  return Json{{"format", "plumb/1"}, {"kind", "model"}, {"space", {{"type", "image"}, {"shape", shape}}},
              {"model", {{"denoiser", std::move(denoiser)}, {"schedule", {{"num_train_timesteps", 7}, {"clip_sample", false}}}}}};
}

}  // namespace

TEST_SUITE("exporter") {
  TEST_CASE("rows are sorted and unique") {
    const std::vector<std::string> names = plumb::io::exporter_names();
    for (size_t i = 1; i < names.size(); ++i) CHECK(names[i - 1] < names[i]);
  }
  TEST_CASE("kohya: names, alpha, values") {
    Folder folder;
    run("kohya", write_adapter(folder / "a.h5"), folder / "k.safetensors");
    const plumb::io::SafetensorsReader k(folder / "k.safetensors");
    CHECK(k.tensors().size() == 6);
    CHECK(k.read_f32("lora_unet_mid_block_attentions_0_to_q.lora_down.weight") == std::vector<float>{1, 2, 3, 4, 5, 6});
    CHECK(k.tensor("lora_unet_conv_in.lora_down.weight").shape == std::vector<int64_t>{2, 3, 1, 1});
    CHECK(k.read_f32("lora_unet_conv_in.lora_up.weight") == std::vector<float>{1, 2, 3, 4});
    CHECK(k.tensor("lora_unet_conv_in.alpha").shape.empty());
    CHECK(k.read_f32("lora_unet_conv_in.alpha") == std::vector<float>{4});
    CHECK(k.metadata().at("ss_network_dim") == "2");
  }
  TEST_CASE("peft: weights as they are, alpha in the config") {
    Folder folder;
    run("peft", write_adapter(folder / "a.h5"), folder / "peft");
    const plumb::io::SafetensorsReader p(folder / "peft/adapter_model.safetensors");
    CHECK(p.read_f32("base_model.model.conv_in.lora_B.weight") == std::vector<float>{1, 2, 3, 4});
    const Json config = Json::parse(plumb::io::read_file(folder / "peft/adapter_config.json"));
    CHECK(config["r"] == 2);
    CHECK(config["lora_alpha"] == 4.0);
    CHECK(config["target_modules"] == Json({"conv_in", "mid_block.attentions.0.to_q"}));
  }
  TEST_CASE("diffusers: alpha / rank = 2 is folded into B") {
    Folder folder;
    run("diffusers", write_adapter(folder / "a.h5"), folder / "d");
    const plumb::io::SafetensorsReader d(folder / "d/pytorch_lora_weights.safetensors");
    CHECK(d.read_f32("unet.conv_in.lora_A.weight") == std::vector<float>{1, 2, 3, 4, 5, 6});
    CHECK(d.read_f32("unet.conv_in.lora_B.weight") == std::vector<float>{2, 4, 6, 8});
  }
  TEST_CASE("fasta and csv: letters, and the rewards of these very items, the nearest first") {
    Folder folder;
    const Json space{{"type", "sequence"}, {"shape", {3}}, {"alphabet", "ACGT"}};
    const auto write = [&](const std::string& name, const std::string& kind, const Json& inputs, const std::vector<std::pair<std::string, std::vector<float>>>& columns,
                           const std::vector<uint8_t>& codes = {}) {
      plumb::io::H5Writer writer(folder / name);
      if (!codes.empty()) writer.write("sequences", Type::kU8, {static_cast<int64_t>(codes.size()) / 3, 3}, codes.data());
      for (const auto& [column, values] : columns) writer.write(column, Type::kF32, {static_cast<int64_t>(values.size())}, values.data());
      return plumb::io::commit_artefact(writer, Manifest(Json{{"format", "plumb/1"}, {"kind", kind}, {"count", 2}, {"space", space}, {"inputs", inputs}}));
    };
    const Manifest items = write("d.h5", "dataset", Json::object(), {{"value", {0.1F, -2}}}, {0, 1, 2, 3, 3, 0});
    const Manifest older = write("s.h5", "scores", {{"dataset", items.json()}}, {{"reward/gc", {5, 6}}, {"reward/x y", {7, 1e-9F}}});
    const Manifest newer = write("t.h5", "scores", {{"dataset", items.json()}, {"scores", older.json()}}, {{"reward/gc", {0.5F, 0.25F}}});
    run("fasta", newer, folder / "a.fa");
    CHECK(plumb::io::read_file(folder / "a.fa") ==
          ">000000 value=0.1 reward/gc=0.5 reward/x y=7\nACG\n>000001 value=-2 reward/gc=0.25 reward/x y=1e-09\nTTA\n");
    run("csv", newer, folder / "a.csv");
    CHECK(plumb::io::read_file(folder / "a.csv") == "index,sequence,value,reward/gc,reward/x y\n0,ACG,0.1,0.5,7\n1,TTA,-2,0.25,1e-09\n");
    const Manifest odd = write("o.h5", "dataset", Json::object(), {}, {0, 1, 2, 3, 4, 0});
    CHECK_THROWS_WITH_AS(run("fasta", odd, folder / "o.fa"), doctest::Contains("item 1 holds code 4, its alphabet is ACGT"), plumb::Error);
    CHECK_FALSE(fs::exists(folder / "o.fa"));
    const Manifest few = write("f.h5", "scores", {{"dataset", items.json()}}, {{"reward/gc", {5}}});
    CHECK_THROWS_WITH_AS(run("csv", few, folder / "f.csv"), doctest::Contains("fewer values of 'reward/gc' than items"), plumb::Error);
  }
  TEST_CASE("statistics: mu and sigma in float64") {
    Folder folder;
    const double mu[2] = {1, 2}, sigma[4] = {1, 0.5, 0.5, 2};
    plumb::io::H5Writer writer(folder / "f.h5");
    writer.write("mu", Type::kF64, {2}, mu);
    writer.write("sigma", Type::kF64, {2, 2}, sigma);
    run("npz", plumb::io::commit_artefact(writer, Manifest(Json{{"format", "plumb/1"}, {"kind", "features"}})), folder / "f.npz");
    CHECK(plumb::io::read_npz(folder / "f.npz", "sigma").as_f64() == std::vector<double>{1, 0.5, 0.5, 2});
    CHECK(plumb::io::read_npz(folder / "f.npz", "mu").header.shape == std::vector<int64_t>{2});
  }
  TEST_CASE("a folder appears whole or not at all; force adds to it") {
    Folder folder;
    {
      plumb::io::AtomicFolder half(folder / "out", false);
      plumb::io::write_file(half.temporary() + "/a", "1");
    }
    CHECK(fs::is_empty(folder.path));
    plumb::io::AtomicFolder whole(folder / "out/", false);
    fs::create_directory(whole.temporary() + "/sub");
    plumb::io::write_file(whole.temporary() + "/sub/a", "1");
    whole.commit();
    CHECK(plumb::io::read_file(folder / "out/sub/a") == "1");
    CHECK_THROWS_AS(plumb::io::AtomicFolder(folder / "out", false), plumb::Error);
    plumb::io::AtomicFolder more(folder / "out", true);
    fs::create_directory(more.temporary() + "/sub");
    plumb::io::write_file(more.temporary() + "/sub/b", "2");
    more.commit();
    CHECK(plumb::io::read_file(folder / "out/sub/a") == "1");
    CHECK(plumb::io::read_file(folder / "out/sub/b") == "2");
    CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
  }
}

TEST_SUITE("diffusers") {
  TEST_CASE("configs: our keys only where they say something") {
    const Json config{{"in_channels", 4}, {"out_channels", 4}, {"num_class_embeds", 11}, {"sample_size", nullptr}};
    const Json folded = plumb::io::diffusers_unet_config(Manifest(model_json({{"type", "unet2d"}, {"patch", 2}, {"config", config}}, {1, 28, 28})));
    CHECK(folded["_class_name"] == "UNet2DModel");
    CHECK(folded["sample_size"] == 14);
    CHECK(folded["plumb_patch"] == 2);
    CHECK(folded["plumb_null_class"] == true);
    const Json plain = plumb::io::diffusers_unet_config(
        Manifest(model_json({{"type", "unet2d"}, {"null_class", false}, {"config", config}}, {4, 8, 8})));
    CHECK(plain["sample_size"] == 8);
    CHECK_FALSE(plain.contains("plumb_patch"));
    CHECK_FALSE(plain.contains("plumb_null_class"));
    CHECK(plumb::io::diffusers_scheduler_config(Manifest(model_json({{"type", "unet2d"}}, {1, 8, 8})))["num_train_timesteps"] == 7);
  }
  TEST_CASE("schedulers that work otherwise are refused, defaults are the class's") {
    Folder folder;
    fs::create_directory(folder.path / "unet");
    plumb::io::write_file(folder / "unet/config.json", R"({"_class_name":"UNet2DModel","out_channels":4,"sample_size":[8,8],"plumb_patch":2,"num_class_embeds":3})");
    plumb::io::write_file(folder / "unet/diffusion_pytorch_model.safetensors", "");
    fs::create_directory(folder.path / "scheduler");
    const auto with = [&](const std::string& scheduler) {
      plumb::io::write_file(folder / "scheduler/scheduler_config.json", scheduler);
      return plumb::io::read_diffusers_model(folder.path.string());
    };
    const plumb::io::DiffusersModel model = with(R"({"_class_name":"DDPMScheduler","beta_schedule":"squaredcos_cap_v2"})");
    CHECK(model.space.shape == std::vector<int64_t>{1, 16, 16});
    CHECK(model.num_classes == 3);
    CHECK(model.denoiser["null_class"] == false);
    CHECK(model.denoiser["config"]["sample_size"] == 8);
    CHECK_FALSE(model.denoiser["config"].contains("plumb_patch"));
    CHECK(model.schedule["clip_sample"] == true);
    CHECK(model.schedule["set_alpha_to_one"] == true);
    CHECK(model.schedule["beta_end"] == 0.02);
    CHECK(model.schedule["table_dtype"] == "float32");
    for (const char* bad : {R"({"trained_betas":[0.1]})", R"({"thresholding":true})", R"({"rescale_betas_zero_snr":true})",
                            R"({"variance_type":"learned_range"})", R"({"_class_name":"DDIMScheduler","clip_sample_range":2.0})",
                            R"({"beta_end":"x"})", "[]", "{"}) {
      CAPTURE(bad);
      CHECK_THROWS_AS(with(bad), plumb::Error);
    }
  }
}
