// SPDX-License-Identifier: Apache-2.0
#include "nn/predictor.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/share.h"
#include "core/text.h"
#include "nn/cnn_predictor.h"
#include "nn/conv1d_predictor.h"
#include "nn/data.h"
#include "nn/linear_predictor.h"
#include "nn/mlp_predictor.h"
#include "nn/resnet.h"
#include "nn/torchscript.h"

namespace plumb::nn {
namespace {

const std::string kFolder = "presets", kPrefix = "reward-", kGroup = "network", kTorchScript = "torchscript";
const std::string kTypes = "resnet, cnn, conv1d, mlp, linear or torchscript";

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
    throw Error(Exit::kUsage, where, "a network config needs a \"type\"", kTypes);
  }
  return config.at("type").get<std::string>();
}

/// Counts of words need letters, and no more of them than there are positions.
void fit_words(io::Json& network, const io::Space& space, const std::string& where) {
  if (space.type != "sequence") {
    throw Error(Exit::kUsage, "--network", "counts of words need sequences, the items are " + space.text(), "linear takes any");
  }
  network["letters"] = static_cast<int64_t>(space.alphabet.size());
  if (const int64_t k = LinearPredictorOptions::from_json(network, where).k; k > space.shape.at(0)) {
    throw Error(Exit::kUsage, "--network", cat("words of ", k, " letters do not fit into ", space.text()), "a FILE.json with a smaller k");
  }
}

bool is_own(const std::string& type) { return type == "resnet" || type == "cnn" || type == "conv1d" || type == "mlp" || type == "linear"; }

/// Sets what the data decide: outputs, and channels or elements. The network must fit the items.
void fit(io::Json& config, const std::string& type, const io::Space& space, int64_t outputs, const std::string& where) {
  if (type == kTorchScript) config["outputs"] = outputs;
  if (!is_own(type)) return;
  if (config.contains("config") && !config.at("config").is_object()) throw Error(Exit::kUsage, where, "the network's config is not an object");
  io::Json& network = config["config"];
  const std::vector<int64_t> shape = make_codec(space, "--network")->model_shape();
  if ((type == "resnet" || type == "cnn") && space.type != "image") {
    throw Error(Exit::kUsage, "--network", "a " + type + " needs images, the items are " + space.text(), "--network auto, or a TorchScript FILE.pt");
  }
  if (type == "conv1d" && shape.size() != 2) {
    throw Error(Exit::kUsage, "--network", "a conv1d needs sequences or items of shape [C,L], not " + space.text(), "mlp takes any");
  }
  if (type == "resnet" || type == "cnn") network["in_channels"] = shape[0];
  if (type == "cnn") {
    network["height"] = shape[1];
    network["width"] = shape[2];
  }
  if (type == "conv1d") network["channels"] = shape[0];
  const bool words = type == "linear" && network.value("features", io::Json("items")) == "kmer";
  if (words) fit_words(network, space, where);
  if (type == "mlp" || (type == "linear" && !words)) {
    network["elements"] = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  }
  network["outputs"] = outputs;
  if (type != "conv1d") return;
  if (const int64_t least = int64_t{1} << Conv1dPredictorOptions::from_json(network, where).blocks; shape[1] < least) {
    throw Error(Exit::kUsage, "--network", cat("its pools by 2 need sequences of at least ", least, ", the items are ", space.text()),
                "a FILE.json with fewer blocks");
  }
}

}  // namespace

std::unique_ptr<Predictor> make_predictor(const io::Json& config, const std::string& where) {
  const std::string type = type_of(config, where);
  if (is_own(type)) {
    refuse_unknown(config, {"type", "config"}, where);
    const io::Json network = config.value("config", io::Json::object());
    if (type == "cnn") return std::make_unique<CnnPredictor>(CnnPredictorOptions::from_json(network, where));
    if (type == "conv1d") return std::make_unique<Conv1dPredictor>(Conv1dPredictorOptions::from_json(network, where));
    if (type == "mlp") return std::make_unique<MlpPredictor>(MlpPredictorOptions::from_json(network, where));
    if (type == "linear") return std::make_unique<LinearPredictor>(LinearPredictorOptions::from_json(network, where));
    return std::make_unique<ResNet>(ResNetOptions::from_json(network, where));
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
  throw Error(Exit::kUsage, where, "unknown network type '" + type + "'", kTypes);
}

io::Json predictor_preset(const std::string& preset, const io::Space& space, int64_t outputs) {
  if (preset.ends_with(".pt")) {
    return io::Json{{"type", kTorchScript}, {"path", io::absolute_path(preset)}, {"outputs", outputs}};
  }
  std::string path = preset;
  if (!preset.ends_with(".json")) {
    const std::string of_space = space.type == "image" ? "small" : space.type == "sequence" ? "sequence" : "vector";
    const std::string name = preset == "auto" ? of_space : preset;
    const std::vector<std::string> names = preset_names();
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      const std::string near = nearest(name, names);
      throw Error(Exit::kUsage, "--network", "there is no preset '" + name + "'",
                  near.empty() ? "there are: auto, " + join(names, ", ") + "; or FILE.json, FILE.pt" : "did you mean '" + near + "'?");
    }
    path = share_path(kFolder + "/" + kPrefix + name + ".json");
  }
  io::Json config = io::Json::parse(io::read_file(path), nullptr, false);
  if (config.is_discarded() || !config.is_object()) throw Error(Exit::kBadInput, path, "is not a JSON object");
  config.erase("comment");
  fit(config, type_of(config, path), space, outputs, path);
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
