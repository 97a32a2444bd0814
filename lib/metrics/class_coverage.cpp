// SPDX-License-Identifier: Apache-2.0
#include "metrics/class_coverage.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "metrics/bootstrap.h"
#include "metrics/gram.h"
#include "metrics/pairwise.h"
#include "metrics/registry.h"

namespace plumb::metrics {
namespace {

const char* const kOption = "--class-coverage.classes";

/// -sum q ln q / ln(classes) of the shares that counts make; 0 for one class or no items.
double normalised_entropy(const std::vector<double>& counts) {
  double total = 0, sum = 0;
  for (const double count : counts) total += count;
  if (counts.size() < 2 || total <= 0) return 0;
  for (const double count : counts) {
    if (count > 0) sum -= count / total * std::log(count / total);
  }
  return sum / std::log(static_cast<double>(counts.size()));
}

/// Standard error of the normalised entropy: all items of a class have the same delete-one value.
double entropy_error(const std::vector<double>& counts, int64_t inside) {
  if (inside < 3) return 0;
  std::vector<double> without;
  for (size_t c = 0; c < counts.size(); ++c) {
    if (counts[c] <= 0) continue;
    std::vector<double> fewer = counts;
    --fewer[c];
    without.insert(without.end(), static_cast<size_t>(counts[c]), normalised_entropy(fewer));
  }
  return std::sqrt(jackknife_variance(at::tensor(without, at::kDouble)));
}

}  // namespace

std::vector<int64_t> find_classes(const std::vector<std::string>& wanted, const std::vector<std::string>& names, int64_t count) {
  std::vector<std::string> apart;
  for (const std::string& one : wanted) {
    const bool whole = std::find(names.begin(), names.end(), one) != names.end();
    for (const std::string& part : whole ? std::vector<std::string>{one} : split(one, ',')) apart.push_back(whole ? part : trim(part));
  }
  std::vector<int64_t> found;
  for (const std::string& name : apart) {
    int64_t index = -1;
    if (const auto named = std::find(names.begin(), names.end(), name); named != names.end()) {
      index = named - names.begin();
    } else {
      const auto [end, status] = std::from_chars(name.data(), name.data() + name.size(), index);
      if (status != std::errc() || end != name.data() + name.size() || index < 0 || index >= count) index = -1;
    }
    if (index < 0) {
      const std::string near = nearest(name, names), all = names.empty() ? "" : ", or: " + join(names, ", ");
      throw Error(Exit::kUsage, kOption, "the classifier has no class '" + name + "'",
                  near.empty() ? cat("0..", count - 1, all) : "did you mean '" + near + "'?");
    }
    if (std::find(found.begin(), found.end(), index) != found.end()) throw Error(Exit::kUsage, kOption, "names class '" + name + "' twice");
    found.push_back(index);
  }
  for (int64_t index = 0; wanted.empty() && index < count; ++index) found.push_back(index);
  std::sort(found.begin(), found.end());
  return found;
}

ClassCoverageResult class_coverage(const Tensor& probabilities, const Tensor& features, const std::vector<int64_t>& wanted) {
  check_features(probabilities, "class-coverage");
  check_features(features, "class-coverage");
  if (probabilities.size(0) != features.size(0)) {
    throw Error(Exit::kBadInput, "class-coverage", cat("has ", probabilities.size(0), " predictions for ", features.size(0), " items"));
  }
  const Tensor predicted = probabilities.argmax(1);
  ClassCoverageResult out;
  out.n = features.size(0);
  std::vector<double> counts;
  double paired = 0, variance = 0;   // items in classes that have pairs
  bool with_errors = true;
  for (const int64_t index : wanted) {
    const Tensor rows = at::nonzero(predicted == index).squeeze(1);
    ClassCoverageResult::Class one;
    one.index = index;
    one.count = rows.size(0);
    if (one.count >= 2) {
      const PairwiseDistance distance = mean_cosine_distance(features.index_select(0, rows));
      const auto weight = static_cast<double>(one.count);
      one.distance = distance.mean;
      out.distance += weight * distance.mean;
      variance += std::pow(weight * distance.standard_error, 2);
      with_errors = with_errors && distance.has_error;
      paired += weight;
    }
    out.inside += one.count;
    counts.push_back(static_cast<double>(one.count));
    out.classes.push_back(one);
  }
  out.has_distance = paired > 0;
  if (out.has_distance) {
    out.distance /= paired;
    if (with_errors) out.distance_error = std::sqrt(variance) / paired;
  }
  if (out.inside == 0) return out;
  out.entropy = normalised_entropy(counts);
  out.entropy_error = entropy_error(counts, out.inside);
  out.min_share = 1;
  for (ClassCoverageResult::Class& one : out.classes) {
    one.share = static_cast<double>(one.count) / static_cast<double>(out.inside);
    out.min_share = std::min(out.min_share, one.share);
  }
  return out;
}

io::Json ClassCoverageResult::to_json(const std::vector<std::string>& names) const {
  io::Json out{{"value", success()}};
  add_interval(out, share_interval(success(), n));
  const auto or_null = [](bool there, double value) { return there ? io::Json(value) : io::Json(nullptr); };
  out.update({{"normalised_entropy", or_null(inside > 0, entropy)}, {"min_share", or_null(inside > 0, min_share)},
              {"class_distance", or_null(has_distance, distance)}, {"classes", io::Json::array()}, {"n", n}, {"n_inside", inside}});
  for (const Class& one : classes) {
    io::Json entry{{"class", one.index}};
    if (static_cast<size_t>(one.index) < names.size()) entry["name"] = names[static_cast<size_t>(one.index)];
    entry.update({{"count", one.count}, {"share", or_null(inside > 0, one.share)}, {"distance", or_null(one.count >= 2, one.distance)}});
    out["classes"].push_back(std::move(entry));
  }
  if (inside > 2) {
    Interval range = normal_interval(entropy, entropy_error);
    range.low = std::max(0.0, range.low);
    range.high = std::min(1.0, range.high);
    add_interval(out, "normalised_entropy", range);
  }
  if (distance_error) add_interval(out, "class_distance", normal_interval(distance, *distance_error));
  return out;
}

io::Json class_coverage_metric(const MetricInput& in, const Settings& settings) {
  const Tensor& probabilities = in.predictions ? in.predictions->probabilities : in.samples.probabilities;
  if (!probabilities.defined()) {
    throw NotApplicable(Exit::kUsage, "class-coverage", "the feature network gives no class probabilities",
                        "use --features classifier:FILE.h5, or diversity --class-coverage.classifier FILE.h5");
  }
  const std::vector<std::string> names = in.predictions ? in.predictions->names : std::vector<std::string>{};
  const std::vector<int64_t> wanted = find_classes(settings.class_coverage.classes, names, probabilities.size(1));
  io::Json out = class_coverage(probabilities, in.samples.features, wanted).to_json(names);
  if (in.predictions && !in.predictions->classifier.empty()) out["classifier"] = in.predictions->classifier;
  if (in.predictions && !in.predictions->digest.empty()) out["sha256"] = in.predictions->digest;
  return out;
}

}  // namespace plumb::metrics
