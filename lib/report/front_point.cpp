// SPDX-License-Identifier: Apache-2.0
#include "report/front_point.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "report/number.h"

namespace plumb::report {
namespace {

using io::Json;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
const char* const kHint = "a point is a file at the end of sample | score | diversity > POINT.json";
const char* const kClassMean = "Vendi score, mean over classes";

const Json& object(const Json& json, const char* key) {
  static const Json none = Json::object();
  const auto found = json.is_object() ? json.find(key) : json.end();
  return found != json.end() && found->is_object() ? *found : none;
}

double number(const Json& json, const char* key) {
  const auto found = json.is_object() ? json.find(key) : json.end();
  return found != json.end() && found->is_number() ? found->get<double>() : kNone;
}

std::string text(const Json& json, const char* key) {
  const auto found = json.is_object() ? json.find(key) : json.end();
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

/// The weight that a schedule of --aig gives the tuned model if it is the same at every step i = 0 .. T-1; else NaN.
double constant_weight(const std::string& schedule) {
  if (schedule.empty() || schedule == "ft") return 1;
  if (schedule == "base") return 0;
  const size_t colon = schedule.find(':');
  double value = kNone;
  if (colon != std::string::npos) {
    const char* end = schedule.data() + schedule.size();
    if (std::from_chars(schedule.data() + colon + 1, end, value).ptr != end) return kNone;
  }
  const std::string shape = schedule.substr(0, colon);
  if (shape == "constant") return value == 0 || value == 1 ? value : kNone;
  if (shape == "step") return value <= 0 ? 1 : value >= 1 ? 0 : kNone;  // 1 where i/T >= value
  return kNone;
}

/// Methods whose plan has `alpha`, the weight of the path's KL, in place of kl_coef. In plans of others (papa, epapa) alpha is
/// something else.
bool weighs_path_kl(const std::string& method) { return method == "strl" || method == "braid" || method == "drakes"; }

/// "0.01", "0.01, plain form", "alpha 0.1", "penalty 0.1"; "" if the model was tuned without KL.
std::string kl_strength(const io::Manifest& model) {
  const Json& config = object(model.json(), "config");
  const Json& plan = object(object(model.json(), "finetune"), "plan");
  double coefficient = number(plan, "kl_coef");  // with the method's default
  if (!std::isfinite(coefficient)) coefficient = number(config, "kl_coef");
  std::vector<std::string> parts;
  if (coefficient > 0) {
    parts.push_back(exact(coefficient));
    if (text(config, "kl_form") == "plain") parts.push_back("plain form");
  }
  if (const double alpha = number(plan, "alpha"); alpha > 0 && weighs_path_kl(text(config, "method"))) {
    parts.push_back("alpha " + exact(alpha));
    const bool drakes = text(config, "method") == "drakes";
    if (!drakes && text(config, "strl.kl_reduce") == "mean") parts.push_back("mean over coordinates");
    if (drakes && text(config, "drakes.kl") == "published") parts.push_back("published form");
  }
  if (const double penalty = number(config, "kl_penalty"); penalty > 0) {
    parts.push_back("penalty " + exact(penalty));
    if (const double target = number(config, "kl_target"); target > 0) parts.push_back("target " + exact(target));
  }
  return join(parts, ", ");
}

/// The model that was sampled. `sample --base` names a second one, which is not it.
std::optional<io::Manifest> model_of(const io::Manifest& samples) {
  for (const auto& [name, input] : samples.inputs())
    if (name == "model") return input.find("model");
  return samples.find("model");
}

double planned_steps(const io::Manifest& model) {
  const Json& finetune = object(model.json(), "finetune");
  const double steps = number(object(model.json(), "config"), "epochs") * number(object(finetune, "plan"), "updates_per_epoch");
  return std::isfinite(steps) ? steps : number(object(finetune, "result"), "steps");
}

bool same_samples(const io::Manifest& of, const io::Manifest& samples) {
  const auto own = of.find("samples");
  return own && (own->sha256().empty() ? own->json() == samples.json() : own->sha256() == samples.sha256());
}

}  // namespace

Regularisation regularisation_of(const io::Manifest& samples, const io::Manifest& model) {
  const Json& config = object(samples.json(), "config");
  const std::string schedule = text(config, "aig");
  const double weight = constant_weight(schedule);
  const double scale = std::isfinite(number(config, "lora_scale")) ? number(config, "lora_scale") : 1;
  if (!model.json().contains("finetune") || weight == 0 || scale == 0) return {"base", ""};
  std::vector<std::string> names, strengths;
  const auto add = [&](const std::string& name, const std::string& strength) {
    names.push_back(name);
    strengths.push_back(strength);
  };
  if (const std::string kl = kl_strength(model); !kl.empty()) add("KL", kl);
  if (scale != 1) add("LoRA scaling", exact(scale));
  if (weight != 1) add("AIG", schedule);
  if (names.empty()) return {"plain", ""};
  return {join(names, " + "), join(strengths, ", ")};
}

const std::vector<Measure>& known_measures() {
  static const std::vector<Measure> measures{
      {"vendi", "Vendi score", "cosine kernel, order 1", false, "Vendi score, cosine, order 1"},
      {"vendi_class_mean", "Vendi score by class", "mean over classes of the same", false, kClassMean},
      {"pairwise", "Pairwise distance", "mean 1 − cosine", false, "Pairwise distance, cosine"},
      {"recall", "Recall", "", false, "Recall"},
      {"coverage", "Coverage", "", false, "Coverage"},
      {"spectral", "Spectral distance", "", true, "Spectral distance"},
      {"fid", "FID", "", true, "FID"},
      {"kid", "KID", "", true, "KID"}};
  return measures;
}

const FrontPoint::Reward* FrontPoint::find(const std::string& column) const {
  const auto found = std::find_if(rewards.begin(), rewards.end(), [&](const Reward& r) { return r.column == column; });
  return found == rewards.end() ? nullptr : &*found;
}

double FrontPoint::reward(const std::string& column) const {
  const Reward* found = find(column);
  return found ? found->mean : kNone;
}

double FrontPoint::measure(const Measure& measure) const {
  for (const MetricRow& row : metrics)
    if (row.metric == measure.row && (!measure.digest || row.digest == *measure.digest)) return row.value;
  return kNone;
}

FrontPoint read_front_point(const io::Manifest& manifest) {
  FrontPoint point;
  point.source = manifest.label();
  const auto lacks = [&](const std::string& kind) {
    return Error(Exit::kBadInput, manifest.label(), "no '" + kind + "' here or in what it was made from", kHint);
  };
  const auto samples = manifest.find("samples");
  if (!samples) throw lacks("samples");
  point.samples = *samples;
  const auto model = model_of(*samples);
  if (!model) throw lacks("model");
  point.regularisation = regularisation_of(*samples, *model);
  const Json& config = object(model->json(), "config");
  const Json& finetune = object(model->json(), "finetune");
  if (model->json().contains("finetune")) {
    point.seed = std::isfinite(number(config, "seed")) ? config.at("seed").get<uint64_t>() : model->seed();
    point.method = text(config, "method");
    point.steps = planned_steps(*model);
    point.trained = text(object(finetune, "reward"), "expression");
    if (point.trained.empty()) point.trained = text(config, "reward");
  }
  for (const io::Manifest& scores : manifest.find_all("scores")) {
    if (!same_samples(scores, *samples)) continue;
    for (const auto& [column, about] : object(scores.json(), "rewards").items())
      if (!point.find(column) && std::isfinite(number(about, "mean")))
        point.rewards.push_back({column, text(about, "expression"), number(about, "mean")});
  }
  if (point.rewards.empty()) throw lacks("scores");
  for (const io::Manifest& metrics : manifest.find_all("metrics")) {
    if (!same_samples(metrics, *samples)) continue;
    const std::vector<MetricRow> rows = metric_rows(metrics);
    point.metrics.insert(point.metrics.end(), rows.begin(), rows.end());
    const Json& vendi = object(object(metrics.json(), "metrics"), "vendi");
    const auto kernels = vendi.find("kernels");  // the first is the headline's
    const bool first_is_cosine =
        kernels != vendi.end() && kernels->is_array() && !kernels->empty() && text(kernels->front(), "kernel") == "cosine";
    if (!first_is_cosine || text(vendi, "order") != "1" || !std::isfinite(number(vendi, "class_mean"))) continue;
    MetricRow row = rows.front();  // for its samples and feature network
    row.metric = kClassMean;
    row.value = number(vendi, "class_mean");
    row.standard_error = row.low = row.high = kNone;
    point.metrics.push_back(std::move(row));
  }
  return point;
}

}  // namespace plumb::report
