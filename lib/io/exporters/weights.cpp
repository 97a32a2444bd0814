// Models in the formats of diffusers, PEFT and Kohya's scripts.   SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "io/diffusers.h"
#include "io/exporter.h"
#include "io/safetensors.h"

namespace plumb::io {
namespace {

/// Tensors with the storage behind them.
struct Tensors {
  std::vector<std::vector<float>> values;
  std::vector<TensorToWrite> rows;
  void add(const std::string& name, const std::vector<int64_t>& shape, std::vector<float> data) {
    values.push_back(std::move(data));
    rows.push_back({name, "F32", shape, nullptr, 0});
  }
  void write(const std::string& path, const std::map<std::string, std::string>& metadata) {
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i].data = values[i].data();
      rows[i].bytes = values[i].size() * sizeof(float);
    }
    write_safetensors(path, rows, metadata);
  }
};

bool is_adapter(const Manifest& model) { return model.json().contains("model") && model.json()["model"].contains("lora"); }

/// One adapted layer: A [rank,in,...] and B [out,rank,...].
struct Adapter {
  std::string module;
  std::vector<int64_t> a_shape, b_shape;
  std::vector<float> a, b;
};

struct Lora {
  int64_t rank = 0;
  double alpha = 0;
  std::vector<Adapter> adapters;
};

Lora read_lora(const Manifest& model, const std::string& format) {
  if (!is_adapter(model)) {
    throw Error(Exit::kBadInput, model.label(), "is a whole model, not a LoRA adapter", "--to " + format + " is for adapters; use --to diffusers");
  }
  const Json& settings = model.json()["model"]["lora"];
  Lora lora;
  try {
    lora.rank = settings.at("rank").get<int64_t>();
    lora.alpha = settings.at("alpha").get<double>();
  } catch (const Json::exception&) {
    throw Error(Exit::kBadInput, model.label(), "its model.lora is not {rank, alpha, targets}");
  }
  const H5Reader file = open_artefact(model);
  const std::string ending = ".lora_A.weight";
  for (const std::string& name : file.list("lora")) {
    if (!name.ends_with(ending)) continue;
    Adapter adapter;
    adapter.module = name.substr(0, name.size() - ending.size());
    const std::string a = "lora/" + name, b = "lora/" + adapter.module + ".lora_B.weight";
    adapter.a_shape = file.info(a).shape;
    adapter.b_shape = file.info(b).shape;
    adapter.a = file.read_f32(a);
    adapter.b = file.read_f32(b);
    lora.adapters.push_back(std::move(adapter));
  }
  if (lora.adapters.empty() || lora.rank < 1) throw Error(Exit::kBadInput, model.label(), "holds no adapter weights");
  return lora;
}

std::vector<std::string> modules_of(const Lora& lora) {
  std::vector<std::string> names;
  for (const Adapter& adapter : lora.adapters) names.push_back(adapter.module);
  return names;
}

/// diffusers takes an adapter of this form at scale 1, so alpha / rank goes into B.
void write_diffusers_lora(const Manifest& model, const std::string& folder) {
  Lora lora = read_lora(model, "diffusers");
  const float scale = static_cast<float>(lora.alpha / static_cast<double>(lora.rank));
  Tensors tensors;
  for (Adapter& adapter : lora.adapters) {
    for (float& value : adapter.b) value *= scale;
    tensors.add("unet." + adapter.module + ".lora_A.weight", adapter.a_shape, std::move(adapter.a));
    tensors.add("unet." + adapter.module + ".lora_B.weight", adapter.b_shape, std::move(adapter.b));
  }
  tensors.write(folder + "/pytorch_lora_weights.safetensors", {{"format", "pt"}});
}

void write_diffusers_pipeline(const Manifest& model, const std::string& folder) {
  const Json unet = diffusers_unet_config(model), scheduler = diffusers_scheduler_config(model);
  const H5Reader file = open_artefact(model);
  Tensors tensors;
  for (const std::string& name : file.list("denoiser")) {
    tensors.add(name, file.info("denoiser/" + name).shape, file.read_f32("denoiser/" + name));
  }
  if (tensors.rows.empty()) throw Error(Exit::kBadInput, model.label(), "has no weights under 'denoiser'");
  std::filesystem::create_directory(folder + "/unet");
  std::filesystem::create_directory(folder + "/scheduler");
  tensors.write(folder + "/unet/diffusion_pytorch_model.safetensors", {{"format", "pt"}});
  write_file(folder + "/unet/config.json", unet.dump(2) + "\n");
  write_file(folder + "/scheduler/scheduler_config.json", scheduler.dump(2) + "\n");
  const Json index{{"_class_name", "DDIMPipeline"}, {"_diffusers_version", unet["_diffusers_version"]},
                   {"scheduler", {"diffusers", "DDIMScheduler"}}, {"unet", {"diffusers", "UNet2DModel"}}};
  write_file(folder + "/model_index.json", index.dump(2) + "\n");
  if (unet.contains("plumb_patch")) {
    log::warn("the network works on pixels folded by ", unet["plumb_patch"].dump(),
              ": outside plumb, fold its input by torch.nn.functional.pixel_unshuffle and unfold its output");
  }
}

}  // namespace

void export_diffusers(const Manifest& input, const ExportOptions& options) {
  refuse_options("diffusers", options, {});
  const Manifest model = input.need("model");
  if (is_adapter(model)) read_lora(model, "diffusers");  // what is refused leaves no folder
  else diffusers_scheduler_config(model);
  refuse_full_folder(options.path, options.force);
  if (options.dry_run) return;
  AtomicFolder folder(options.path, options.force);
  if (is_adapter(model)) write_diffusers_lora(model, folder.temporary());
  else write_diffusers_pipeline(model, folder.temporary());
  folder.commit();
}

void export_peft(const Manifest& input, const ExportOptions& options) {
  refuse_options("peft", options, {});
  Lora lora = read_lora(input.need("model"), "peft");
  const Json config{{"peft_type", "LORA"}, {"r", lora.rank}, {"lora_alpha", lora.alpha}, {"lora_dropout", 0.0}, {"bias", "none"},
                    {"fan_in_fan_out", false}, {"inference_mode", true}, {"target_modules", modules_of(lora)},
                    {"task_type", nullptr}, {"base_model_name_or_path", nullptr}};
  Tensors tensors;
  for (Adapter& adapter : lora.adapters) {
    tensors.add("base_model.model." + adapter.module + ".lora_A.weight", adapter.a_shape, std::move(adapter.a));
    tensors.add("base_model.model." + adapter.module + ".lora_B.weight", adapter.b_shape, std::move(adapter.b));
  }
  refuse_full_folder(options.path, options.force);
  if (options.dry_run) return;
  AtomicFolder folder(options.path, options.force);
  tensors.write(folder.temporary() + "/adapter_model.safetensors", {{"format", "pt"}});
  write_file(folder.temporary() + "/adapter_config.json", config.dump(2) + "\n");
  folder.commit();
}

void export_kohya(const Manifest& input, const ExportOptions& options) {
  refuse_options("kohya", options, {});
  refuse_existing(options, input);
  Lora lora = read_lora(input.need("model"), "kohya");
  Tensors tensors;
  for (Adapter& adapter : lora.adapters) {
    std::string stem = "lora_unet_" + adapter.module;
    std::replace(stem.begin(), stem.end(), '.', '_');
    tensors.add(stem + ".alpha", {}, {static_cast<float>(lora.alpha)});
    tensors.add(stem + ".lora_down.weight", adapter.a_shape, std::move(adapter.a));
    tensors.add(stem + ".lora_up.weight", adapter.b_shape, std::move(adapter.b));
  }
  if (options.dry_run) return;
  tensors.write(options.path, {{"ss_network_module", "networks.lora"}, {"ss_network_dim", std::to_string(lora.rank)},
                               {"ss_network_alpha", cat(lora.alpha)}});
}

void export_torchscript(const Manifest& input, const ExportOptions& options) {
  refuse_options("torchscript", options, {});
  refuse_existing(options, input);
  const Manifest model = input.need("model");
  const H5Reader file = open_artefact(model);
  if (!file.has("torchscript")) throw Error(Exit::kBadInput, model.label(), "is not a TorchScript model", "--to diffusers, if it is a UNet");
  if (options.dry_run) return;
  const std::vector<uint8_t> bytes = file.read_u8("torchscript");
  log::warn("trained weights are not in this file: it is the TorchScript module as it was given");
  write_file(options.path, std::string(bytes.begin(), bytes.end()));
}

}  // namespace plumb::io
