// SPDX-License-Identifier: Apache-2.0
#include "diffusion/value_condition.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "io/exporter.h"
#include "nn/data.h"

namespace plumb::diffusion {
namespace {

constexpr int64_t kRowsAtOnce = 1 << 20;

/// Calls f(part [n] float64) for a dataset of numbers, part by part.
void each_part(const io::H5Reader& file, const std::string& dataset, int64_t rows, const std::function<void(const Tensor&)>& f) {
  const io::DatasetInfo info = file.info(dataset);
  if (info.shape != std::vector<int64_t>{rows}) {
    throw Error(Exit::kBadInput, file.path(), cat("dataset '", dataset, "' is ", shape_text(info.shape), " for ", rows, " items"));
  }
  for (int64_t first = 0; first < rows; first += kRowsAtOnce) {
    const Tensor part = nn::read_rows(file, dataset, first, std::min(kRowsAtOnce, rows - first)).to(at::kDouble);
    if (!at::isfinite(part).all().item<bool>()) {
      throw Error(Exit::kBadInput, file.path(), "dataset '" + dataset + "' holds values that are not finite", "leave those items out");
    }
    f(part);
  }
}

/// The number of classes a dataset's labels name: of its `classes`, else one more than the largest label. 0: no labels.
int64_t count_classes(const io::Manifest& dataset, const io::H5Reader& file) {
  if (!file.has("label")) return 0;
  if (const auto classes = dataset.json().find("classes"); classes != dataset.json().end() && classes->is_array()) {
    return static_cast<int64_t>(classes->size());
  }
  const std::vector<int64_t> labels = file.read_i64("label");
  return labels.empty() ? 0 : *std::max_element(labels.begin(), labels.end()) + 1;
}

[[noreturn]] void refuse(const std::string& what, const std::string& hint = "") { throw Error(Exit::kUsage, "--condition", what, hint); }

/// The column of the nearest scores that `name` means, as a dataset's name.
std::string scores_column(const io::Manifest& scores, const std::string& name) {
  const std::vector<std::string> columns = io::open_artefact(scores).list("reward");
  if (std::find(columns.begin(), columns.end(), name) != columns.end()) return "reward/" + name;
  if (name != "reward") refuse("the scores have no column '" + name + "'", "there are: " + join(columns, ", "));
  if (columns.size() != 1) refuse("there are several columns: name one", join(columns, ", "));
  return "reward/" + columns.front();
}

}  // namespace

Tensor ValueCondition::standardise(const Tensor& raw) const { return ((raw.to(at::kDouble) - mean) / std).to(at::kFloat); }

io::Json ValueCondition::to_json() const {
  return {{"type", "value"}, {"name", name}, {"mean", mean}, {"std", std}, {"min", min}, {"max", max}};
}

ValueCondition measure_value(const io::H5Reader& file, const std::string& dataset, const std::string& name, int64_t rows) {
  ValueCondition c{.name = name, .min = std::numeric_limits<double>::infinity(), .max = -std::numeric_limits<double>::infinity()};
  double sum = 0, squares = 0;
  each_part(file, dataset, rows, [&](const Tensor& part) {
    sum += part.sum().item<double>();
    c.min = std::min(c.min, part.min().item<double>());
    c.max = std::max(c.max, part.max().item<double>());
  });
  c.mean = sum / static_cast<double>(rows);
  each_part(file, dataset, rows, [&](const Tensor& part) { squares += (part - c.mean).square().sum().item<double>(); });
  c.std = rows > 1 ? std::sqrt(squares / static_cast<double>(rows - 1)) : 0;
  if (!(c.max > c.min) || !(c.std > 0)) {
    throw Error(Exit::kBadInput, file.path(), cat("all values of '", name, "' are ", c.min, ": there is nothing to learn from them"));
  }
  return c;
}

std::optional<ValueCondition> value_condition(const io::Manifest& model) {
  const io::Json& json = model.json();
  if (!json.contains("model") || !json.at("model").contains("condition")) return std::nullopt;
  try {
    const io::Json& c = json.at("model").at("condition");
    ValueCondition condition{c.at("name").get<std::string>(), c.at("mean").get<double>(), c.at("std").get<double>(),
                             c.at("min").get<double>(), c.at("max").get<double>()};
    if (c.at("type") == "value" && std::isfinite(condition.mean) && std::isfinite(condition.std) && condition.std > 0) return condition;
  } catch (const io::Json::exception&) {
  }
  throw Error(Exit::kBadInput, model.label(), "its model.condition is not {type, name, mean, std, min, max} of a value");
}

TrainingCondition find_condition(const std::vector<std::string>& wanted, const io::Manifest& input, const io::Manifest& dataset) {
  TrainingCondition found;
  const io::H5Reader file = io::open_artefact(dataset);
  if (wanted.empty()) found.num_classes = count_classes(dataset, file);
  for (const std::string& what : wanted) {
    if (what == "none") {
      if (wanted.size() > 1) refuse("none goes with nothing else");
    } else if (what == "class") {
      found.num_classes = count_classes(dataset, file);
      if (found.num_classes == 0) throw Error(Exit::kBadInput, dataset.label(), "has no labels to condition on", "ingest it with its classes");
    } else if (!found.column.empty()) {
      refuse("a model has one value: '" + what + "' is a second one");
    } else if (what == "value") {
      if (!file.has("value")) throw Error(Exit::kBadInput, dataset.label(), "is a dataset without measured values", "score it, and name the column");
      found.source = dataset;
      found.column = "value";
      found.value = measure_value(file, found.column, what, dataset.count());
    } else {
      const auto scores = input.find("scores");
      if (!scores) refuse("'" + what + "' needs scores of the dataset", "ingest ... | score ... | pretrain, or class, value, none");
      if (io::items_of(*scores).sha256() != dataset.sha256()) {
        throw Error(Exit::kBadInput, scores->label(), "are not the scores of " + dataset.label());
      }
      found.source = *scores;
      found.column = scores_column(*scores, what);
      found.value = measure_value(io::open_artefact(*scores), found.column, found.column.substr(7), dataset.count());
    }
  }
  return found;
}

ValueWeight ValueWeight::parse(const std::string& text) {
  ValueWeight weight;
  if (text == "none") return weight;
  if (!text.starts_with("exp:")) throw Error(Exit::kUsage, "--value-weight", "'" + text + "' is not none or exp:TAU", "for example exp:1");
  weight.tau_ = parse_double(text.substr(4), "--value-weight");
  if (!(weight.tau_ > 0)) throw Error(Exit::kUsage, "--value-weight", "TAU must be above 0");
  return weight;
}

void ValueWeight::measure(const TrainingCondition& condition, int64_t rows) {
  if (is_none()) return;
  double sum = 0;
  max_ = (condition.value->max - condition.value->mean) / condition.value->std;
  each_part(io::open_artefact(condition.source, /*verify=*/false), condition.column, rows, [&](const Tensor& part) {
    sum += at::exp((condition.value->standardise(part).to(at::kDouble) - max_) / tau_).sum().item<double>();
  });
  mean_ = sum / static_cast<double>(rows);
}

Tensor ValueWeight::operator()(const Tensor& standardised) const {
  if (is_none()) return at::ones_like(standardised, at::kFloat);
  return (at::exp((standardised.to(at::kDouble) - max_) / tau_) / mean_).to(at::kFloat);
}

Targets::Targets(const std::string& text, const nn::Model& model, int64_t items_a_target) : items_a_target_(std::max<int64_t>(1, items_a_target)) {
  if (text.empty()) return;
  const auto condition = value_condition(model.manifest);
  if (!model.denoiser->takes_value() || !condition) {
    throw Error(Exit::kUsage, "--target", "the model is not conditioned on a value", "pretrain --condition makes one that is");
  }
  condition_ = *condition;
  for (const std::string& number : split(text, ',')) {
    values_.push_back(parse_double(trim(number), "--target"));
    if (!std::isfinite(static_cast<float>(values_.back()))) throw Error(Exit::kUsage, "--target", number + " is beyond what single precision holds");
  }
}

Tensor Targets::raw(const std::vector<int64_t>& items) const {
  std::vector<float> dealt;
  for (const int64_t item : items) {
    dealt.push_back(static_cast<float>(values_[static_cast<size_t>(item / items_a_target_) % values_.size()]));
  }
  return at::tensor(dealt, at::kFloat);
}

Tensor Targets::standardised(const std::vector<int64_t>& items) const { return condition_.standardise(raw(items)); }

}  // namespace plumb::diffusion
