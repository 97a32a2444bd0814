// SPDX-License-Identifier: Apache-2.0
#include "nn/denoiser.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "nn/conv1d_denoiser.h"
#include "nn/mixture_denoiser.h"
#include "nn/mlp.h"
#include "nn/papa_unet.h"
#include "nn/subspace_denoiser.h"
#include "nn/torchscript.h"
#include "nn/unet2d.h"

namespace plumb::nn {
namespace {

const std::vector<std::string> kTypes{"unet2d", "conv1d", "mixture", "mlp", "papa-unet", "subspace", "torchscript"};

int64_t whole_number(const io::Json& config, const char* key, int64_t fallback, const std::string& where) {
  if (!config.contains(key)) return fallback;
  if (!config.at(key).is_number_integer() || config.at(key).get<int64_t>() < 1) {
    throw Error(Exit::kUsage, where, cat("denoiser option ", key, " is not a whole number from 1"));
  }
  return config.at(key).get<int64_t>();
}

void refuse_unknown(const io::Json& config, const std::vector<std::string>& known, const std::string& where) {
  for (const auto& [key, value] : config.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string near = nearest(key, known);
    throw Error(Exit::kUsage, where, "unknown denoiser option '" + key + "'", near.empty() ? "" : "did you mean '" + near + "'?");
  }
}

std::unique_ptr<Denoiser> make_unet2d(const io::Json& config, const std::string& where) {
  refuse_unknown(config, {"type", "patch", "null_class", "value", "config"}, where);
  const UNet2DOptions options = UNet2DOptions::from_json(config.value("config", io::Json::object()), where);
  const int64_t patch = whole_number(config, "patch", 1, where);
  if (options.in_channels % (patch * patch) != 0 || options.out_channels % (patch * patch) != 0) {
    throw Error(Exit::kUsage, where, cat("patch ", patch, " needs in_channels and out_channels that are multiples of ", patch * patch));
  }
  for (const char* key : {"null_class", "value"}) {
    if (config.contains(key) && !config.at(key).is_boolean()) {
      throw Error(Exit::kUsage, where, cat("denoiser option ", key, " is not true or false"));
    }
  }
  return std::make_unique<UNet2D>(options, patch, config.value("null_class", true), config.value("value", false));
}

}  // namespace

Condition Condition::to(at::Device device) const {
  Condition moved = *this;
  if (label.defined()) moved.label = label.to(device);
  if (value.defined()) moved.value = value.to(device);
  return moved;
}

Condition Condition::slice(int64_t begin, int64_t end) const {
  Condition part = *this;
  if (label.defined()) part.label = label.slice(0, begin, end);
  if (value.defined()) part.value = value.slice(0, begin, end);
  return part;
}

Condition Condition::index(const Tensor& order) const {
  Condition picked = *this;
  if (label.defined()) picked.label = label.index_select(0, order.to(label.device()));
  if (value.defined()) picked.value = value.index_select(0, order.to(value.device()));
  return picked;
}

std::unique_ptr<Denoiser> make_denoiser(const io::Json& config, const std::string& where) {
  if (!config.is_object() || !config.contains("type") || !config.at("type").is_string()) {
    throw Error(Exit::kUsage, where, "a denoiser config needs a \"type\"", join(kTypes, ", "));
  }
  const std::string type = config.at("type").get<std::string>();
  if (type == "unet2d") return make_unet2d(config, where);
  if (type == "conv1d" || type == "mixture" || type == "mlp" || type == "papa-unet" || type == "subspace") {
    refuse_unknown(config, {"type", "config"}, where);
    const io::Json network = config.value("config", io::Json::object());
    if (type == "conv1d") return std::make_unique<Conv1dDenoiser>(Conv1dOptions::from_json(network, where));
    if (type == "mixture") return std::make_unique<MixtureDenoiser>(MixtureOptions::from_json(network, where));
    if (type == "mlp") return std::make_unique<MlpDenoiser>(MlpOptions::from_json(network, where));
    if (type == "papa-unet") return std::make_unique<PapaUNet>(PapaUNetOptions::from_json(network, where));
    return SubspaceDenoiser::from_json(network, where);
  }
  if (type == "torchscript") {
    refuse_unknown(config, {"type", "path", "sha256", "num_classes"}, where);
    if (!config.contains("path") || !config.at("path").is_string()) {
      throw Error(Exit::kUsage, where, "a torchscript denoiser needs \"path\", the .pt file");
    }
    const std::string path = config.at("path").get<std::string>();
    const int64_t classes = config.contains("num_classes") && config.at("num_classes") == 0 ? 0 : whole_number(config, "num_classes", 0, where);
    return torchscript_denoiser(io::read_file(path), classes, path);
  }
  const std::string near = nearest(type, kTypes);
  throw Error(Exit::kUsage, where, "unknown denoiser type '" + type + "'",
              near.empty() ? join(kTypes, ", ") : "did you mean '" + near + "'?");
}

}  // namespace plumb::nn
