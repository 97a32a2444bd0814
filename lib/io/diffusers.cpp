// SPDX-License-Identifier: Apache-2.0
#include "io/diffusers.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "io/safetensors.h"

namespace plumb::io {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWeights = "diffusion_pytorch_model.safetensors";
constexpr const char* kDiffusersVersion = "0.31.0";  // whose files these are; read by diffusers for messages only

Json read_json(const std::string& path) {
  Json json = Json::parse(read_file(path), nullptr, false);
  if (!json.is_object()) throw Error(Exit::kBadInput, path, "is not a JSON object");
  return json;
}

template <typename T>
T field(const Json& json, const char* key, T fallback, const std::string& path) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return fallback;
  try {
    return found->get<T>();
  } catch (const Json::exception&) {
    throw Error(Exit::kBadInput, path, cat("\"", key, "\" has a value of the wrong type: ", found->dump()));
  }
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

/// A class of schedulers whose models are trained by DDPM's forward process, and what its config says where it leaves a key out.
struct Scheduler {
  const char *name, *timestep_spacing;
  std::optional<bool> clip_sample;               // none: it has no such key
  const char* end;                               // the key that says whether the last step ends at alpha-bar 1 or at that of timestep 0; or ""
  bool to_one;                                   // without it
  double beta_start = 1e-4, beta_end = 0.02;
};

const Scheduler kSchedulers[] = {{"DDPMScheduler", "leading", true, "", true},
                                 {"DDIMScheduler", "leading", true, "set_alpha_to_one", true},
                                 {"PNDMScheduler", "leading", {}, "set_alpha_to_one", false},
                                 {"DPMSolverMultistepScheduler", "linspace", {}, "final_sigmas_type", true},
                                 {"DPMSolverSinglestepScheduler", "linspace", {}, "final_sigmas_type", true},
                                 {"EulerDiscreteScheduler", "linspace", {}, "final_sigmas_type", true},
                                 {"EulerAncestralDiscreteScheduler", "linspace", {}, "", true},
                                 {"HeunDiscreteScheduler", "linspace", false, "", true, 0.00085, 0.012},
                                 {"KDPM2DiscreteScheduler", "linspace", {}, "", true, 0.00085, 0.012},
                                 {"KDPM2AncestralDiscreteScheduler", "linspace", {}, "", true, 0.00085, 0.012},
                                 {"LMSDiscreteScheduler", "linspace", {}, "", true},
                                 {"UniPCMultistepScheduler", "linspace", {}, "final_sigmas_type", true}};

const Scheduler& scheduler_of(const Json& config, const std::string& path) {
  const std::string type = field<std::string>(config, "_class_name", "", path);
  std::vector<std::string> names;
  for (const Scheduler& one : kSchedulers) {
    if (type == one.name) return one;
    names.emplace_back(one.name);
  }
  throw Error(Exit::kBadInput, path, type.empty() ? "has no _class_name" : "a " + type + " is not supported: its process may not be DDPM's", join(names, ", ") + " are");
}

/// One of a few words.
std::string choice(const Json& config, const char* key, const std::string& fallback, const std::vector<std::string>& known, const std::string& path) {
  const std::string value = field<std::string>(config, key, fallback, path);
  if (std::find(known.begin(), known.end(), value) != known.end()) return value;
  throw Error(Exit::kBadInput, path, cat(key, " '", value, "' is not supported"), join(known, ", "));
}

bool ends_at_one(const Json& config, const Scheduler& type, const std::string& path) {
  const std::string key = type.end;
  if (key == "set_alpha_to_one") return field(config, "set_alpha_to_one", type.to_one, path);
  if (key == "final_sigmas_type") return choice(config, "final_sigmas_type", type.to_one ? "zero" : "sigma_min", {"zero", "sigma_min"}, path) == "zero";
  return type.to_one;
}

/// The schedule in our terms. Absent keys take the defaults of the scheduler's class.
Json schedule_of(const Json& config, const std::string& path) {
  const Scheduler& type = scheduler_of(config, path);
  const auto refuse = [&](const std::string& what) {
    throw Error(Exit::kBadInput, path, what + " is not supported", "a scheduler of DDPM's process with fixed variance is");
  };
  if (config.contains("trained_betas") && !config["trained_betas"].is_null()) refuse("trained_betas");
  if (field(config, "thresholding", false, path)) refuse("thresholding");
  if (field(config, "rescale_betas_zero_snr", false, path)) refuse("rescale_betas_zero_snr");
  if (field(config, "use_flow_sigmas", false, path)) refuse("use_flow_sigmas");
  choice(config, "timestep_type", "discrete", {"discrete"}, path);
  for (const char* key : {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"}) {
    if (field(config, key, false, path)) log::warn(path, ": ", key, " is not kept: timesteps here are spaced as timestep_spacing says");
  }
  if (choice(config, "interpolation_type", "linear", {"linear", "log_linear"}, path) != "linear") log::warn(path, ": interpolation_type is not kept: steps here are at whole timesteps");
  const std::string variance = field<std::string>(config, "variance_type", "fixed_small", path);
  if (variance.rfind("learned", 0) == 0) refuse("a learned variance");
  if (variance.rfind("fixed_large", 0) == 0) log::warn(path, ": variance_type ", variance, " is not kept: sample with --sampler ddpm --variance beta");
  const bool clip = type.clip_sample && field(config, "clip_sample", *type.clip_sample, path);
  if (clip && field(config, "clip_sample_range", 1.0, path) != 1.0) refuse("a clip_sample_range other than 1");
  return Json{{"num_train_timesteps", field<int64_t>(config, "num_train_timesteps", 1000, path)},
              {"beta_schedule", choice(config, "beta_schedule", "linear", {"linear", "scaled_linear", "squaredcos_cap_v2"}, path)},
              {"beta_start", field(config, "beta_start", type.beta_start, path)},
              {"beta_end", field(config, "beta_end", type.beta_end, path)},
              {"prediction_type", choice(config, "prediction_type", "epsilon", {"epsilon", "sample", "v_prediction"}, path)},
              {"timestep_spacing", choice(config, "timestep_spacing", type.timestep_spacing, {"leading", "trailing", "linspace"}, path)},
              {"steps_offset", field<int64_t>(config, "steps_offset", 0, path)},
              {"set_alpha_to_one", ends_at_one(config, type, path)},
              {"clip_sample", clip},
              {"table_dtype", "float32"}};  // so that the model samples here as it did there
}

/// DIR/scheduler (a pipeline), beside the unet folder, or in it. "" if there is none.
std::string find_scheduler(const fs::path& folder, const fs::path& unet) {
  for (const fs::path& at : {folder / "scheduler", unet / "..", unet / ".." / "scheduler", unet}) {
    if (is_file(at / "scheduler_config.json")) return (at / "scheduler_config.json").lexically_normal().string();
  }
  return "";
}

/// One side of the square items in pixels. The config counts folded pixels.
int64_t side_of(const Json& config, int64_t patch, int64_t given, const std::string& path) {
  const auto found = config.find("sample_size");
  int64_t side = 0;
  if (found != config.end() && found->is_array() && found->size() == 2 && (*found)[0] == (*found)[1]) {
    side = patch * field<std::vector<int64_t>>(config, "sample_size", {}, path)[0];
  } else {
    side = patch * field<int64_t>(config, "sample_size", 0, path);
  }
  if (side > 0 && given > 0 && side != given) {
    throw Error(Exit::kUsage, "--size", cat("is ", given, ", but ", path, " says ", side), "leave it out");
  }
  side = side > 0 ? side : given;
  if (side < 1) throw Error(Exit::kBadInput, path, "has no sample_size", "give the side of the images by --size");
  return side;
}

/// Attention parameters as diffusers named them before 0.12: query, key, value, proj_attn.
std::string current_name(const std::string& name) {
  if (name.find("attentions.") == std::string::npos) return name;
  static const std::pair<const char*, const char*> renamed[] = {
      {".query.", ".to_q."}, {".key.", ".to_k."}, {".value.", ".to_v."}, {".proj_attn.", ".to_out.0."}};
  for (const auto& [before, now] : renamed) {
    if (const size_t at = name.find(before); at != std::string::npos) {
      return name.substr(0, at) + now + name.substr(at + std::string(before).size());
    }
  }
  return name;
}

const Json& model_of(const Manifest& manifest) {
  const auto found = manifest.json().find("model");
  if (found == manifest.json().end() || !found->is_object() || !found->contains("denoiser") || !found->contains("schedule")) {
    throw Error(Exit::kBadInput, manifest.label(), "its manifest lacks model.denoiser or model.schedule");
  }
  return *found;
}

}  // namespace

DiffusersModel read_diffusers_model(const std::string& folder, int64_t sample_size) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) throw Error(Exit::kBadInput, folder, "is not a folder", "give a model that save_pretrained wrote");
  const fs::path unet = is_file(fs::path(folder) / "unet" / "config.json") ? fs::path(folder) / "unet" : fs::path(folder);
  const std::string config_path = (unet / "config.json").string();
  if (!is_file(config_path)) throw Error(Exit::kBadInput, folder, "has neither unet/config.json nor config.json");
  DiffusersModel model;
  model.weights = (unet / kWeights).string();
  if (!is_file(model.weights)) {
    throw Error(Exit::kBadInput, unet.string(), cat("has no ", kWeights), "save it again with safe_serialization=True");
  }
  const Json config = read_json(config_path);
  const std::string type = field<std::string>(config, "_class_name", "UNet2DModel", config_path);
  if (type != "UNet2DModel") throw Error(Exit::kBadInput, config_path, "is a " + type + "; UNet2DModel is what can be read");
  const int64_t patch = field<int64_t>(config, "plumb_patch", 1, config_path);
  const int64_t channels = field<int64_t>(config, "out_channels", 3, config_path);
  if (patch < 1 || patch > 64 || channels < 1 || channels % (patch * patch) != 0) {
    throw Error(Exit::kBadInput, config_path, cat(channels, " out_channels do not unfold by plumb_patch = ", patch));
  }
  const bool null_class = field(config, "plumb_null_class", false, config_path);
  const int64_t rows = field<int64_t>(config, "num_class_embeds", 0, config_path);
  model.num_classes = rows - (rows > 0 && null_class ? 1 : 0);
  model.space.shape = {channels / (patch * patch), 0, 0};
  model.space.shape[1] = model.space.shape[2] = side_of(config, patch, sample_size, config_path);
  Json kept = Json::object();
  for (const auto& [key, value] : config.items()) {
    if (key[0] != '_' && key.rfind("plumb_", 0) != 0) kept[key] = value;
  }
  kept["sample_size"] = model.space.shape[1] / patch;
  model.denoiser = Json{{"type", "unet2d"}};
  if (patch != 1) model.denoiser["patch"] = patch;
  if (rows > 0 && !null_class) model.denoiser["null_class"] = false;
  model.denoiser["config"] = kept;
  model.files = {config_path, model.weights};
  const std::string scheduler = find_scheduler(folder, unet);
  if (scheduler.empty()) {
    log::warn(folder, ": no scheduler_config.json: taking DDPMScheduler's defaults (1000 steps, linear betas, epsilon)");
  } else {
    model.files.push_back(scheduler);
  }
  model.schedule = schedule_of(scheduler.empty() ? Json{{"_class_name", "DDPMScheduler"}} : read_json(scheduler), scheduler);
  return model;
}

int64_t copy_diffusers_weights(const DiffusersModel& model, H5Writer& writer) {
  const SafetensorsReader weights(model.weights);
  for (const char* name : {"conv_in.weight", "conv_out.weight"}) weights.tensor(name);  // a UNet2DModel has these
  int64_t parameters = 0;
  for (const auto& [name, view] : weights.tensors()) {
    std::vector<float> values = weights.read_f32(name);
    std::vector<int64_t> shape = view.shape;
    parameters += static_cast<int64_t>(values.size());
    writer.write("denoiser/" + current_name(name), Type::kF32, shape, values.data());
  }
  return parameters;
}

Json diffusers_unet_config(const Manifest& manifest) {
  const Json& denoiser = model_of(manifest).at("denoiser");
  if (denoiser.value("type", "") != "unet2d" || !denoiser.contains("config")) {
    throw Error(Exit::kBadInput, manifest.label(), "its network is not a UNet2DModel",
                denoiser.value("type", "") == "torchscript" ? "--to torchscript gives the file it was made from" : "diffusers has none like it: the artefact itself is HDF5, see plumb-artefact(5)");
  }
  if (denoiser.value("value", false)) {
    throw Error(Exit::kBadInput, manifest.label(), "is conditioned on a value, which a UNet2DModel does not take");
  }
  Json config{{"_class_name", "UNet2DModel"}, {"_diffusers_version", kDiffusersVersion}};
  config.update(denoiser.at("config"));
  const int64_t patch = denoiser.value("patch", int64_t{1});
  const Space space = manifest.space();
  if (space.shape.size() == 3 && space.shape[1] == space.shape[2]) config["sample_size"] = space.shape[1] / patch;
  if (patch != 1) config["plumb_patch"] = patch;
  const auto rows = config.find("num_class_embeds");
  if (rows != config.end() && !rows->is_null() && denoiser.value("null_class", true)) config["plumb_null_class"] = true;
  return config;
}

Json diffusers_scheduler_config(const Manifest& manifest) {
  Json config{{"_class_name", "DDIMScheduler"}, {"_diffusers_version", kDiffusersVersion}};
  config.update(model_of(manifest).at("schedule"));
  config.erase("table_dtype");  // theirs is always float32
  return config;
}

}  // namespace plumb::io
