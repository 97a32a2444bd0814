// Models in artefacts: /denoiser/<parameter>, adapters as /lora/<parameter>, a user's TorchScript file as /torchscript.
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "nn/data.h"
#include "nn/denoiser.h"
#include "nn/lora.h"
#include "nn/torchscript.h"

namespace plumb::nn {
namespace {

const std::string kTorchScript = "torchscript";

NamedTensors read_group(const io::H5Reader& file, const std::string& group) {
  NamedTensors values;
  for (const std::string& name : file.list(group)) values.emplace_back(name, read_all(file, group + "/" + name));
  return values;
}

const io::Json& model_json(const io::Manifest& manifest) {
  const io::Json& json = manifest.json();
  if (!json.contains("model") || !json.at("model").is_object()) {
    throw Error(Exit::kBadInput, manifest.label(), "its manifest does not describe a model", "kind is '" + manifest.kind() + "'");
  }
  return json.at("model");
}

Model load_whole(const io::Manifest& manifest) {
  const io::Json& json = model_json(manifest);
  const io::H5Reader file = io::open_artefact(manifest);
  if (!json.contains("denoiser") || !json.contains("schedule")) {
    throw Error(Exit::kBadInput, manifest.label(), "its manifest lacks model.denoiser or model.schedule");
  }
  Model model;
  const io::Json& config = json.at("denoiser");
  try {
    if (config.value("type", "") == kTorchScript) {
      const std::vector<uint8_t> bytes = file.read_u8(kTorchScript);
      model.denoiser = torchscript_denoiser(std::string(bytes.begin(), bytes.end()), config.value("num_classes", int64_t{0}), manifest.label());
    } else {
      model.denoiser = make_denoiser(config, manifest.label());
    }
  } catch (const Error& error) {   // a bad option in a file is bad input, not bad usage
    if (error.exit() != Exit::kUsage) throw;
    throw Error(Exit::kBadInput, "", error.what());
  } catch (const io::Json::exception&) {
    throw Error(Exit::kBadInput, manifest.label(), "its model.denoiser is not understood");
  }
  model.denoiser->load_state(read_group(file, kDenoiserGroup), manifest.label());
  model.schedule = json.at("schedule");
  model.space = manifest.space();
  model.manifest = manifest;
  return model;
}

void write_values(io::H5Writer& writer, const std::string& group, const NamedTensors& own, const NamedTensors* values) {
  for (const auto& [name, tensor] : own) {
    const Tensor* written = &tensor;
    if (values) {
      const auto found = std::find_if(values->begin(), values->end(), [&, &key = name](const auto& entry) { return entry.first == key; });
      if (found != values->end()) written = &found->second;   // buffers have no average
    }
    write_tensor(writer, group + "/" + name, *written);
  }
}

}  // namespace

io::Manifest base_model(const io::Manifest& tuned) {
  for (const auto& [name, input] : tuned.inputs()) {
    if (input.kind() != "model") continue;
    io::verify_digest(input);
    if (input.path().empty()) throw Error(Exit::kBadInput, tuned.label(), "names a base model that has no file");
    return io::Manifest::read(input.path());
  }
  throw Error(Exit::kBadInput, tuned.label(), "does not name a model that it was tuned from", "name it yourself (sample: --base)");
}

Model load_model(const io::Manifest& manifest, at::Device device, double lora_scale) {
  const io::Json& json = model_json(manifest);
  Model model;
  if (json.contains("lora")) {
    const io::Manifest base = base_model(manifest);
    if (model_json(base).contains("lora")) {
      throw Error(Exit::kBadInput, manifest.label(), "is an adapter of an adapter", "merge the first one into a whole model");
    }
    model = load_whole(base);
    const LoraOptions options = LoraOptions::from_json(json.at("lora"), manifest.label());
    attach_lora(*model.denoiser, options, 0);
    const NamedTensors values = read_group(io::open_artefact(manifest), kLoraGroup);
    const NamedTensors own = lora_parameters(*model.denoiser);
    const at::NoGradGuard no_grad;
    for (const auto& [name, tensor] : own) {
      const auto found = std::find_if(values.begin(), values.end(), [&, &key = name](const auto& entry) { return entry.first == key; });
      if (found == values.end() || found->second.sizes() != tensor.sizes() || values.size() != own.size()) {
        throw Error(Exit::kBadInput, manifest.label(), "its adapter weights do not fit the base model: '" + name + "'");
      }
      tensor.copy_(found->second);
    }
    set_lora_scale(*model.denoiser, lora_scale);
    if (json.contains("schedule")) model.schedule = json.at("schedule");
    model.manifest = manifest;
  } else {
    model = load_whole(manifest);
  }
  model.denoiser->to(device);
  model.denoiser->set_requires_grad(false);
  model.denoiser->train(false);
  return model;
}

void write_denoiser(io::H5Writer& writer, Denoiser& denoiser, const NamedTensors* values) {
  if (has_lora(denoiser)) {
    write_values(writer, kLoraGroup, lora_parameters(denoiser), values);
    return;
  }
  if (const std::string& bytes = torchscript_bytes(denoiser); !bytes.empty()) {
    writer.write(kTorchScript, io::Type::kU8, {static_cast<int64_t>(bytes.size())}, bytes.data());
  }
  write_values(writer, kDenoiserGroup, denoiser.state(), values);
}

}  // namespace plumb::nn
