// SPDX-License-Identifier: Apache-2.0
#include "nn/predictor.h"

#include <algorithm>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/share.h"
#include "core/text.h"
#include "nn/data.h"
#include "nn/resnet.h"
#include "nn/torchscript.h"

namespace plumb::nn {
namespace {

const std::string kFolder = "presets", kPrefix = "reward-", kGroup = "network", kTorchScript = "torchscript";

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const std::string& name : share_names(kFolder, ".json")) {
    if (name.starts_with(kPrefix)) names.push_back(name.substr(kPrefix.size()));
  }
  return names;
}

void refuse_unknown(const io::Json& config, const std::vector<std::string>& known, const std::string& where) {
  for (const auto& [key, value] : config.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw Error(Exit::kUsage, where, "unknown network option '" + key + "'", "known: " + join(known, ", "));
    }
  }
}

std::string type_of(const io::Json& config, const std::string& where) {
  if (!config.is_object() || !config.contains("type") || !config.at("type").is_string()) {
    throw Error(Exit::kUsage, where, "a network config needs a \"type\"", "resnet or torchscript");
  }
  return config.at("type").get<std::string>();
}

}  // namespace

std::unique_ptr<Predictor> make_predictor(const io::Json& config, const std::string& where) {
  const std::string type = type_of(config, where);
  if (type == "resnet") {
    refuse_unknown(config, {"type", "config"}, where);
    return std::make_unique<ResNet>(ResNetOptions::from_json(config.value("config", io::Json::object()), where));
  }
  if (type == kTorchScript) {
    refuse_unknown(config, {"type", "path", "sha256", "outputs"}, where);
    if (!config.contains("path") || !config.at("path").is_string() || !config.contains("outputs") ||
        !config.at("outputs").is_number_integer()) {
      throw Error(Exit::kUsage, where, "a torchscript network needs \"path\", the .pt file, and \"outputs\"");
    }
    const std::string path = config.at("path").get<std::string>();
    return torchscript_predictor(io::read_file(path), config.at("outputs").get<int64_t>(), path);
  }
  throw Error(Exit::kUsage, where, "unknown network type '" + type + "'", "resnet or torchscript");
}

io::Json predictor_preset(const std::string& preset, const io::Space& space, int64_t outputs) {
  if (preset.ends_with(".pt")) {
    return io::Json{{"type", kTorchScript}, {"path", io::absolute_path(preset)}, {"outputs", outputs}};
  }
  std::string path = preset;
  if (!preset.ends_with(".json")) {
    const std::vector<std::string> names = preset_names();
    if (std::find(names.begin(), names.end(), preset) == names.end()) {
      const std::string near = nearest(preset, names);
      throw Error(Exit::kUsage, "--network", "there is no preset '" + preset + "'",
                  near.empty() ? "there are: " + join(names, ", ") + "; or FILE.json, FILE.pt" : "did you mean '" + near + "'?");
    }
    path = share_path(kFolder + "/" + kPrefix + preset + ".json");
  }
  io::Json config = io::Json::parse(io::read_file(path), nullptr, false);
  if (config.is_discarded() || !config.is_object()) throw Error(Exit::kBadInput, path, "is not a JSON object");
  config.erase("comment");
  const std::string type = type_of(config, path);
  if (type == kTorchScript) config["outputs"] = outputs;
  if (type == "resnet") {
    if (space.type != "image") {
      throw Error(Exit::kUsage, "--network", "a resnet needs images, the items are " + space.text(), "bring a TorchScript FILE.pt");
    }
    if (config.contains("config") && !config.at("config").is_object()) {
      throw Error(Exit::kUsage, path, "a resnet's config is not an object");
    }
    config["config"]["in_channels"] = space.shape.at(0);
    config["config"]["outputs"] = outputs;
  }
  return config;
}

void write_predictor(io::H5Writer& writer, Predictor& predictor) {
  if (const std::string& bytes = torchscript_bytes(predictor); !bytes.empty()) {
    writer.write(kTorchScript, io::Type::kU8, {static_cast<int64_t>(bytes.size())}, bytes.data());
  }
  for (const auto& [name, tensor] : predictor.state()) write_tensor(writer, kGroup + "/" + name, tensor);
}

std::unique_ptr<Predictor> read_predictor(const io::H5Reader& file, const io::Json& config) {
  std::unique_ptr<Predictor> predictor;
  try {
    if (type_of(config, file.path()) == kTorchScript) {
      const std::vector<uint8_t> bytes = file.read_u8(kTorchScript);
      predictor = torchscript_predictor(std::string(bytes.begin(), bytes.end()), config.at("outputs").get<int64_t>(), file.path());
    } else {
      predictor = make_predictor(config, file.path());
    }
  } catch (const Error& error) {  // a bad option in a file is bad input, not bad usage
    if (error.exit() != Exit::kUsage) throw;
    throw Error(Exit::kBadInput, "", error.what());
  } catch (const io::Json::exception&) {
    throw Error(Exit::kBadInput, file.path(), "its reward.network is not understood");
  }
  NamedTensors values;
  for (const std::string& name : file.list(kGroup)) values.emplace_back(name, read_all(file, kGroup + "/" + name));
  predictor->load_state(values, file.path());
  predictor->set_requires_grad(false);
  predictor->train(false);
  return predictor;
}

}  // namespace plumb::nn
