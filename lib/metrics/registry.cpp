// SPDX-License-Identifier: Apache-2.0
#include "metrics/registry.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "core/log.h"
#include "core/text.h"
#include "metrics/bootstrap.h"
#include "metrics/names.h"

namespace plumb::metrics {

#define PLUMB_METRIC(identifier, name, summary) io::Json identifier##_metric(const MetricInput&, const Settings&);
#include "metrics/metrics.def"
#undef PLUMB_METRIC

const std::vector<MetricRow>& metric_rows() {
  static const std::vector<MetricRow> rows{
#define PLUMB_METRIC(identifier, name, summary) {name, summary, &identifier##_metric},
#include "metrics/metrics.def"
#undef PLUMB_METRIC
  };
  return rows;
}

const Features& MetricInput::reference_features(const std::string& metric) const {
  if (reference) return *reference;
  if (statistics) {
    throw NotApplicable(Exit::kUsage, metric, "the reference is a mean and covariance only, this needs its items",
                        "give a dataset, samples or features artefact");
  }
  throw NotApplicable(Exit::kUsage, metric, "needs a reference", "give --reference FILE");
}

namespace {

/// nlohmann would print what is not finite as null.
void check_numbers(const io::Json& json, const std::string& name) {
  if (json.is_number_float()) check_finite(json.get<double>(), name);
  if (!json.is_structured()) return;
  for (const auto& [key, value] : json.items()) check_numbers(value, name + "." + key);
}

}  // namespace

io::Json evaluate_metrics(const std::vector<std::string>& names, bool required, const MetricInput& input,
                          const Settings& settings) {
  io::Json out = io::Json::object();
  for (const std::string& name : names) {
    const auto& rows = metric_rows();
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const MetricRow& r) { return r.name == name; });
    if (row == rows.end()) {
      const std::string near = nearest(name, metric_names());
      throw Error(Exit::kUsage, name, "no such metric", near.empty() ? join(metric_names(), ", ") : "did you mean " + near + "?");
    }
    try {
      out[name] = row->evaluate(input, settings);
      check_numbers(out[name], name);
    } catch (const NotApplicable& e) {
      if (required) throw;
      log::info("left out: ", e.what());
    }
  }
  if (out.empty()) throw Error(Exit::kUsage, "metrics", "none of them can be computed here", "name one with --metric to see why");
  return out;
}

std::vector<std::pair<int64_t, Tensor>> rows_by_class(const Tensor& label) {
  std::vector<std::pair<int64_t, Tensor>> out;
  if (!label.defined()) return out;
  const Tensor classes = std::get<0>(at::_unique(label.to(at::kLong), true));
  for (int64_t i = 0; i < classes.size(0); ++i) {
    const int64_t c = classes[i].item<int64_t>();
    out.emplace_back(c, at::nonzero(label == c).squeeze(1));
  }
  return out;
}

void add_per_class(io::Json& out, const Features& samples, const std::function<io::Json(const Tensor&)>& metric) {
  io::Json classes = io::Json::object();
  double sum = 0, variance = 0;
  bool with_errors = true;
  for (const auto& [label, rows] : rows_by_class(samples.label)) {
    if (rows.size(0) < 2) continue;
    io::Json entry = metric(samples.features.index_select(0, rows));
    sum += entry.at("value").get<double>();
    with_errors = with_errors && entry.contains("stderr");
    if (with_errors) variance += std::pow(entry["stderr"].get<double>(), 2);
    classes[std::to_string(label)] = std::move(entry);
  }
  if (classes.empty()) return;
  const double count = static_cast<double>(classes.size());
  out["class_mean"] = sum / count;
  if (with_errors) add_interval(out, "class_mean", normal_interval(sum / count, std::sqrt(variance) / count));
  out["per_class"] = std::move(classes);
}

}  // namespace plumb::metrics
