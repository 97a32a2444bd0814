// SPDX-License-Identifier: Apache-2.0
#include "diffusion/sampling.h"

#include <algorithm>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "io/class_names.h"
#include "diffusion/aig.h"
#include "diffusion/process_options.h"

namespace plumb::diffusion {

std::pair<int64_t, int64_t> item_range(const SamplingOptions& o) {
  if (o.shard.empty()) return {o.first, o.first + o.count};
  const std::vector<std::string> parts = split(o.shard, '/');
  const auto number = [&](size_t i) { return parts.size() == 2 ? parse_int(parts[i], "--shard") : -1; };
  const int64_t part = number(0), parts_in_all = number(1);
  if (part < 0 || part >= parts_in_all || parts_in_all > o.count) {
    throw Error(Exit::kUsage, "--shard", cat("'", o.shard, "' is not I/N with 0 <= I < N <= count"), "for example 0/4");
  }
  const auto cut = [&](int64_t i) { return o.first + o.count / parts_in_all * i + std::min(i, o.count % parts_in_all); };
  return {cut(part), cut(part + 1)};
}

void check_knows_none(const io::Manifest& model, const std::string& option, const std::string& hint) {
  const nlohmann::ordered_json& json = model.json();
  nlohmann::ordered_json dropped = json.at("model").value("label_drop", nlohmann::ordered_json());
  if (dropped.is_null() && json.value("tool", "") == "pretrain" && json.contains("config")) dropped = json["config"].value("label_drop", nlohmann::ordered_json());
  if (!dropped.is_number() || dropped.get<double>() != 0) return;
  throw Error(Exit::kUsage, option, "the model was trained with --label-drop 0, so it does not know what no class or value means", hint);
}

std::string class_choice(const SamplingOptions& o, const nn::Model& model, bool was_set) {
  std::string which = o.label_class;
  const int64_t num_classes = model.denoiser->num_classes();
  if (num_classes == 0) {
    if (was_set && which != "none") throw Error(Exit::kUsage, "--class", "the model is unconditional: it has no classes");
    which = "none";
  } else if (const std::vector<std::string> names = io::class_names(model.manifest); !names.empty()) {
    const auto found = std::find(names.begin(), names.end(), o.label_class);
    const bool is_name = which.find_first_not_of("0123456789") != std::string::npos && which != "balanced" && which != "random" && which != "none";
    if (found != names.end()) which = std::to_string(found - names.begin());
    else if (is_name) throw Error(Exit::kUsage, "--class", "the model has no class named '" + which + "'", "balanced, random, none, or one of " + join(names, ", "));
  }
  if (o.guidance_scale != 1.0 && which == "none" && o.target.empty()) {
    throw Error(Exit::kUsage, "--guidance-scale", "samples without a class have nothing to be guided to", "leave it at 1, or choose a --class or --target");
  }
  if (o.guidance_scale != 1.0) check_knows_none(model.manifest, "--guidance-scale", "leave it at 1");
  if (which == "none" && num_classes > 0) check_knows_none(model.manifest, "--class", "name a class, or balanced");
  if (o.target.empty() && model.denoiser->takes_value()) check_knows_none(model.manifest, "--target", "give one");
  choose_labels(which, {}, num_classes, o.seed);  // a bad class is refused before the work starts
  return which;
}

nlohmann::ordered_json chain_config(const nlohmann::ordered_json& schedule, const ReverseProcess& process) {
  nlohmann::ordered_json config{{"steps", process.steps()}};
  if (const std::string name = process_name(schedule); name != "gaussian") config.update({{"sampler", name}, {"eta", nullptr}, {"variance", nullptr}});
  return config;
}

nlohmann::ordered_json timesteps_of(const ReverseProcess& process) {
  nlohmann::ordered_json times = nlohmann::ordered_json::array();
  for (int64_t i = 0; i < process.steps(); ++i) {
    const Tensor t = process.timestep(i, 1, at::kCPU);
    if (at::isIntegralType(t.scalar_type(), false)) times.push_back(t.item<int64_t>());
    else times.push_back(t.item<double>());
  }
  return times;
}

namespace {

/// Timesteps of a Gaussian chain. Throws Error(kUsage) for another.
std::vector<int64_t> whole_timesteps(const ReverseProcess& process, const std::string& where) {
  std::vector<int64_t> times;
  for (int64_t i = 0; i < process.steps(); ++i) {
    const Tensor t = process.timestep(i, 1, at::kCPU);
    if (!at::isIntegralType(t.scalar_type(), false)) throw Error(Exit::kUsage, "--base-below", where + " has no whole timesteps", "leave it out");
    times.push_back(t.item<int64_t>());
  }
  return times;
}

}  // namespace

SampledModel::SampledModel(nn::Model model, const SamplingOptions& o, const ReverseProcess& process,
                           const std::function<io::Manifest()>& find_base, nn::Precision precision, at::Device device)
    : model_(std::move(model)), weights_(aig_weights(o.aig, process.steps())), guidance_scale_(o.guidance_scale), precision_(precision), device_(device) {
  const int64_t said = model_.manifest.json().at("model").value("base_below", int64_t{0});
  const int64_t base_below = o.base_below >= 0 ? o.base_below : o.aig == "ft" ? said : 0;
  if (o.aig != "ft" && base_below > 0) throw Error(Exit::kUsage, "--base-below", "does not go with --aig, which mixes the two models otherwise");
  if (base_below > 0) weights_ = base_below_weights(whole_timesteps(process, model_.manifest.label()), base_below);
  if (o.aig == "ft" && base_below == 0 && !o.base.empty()) throw Error(Exit::kUsage, "--base", "goes with --aig or --base-below", "add --aig linear, say");
  if (std::any_of(weights_.begin(), weights_.end(), [](double w) { return w != 1.0; })) base_ = load_base_of(model_, find_base(), device);
  const auto condition_of = [](const nn::Model& m) { return m.manifest.json().at("model").value("condition", io::Json()); };
  if (base_ && condition_of(*base_) != condition_of(model_)) {
    throw Error(Exit::kBadInput, base_->manifest.label(), "is no base model of " + model_.manifest.label() + ": its value differs");
  }
}

int64_t SampledModel::calls(const std::vector<int64_t>& rows) const {
  int64_t calls = 0;
  for (size_t i = 0; i < weights_.size(); ++i) calls += rows.at(i) * (weights_[i] == 0.0 || weights_[i] == 1.0 ? 1 : 2);
  return calls * (guidance_scale_ == 1.0 ? 1 : 2);
}

ModelFunction SampledModel::guided(const nn::Model& m) const {
  return [&m, scale = guidance_scale_, precision = precision_, device = device_](size_t, const Tensor& x_t, const Tensor& t,
                                                                                const nn::Condition& condition) {
    const nn::PrecisionGuard guard(precision, device);
    return GuidedDenoiser{*m.denoiser, scale}(x_t, t, condition).to(at::kFloat);
  };
}

ModelFunction SampledModel::function() const { return base_ ? annealed(guided(*base_), guided(model_), weights_) : guided(model_); }

}  // namespace plumb::diffusion
