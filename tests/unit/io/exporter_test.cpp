// Exporters and the exchange with diffusers, as far as the command-line tables do not hold them.
// SPDX-License-Identifier: Apache-2.0
#include "io/exporter.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "io/atomic_file.h"
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
  TEST_CASE("items behind metrics are those that were measured, whatever the reference is; behind scores of these too") {
    Folder folder;
    const auto write = [&](const std::string& name, const std::string& kind, float x, const Json& inputs = Json::object()) {
      plumb::io::H5Writer writer(folder / name);
      writer.write(kind == "scores" ? "reward/x" : "vectors", Type::kF32, {1}, &x);
      return plumb::io::commit_artefact(writer, Manifest(Json{{"format", "plumb/1"}, {"kind", kind}, {"count", 1}, {"inputs", inputs}}));
    };
    const Manifest data = write("d.h5", "dataset", 1), samples = write("s.h5", "samples", 2);
    const auto metrics = [&](const Json& measured, const Json& reference) {
      return Manifest(Json{{"format", "plumb/1"}, {"kind", "metrics"}, {"inputs", {{"samples", measured}, {"reference", reference}}}});
    };
    const Manifest of_data = metrics(data.json(), samples.json());
    CHECK(plumb::io::items_of(of_data).sha256() == data.sha256());
    CHECK(plumb::io::items_of(metrics(samples.json(), data.json())).sha256() == samples.sha256());
    const Manifest scores = write("r.h5", "scores", 3, {{"metrics", of_data.json()}});
    CHECK(plumb::io::items_of(scores).sha256() == data.sha256());
    CHECK(plumb::io::items_of(write("t.h5", "scores", 4, {{"scores", scores.json()}})).sha256() == data.sha256());
    CHECK(plumb::io::items_of(Manifest::read(folder / "t.h5")).sha256() == data.sha256());
    // Features that were measured are of items.
    CHECK(plumb::io::items_of(metrics(write("f.h5", "features", 5, {{"items", data.json()}}).json(), samples.json())).sha256() == data.sha256());
    const Json cut{{"kind", "dataset"}, {"sha256", data.sha256()}, {"path", data.path()}};
    CHECK(plumb::io::items_of(metrics(cut, samples.json())).count() == 1);
    fs::remove(data.path());
    CHECK_THROWS_WITH_AS(plumb::io::items_of(metrics(cut, samples.json())), doctest::Contains("d.h5: is gone"), plumb::Error);
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
  TEST_CASE("a signal that ends the process removes what is not whole; what a killed one left goes at the next start") {
    Folder folder;
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
      const pid_t child = fork();
      if (child == 0) {
        signal(number, SIG_DFL);  // the test runner's own handler is not what a command has
        plumb::io::AtomicFolder half(folder / "out", false);
        fs::create_directories(half.temporary() + "/a/b/c");
        for (int i = 0; i < 300; ++i) std::ofstream(half.temporary() + "/a/b/" + std::to_string(i)) << i;
        plumb::io::AtomicFile file(folder / "file");
        raise(number);
        _exit(0);
      }
      int status = 0;
      waitpid(child, &status, 0);
      CHECK(WIFSIGNALED(status));
      CHECK(WTERMSIG(status) == number);
      CHECK(fs::is_empty(folder.path));
    }
    const std::string alive = folder / (".out.tmp." + std::to_string(getppid()));
    for (const std::string& left : {folder / ".out.tmp.99999999", folder / ".out.tmp.99999999x", folder / ".other.tmp.99999999", alive}) {
      fs::create_directories(left + "/sub");
    }
    { plumb::io::AtomicFolder next(folder / "out", false); }
    CHECK_FALSE(fs::exists(folder / ".out.tmp.99999999"));
    CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 3);
  }
  TEST_CASE("an input is not replaced, nor what it was made from, force or not") {
    Folder folder;
    plumb::io::H5Writer writer(folder / "a.h5");
    const std::vector<float> values{1, 2, 3, 4};
    writer.write("vectors", Type::kF32, {2, 2}, values.data());
    const Manifest items = plumb::io::commit_artefact(
        writer, Manifest(Json{{"format", "plumb/1"}, {"kind", "samples"}, {"count", 2}, {"space", {{"type", "vector"}, {"shape", {2}}}}}));
    plumb::io::H5Writer scores(folder / "b.h5");
    scores.write("reward/r", Type::kF32, {2}, values.data());
    Json json{{"format", "plumb/1"}, {"kind", "scores"}, {"count", 2}};
    json["inputs"]["samples"] = items.json();
    plumb::io::commit_artefact(scores, Manifest(json));
    const Manifest input = Manifest::read(folder / "b.h5");
    for (const char* name : {"a.h5", "b.h5"}) {
      const std::string before = plumb::io::read_file(folder / name);
      for (const char* format : {"csv", "npy"}) CHECK_THROWS_WITH_AS(run(format, input, folder / name, true), doctest::Contains("is an input of this command"), plumb::Error);
      CHECK(plumb::io::read_file(folder / name) == before);
    }
    run("csv", input, folder / "t.csv");
    run("csv", input, folder / "t.csv", true);
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
    for (const char* bad : {"[]", "{", "{}", R"({"_class_name":"DDIMScheduler","clip_sample_range":2.0})"}) {
      CAPTURE(bad);
      CHECK_THROWS_AS(with(bad), plumb::Error);
    }
    for (const char* bad : {R"("trained_betas":[0.1])", R"("thresholding":true)", R"("rescale_betas_zero_snr":true)", R"("variance_type":"learned_range")",
                            R"("beta_end":"x")", R"("beta_schedule":"exp")", R"("prediction_type":"flow_prediction")", R"("use_flow_sigmas":true)",
                            R"("timestep_type":"continuous")", R"("timestep_spacing":"even")"}) {
      CAPTURE(bad);
      CHECK_THROWS_AS(with(std::string(R"({"_class_name":"EulerDiscreteScheduler",)") + bad + "}"), plumb::Error);
    }
    for (const std::string other : {"FlowMatchEulerDiscreteScheduler", "ScoreSdeVeScheduler", "EDMEulerScheduler", "LCMScheduler", "BogusScheduler"}) {
      CHECK_THROWS_WITH_AS(with(R"({"_class_name":")" + other + "\"}"), doctest::Contains(("a " + other + " is not supported").c_str()), plumb::Error);
    }
    const Json pndm = with(R"({"_class_name":"PNDMScheduler","beta_schedule":"scaled_linear","steps_offset":1,"clip_sample":true})").schedule;
    CHECK(pndm["timestep_spacing"] == "leading");
    CHECK(pndm["set_alpha_to_one"] == false);
    CHECK(pndm["clip_sample"] == false);   // it has no such key
    CHECK(pndm["steps_offset"] == 1);
    const Json solver = with(R"({"_class_name":"DPMSolverMultistepScheduler","variance_type":null,"final_sigmas_type":"sigma_min"})").schedule;
    CHECK(solver["timestep_spacing"] == "linspace");
    CHECK(solver["set_alpha_to_one"] == false);
    CHECK(solver["beta_start"] == 1e-4);
    const Json euler = with(R"({"_class_name":"EulerDiscreteScheduler","timestep_spacing":"trailing","prediction_type":"v_prediction"})").schedule;
    CHECK(euler["set_alpha_to_one"] == true);
    CHECK(euler["timestep_spacing"] == "trailing");
    CHECK(euler["prediction_type"] == "v_prediction");
    CHECK(with(R"({"_class_name":"HeunDiscreteScheduler"})").schedule["beta_end"] == 0.012);
  }
}
