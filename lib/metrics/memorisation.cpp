// SPDX-License-Identifier: Apache-2.0
#include "metrics/memorisation.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "core/text.h"
#include "metrics/bootstrap.h"
#include "metrics/nearest.h"
#include "metrics/registry.h"

namespace plumb::metrics {

MemorisationResult memorisation(const Tensor& samples, const Tensor& training, const MemorisationOptions& options) {
  const Neighbours found = nearest_between(samples, training, 2);
  const Tensor first = found.distance.select(1, 0).contiguous(), second = found.distance.select(1, 1);
  const Tensor exact = first == 0;
  const Tensor duplicate = (first < options.ratio * second).logical_or(exact);
  MemorisationResult out;
  out.ratio = options.ratio;
  out.n = samples.size(0);
  out.n_reference = training.size(0);
  out.near_duplicates = duplicate.to(at::kDouble).mean().item<double>();
  out.exact_duplicates = exact.to(at::kDouble).mean().item<double>();
  out.mean = first.mean().item<double>();
  out.deviation = out.n > 1 ? first.std(0, true).item<double>() : 0;
  const std::vector<double> levels{0, 0.01, 0.05, 0.25, 0.5, 0.75, 1};
  const Tensor values = at::quantile(first, at::tensor(levels, at::kDouble));
  for (size_t i = 0; i < levels.size(); ++i) out.quantiles.emplace_back(levels[i], values[static_cast<int64_t>(i)].item<double>());
  const Tensor order = at::argsort(first, true, 0, false);
  for (int64_t i = 0; i < std::min(options.list, out.n); ++i) {
    const int64_t s = order[i].item<int64_t>();
    const double d1 = first[s].item<double>(), d2 = second[s].item<double>();
    out.nearest.push_back({s, found.index[s][0].item<int64_t>(), d1, d2 > 0 ? d1 / d2 : 1});
  }
  return out;
}

io::Json MemorisationResult::to_json() const {
  io::Json out{{"value", near_duplicates}};  // the samples are independent of each other, the training set is as it is
  add_interval(out, share_interval(near_duplicates, n));
  out.update({{"near_duplicates", near_duplicates}, {"exact_duplicates", exact_duplicates},
              {"ratio", ratio}, {"mean_distance", mean}, {"quantiles", io::Json::array()}, {"nearest", io::Json::array()},
              {"n", n}, {"n_reference", n_reference}});
  add_interval(out, "exact_duplicates", share_interval(exact_duplicates, n));
  if (n > 1) add_interval(out, "mean_distance", normal_interval(mean, deviation / std::sqrt(static_cast<double>(n))));
  for (const auto& [level, distance] : quantiles) out["quantiles"].push_back({{"level", level}, {"distance", distance}});
  for (const Pair& p : nearest) {
    out["nearest"].push_back({{"sample", p.sample}, {"reference", p.reference}, {"distance", p.distance}, {"ratio", p.ratio}});
  }
  return out;
}

io::Json memorisation_metric(const MetricInput& in, const Settings& settings) {
  return memorisation(in.samples.features, in.reference_features("memorisation").features, settings.memorisation).to_json();
}

}  // namespace plumb::metrics
