// Denoiser presets: data files in share/presets/, fitted to the data.   SPDX-License-Identifier: Apache-2.0
#include "nn/denoiser.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "core/error.h"
#include "core/share.h"
#include "core/text.h"
#include "nn/data.h"
#include "nn/denoiser_fit.h"
#include "nn/lora.h"
#include "nn/mixture_denoiser.h"
#include "nn/papa_unet.h"
#include "nn/subspace_denoiser.h"

namespace plumb::nn {
namespace {

const std::string kFolder = "presets", kPrefix = "denoiser-";

/// "image-28" for share/presets/denoiser-image-28.json.
std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const std::string& name : share_names(kFolder, ".json")) {
    if (name.starts_with(kPrefix)) names.push_back(name.substr(kPrefix.size()));
  }
  return names;
}

template <typename T>
void set_if_open(io::Json& config, const char* key, T value) {
  if (!config.contains(key) || config.at(key).is_null()) config[key] = value;
}

std::string preset_file(const std::string& preset, const io::Space& space) {
  if (preset.ends_with(".json")) return preset;
  std::string name = preset;
  if (preset == "auto") {
    name = space.type == "sequence" ? "sequence" : "vector";
    if (space.type == "image") name = space.shape.at(1) % 8 == 0 && space.shape.at(2) % 8 == 0 ? "image-32" : "image-28";
  }
  const std::vector<std::string> names = preset_names();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    const std::string near = nearest(name, names);
    throw Error(Exit::kUsage, "--denoiser", "there is no preset '" + name + "'",
                near.empty() ? "there are: auto, " + join(names, ", ") + "; or FILE.json, FILE.pt" : "did you mean '" + near + "'?");
  }
  return share_path(kFolder + "/" + kPrefix + name + ".json");
}

/// Fills in a unet2d's sizes. What is not well formed is left for make_denoiser to refuse by name.
void fit_unet2d(io::Json& config, const io::Space& space, int64_t num_classes) {
  const std::vector<int64_t>& shape = space.shape;
  if (shape.size() != 3) throw Error(Exit::kUsage, "--denoiser", "a unet2d needs items of shape [C,H,W], not " + space.text());
  const bool whole = !config.contains("patch") || (config.at("patch").is_number_integer() && config.at("patch").get<int64_t>() > 0);
  if (!whole || (config.contains("config") && !config.at("config").is_object())) return;
  const int64_t patch = config.contains("patch") ? config.at("patch").get<int64_t>() : 1;
  io::Json& network = config["config"];
  set_if_open(network, "sample_size", shape[1] / patch);
  set_if_open(network, "in_channels", shape[0] * patch * patch);
  set_if_open(network, "out_channels", shape[0] * patch * patch);
  if (num_classes > 0) set_if_open(network, "num_class_embeds", num_classes + 1);
  const size_t levels = network.contains("block_out_channels") ? network.at("block_out_channels").size() : 4;
  const int64_t multiple = patch << (levels > 0 ? levels - 1 : 0);
  if (shape[1] % multiple != 0 || shape[2] % multiple != 0) {
    throw Error(Exit::kUsage, "--denoiser", cat("this network needs heights and widths that are multiples of ", multiple,
                                                ", the items are ", space.text()));
  }
}

/// Fills in a papa-unet's channels and size. It knows no classes.
void fit_papa_unet(io::Json& config, const io::Space& space, int64_t num_classes) {
  const std::vector<int64_t>& shape = space.shape;
  if (shape.size() != 3) throw Error(Exit::kUsage, "--denoiser", "a papa-unet needs items of shape [C,H,W], not " + space.text());
  if (num_classes > 0) throw Error(Exit::kUsage, "--denoiser", "a papa-unet knows no classes", "--condition none");
  if (config.contains("config") && !config.at("config").is_object()) return;   // make_denoiser says so
  io::Json& network = config["config"];
  if (network.is_null()) network = io::Json::object();
  set_if_open(network, "sample_size", shape[1]);
  set_if_open(network, "im_channels", shape[0]);
  const int64_t multiple = papa_multiple(PapaUNetOptions::from_json(network, "--denoiser"));
  if (shape[1] % multiple != 0 || shape[2] % multiple != 0) {
    throw Error(Exit::kUsage, "--denoiser", cat("this network needs heights and widths that are multiples of ", multiple,
                                                ", the items are ", space.text()));
  }
}

std::string type_of(const io::Json& denoiser) {
  const auto type = denoiser.find("type");
  return type != denoiser.end() && type->is_string() ? type->get<std::string>() : "";
}

bool has_timesteps(const std::string& type) { return type == "conv1d" || type == "mixture" || type == "mlp" || type == "subspace"; }

/// Fills in what the items decide of a conv1d, mlp or subspace: their channels or size, and the classes.
void fit_to_items(io::Json& config, const std::string& type, const io::Space& space, int64_t num_classes) {
  if (config.contains("config") && !config.at("config").is_object()) return;   // make_denoiser says so
  const std::vector<int64_t> shape = make_codec(space, "--denoiser")->model_shape();
  io::Json& network = config["config"];
  if (type == "mixture") {   // says itself how large an item is
    const int64_t elements = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
    if (num_classes > 0) throw Error(Exit::kUsage, "--denoiser", "a mixture knows no classes", "--condition none");
    if (const int64_t own = MixtureOptions::from_json(network, "--denoiser").elements(); own != elements) {
      throw Error(Exit::kUsage, "--denoiser", cat("the mixture's centres have ", own, " coordinates, the items are ", space.text()));
    }
    return;
  }
  if (type == "conv1d") {
    if (shape.size() != 2) {
      throw Error(Exit::kUsage, "--denoiser", "a conv1d needs sequences or items of shape [C,L], not " + space.text(), "mlp takes any");
    }
    set_if_open(network, "channels", shape[0]);
  } else {
    int64_t elements = 1;
    for (const int64_t size : shape) elements *= size;
    set_if_open(network, "elements", elements);
  }
  if (num_classes > 0) set_if_open(network, "num_classes", num_classes);
}

}  // namespace

void fit_timesteps(io::Json& denoiser, int64_t num_train_timesteps) {
  if (has_timesteps(type_of(denoiser)) && denoiser.contains("config") && denoiser.at("config").is_object()) {
    set_if_open(denoiser["config"], "num_train_timesteps", num_train_timesteps);
  }
}

void fit_masked(io::Json& denoiser, int64_t letters) {
  const std::string type = type_of(denoiser);
  if (type == "torchscript") return;
  if (type != "conv1d") throw Error(Exit::kUsage, "--denoiser", "masked letters need a conv1d network, not '" + type + "'", "sequence or sequence-masked");
  if (denoiser.contains("config") && !denoiser.at("config").is_object()) return;  // make_denoiser says so
  io::Json& network = denoiser["config"];
  if (network.contains("channels") && network.at("channels") == letters) network["channels"] = letters + 1;  // as fitted to the items alone
  set_if_open(network, "channels", letters + 1);
  set_if_open(network, "out_channels", letters);
  set_if_open(network, "use_time", false);
  if (network.at("channels") != letters + 1 || network.at("out_channels") != letters) {
    throw Error(Exit::kUsage, "--denoiser", cat("masked sequences of ", letters, " letters need channels ", letters + 1, " and out_channels ", letters),
                "leave both out");
  }
}

void check_prediction_type(const io::Json& denoiser, const std::string& prediction_type) {
  const std::string type = type_of(denoiser);
  if (type == "subspace" && prediction_type != "sample") {
    throw Error(Exit::kUsage, "--prediction-type", "a subspace network predicts the clean sample, not " + prediction_type,
                "--prediction-type sample");
  }
  if (type == "mixture" && prediction_type != "epsilon") {
    throw Error(Exit::kUsage, "--prediction-type", "a mixture predicts the noise, not " + prediction_type, "--prediction-type epsilon");
  }
}

void fit_schedule(Denoiser& denoiser, const std::vector<double>& alphas_cumprod) {
  if (auto* mixture = dynamic_cast<MixtureDenoiser*>(&denoiser)) mixture->set_noise_levels(alphas_cumprod);
  if (auto* subspace = dynamic_cast<SubspaceDenoiser*>(&denoiser)) subspace->set_noise_levels(alphas_cumprod);
}

void fit_value(io::Json& denoiser) {
  const std::string type = type_of(denoiser);
  if (type == "torchscript") throw Error(Exit::kUsage, "--condition", "a TorchScript network takes no value");
  if (type == "mixture" || type == "papa-unet") throw Error(Exit::kUsage, "--condition", "a " + type + " takes no value");
  if (type == "unet2d") {
    denoiser["value"] = true;
  } else if (has_timesteps(type) && (!denoiser.contains("config") || denoiser.at("config").is_object())) {
    denoiser["config"]["value"] = true;
  }
}

std::unique_ptr<Denoiser> with_value(Denoiser& network, uint64_t seed) {
  if (has_lora(network)) merge_lora(network);
  io::Json config = network.config();
  fit_value(config);
  auto wider = make_denoiser(config, "--init");
  initialise(*wider, seed);
  NamedTensors values = wider->state();
  for (const auto& [name, tensor] : network.state()) {
    const auto own = std::find_if(values.begin(), values.end(), [&, &key = name](const auto& entry) { return entry.first == key; });
    if (own != values.end()) own->second = tensor;
  }
  wider->load_state(values, "--init");
  return wider;
}

io::Json denoiser_preset(const std::string& preset, const io::Space& space, int64_t num_classes) {
  if (preset.ends_with(".pt")) {
    return io::Json{{"type", "torchscript"}, {"path", io::absolute_path(preset)}, {"num_classes", num_classes}};
  }
  const std::string path = preset_file(preset, space);
  io::Json config = io::Json::parse(io::read_file(path), nullptr, false);
  if (config.is_discarded() || !config.is_object()) throw Error(Exit::kBadInput, path, "is not a JSON object");
  config.erase("comment");
  const std::string type = type_of(config);
  if (type == "torchscript") set_if_open(config, "num_classes", num_classes);
  if (type == "unet2d") fit_unet2d(config, space, num_classes);
  if (type == "papa-unet") fit_papa_unet(config, space, num_classes);
  if (has_timesteps(type)) fit_to_items(config, type, space, num_classes);
  return config;
}

}  // namespace plumb::nn
