// SPDX-License-Identifier: Apache-2.0
#include "metrics/pairwise.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "core/error.h"
#include "metrics/bootstrap.h"
#include "metrics/gram.h"
#include "metrics/registry.h"
#include "metrics/nearest.h"

namespace plumb::metrics {
namespace {

/// Mean and its standard error from each item's summed distance to the others.
PairwiseDistance from_row_sums(const Tensor& sums) {
  const double n = static_cast<double>(sums.size(0)), total = sums.sum().item<double>();
  PairwiseDistance out;
  out.mean = check_finite(total / (n * (n - 1)), "pairwise");
  if (n > 2) out.standard_error = std::sqrt(jackknife_variance((total - 2 * sums) / ((n - 1) * (n - 2))));
  return out;
}

void add_minimum(const Tensor& x, PairwiseDistance& out) {
  const Neighbours found = nearest_within(x, 1);
  const int64_t row = found.distance.select(1, 0).argmin().item<int64_t>();
  const int64_t other = found.index[row][0].item<int64_t>();
  out.minimum = found.distance[row][0].item<double>();
  out.nearest = std::minmax({row, other});
}

}  // namespace

PairwiseResult pairwise(const Tensor& features) {
  check_features(features, "pairwise");
  PairwiseResult out;
  out.n = features.size(0);
  out.d = features.size(1);
  if (out.n < 2) throw Error(Exit::kBadNumbers, "pairwise", "1 item has no pairs", "give at least 2");
  const Tensor unit = unit_rows(features);
  // Σ_{j≠i} (1 - u_i·u_j) = N - 1 - u_i·Σu + |u_i|²: no pairs needed.
  const Tensor cosines = unit.mv(unit.sum(0)) - unit.square().sum(1);
  out.cosine = from_row_sums(static_cast<double>(out.n - 1) - cosines);
  add_minimum(unit, out.cosine);
  out.cosine.minimum *= out.cosine.minimum / 2;  // 1 - u·v = |u - v|²/2

  Tensor sums = at::zeros({out.n}, at::kDouble);
  DistanceBlocks(features, features).each([&](int64_t i, int64_t j, const Tensor& squared) {
    Tensor distance = squared.sqrt();
    if (i == j) distance.fill_diagonal_(0);
    sums.slice(0, i, i + squared.size(0)).add_(distance.sum(1, false, at::kDouble));
    if (j > i) sums.slice(0, j, j + squared.size(1)).add_(distance.sum(0, false, at::kDouble));
  });
  out.euclidean = from_row_sums(sums);
  add_minimum(features, out.euclidean);
  return out;
}

io::Json PairwiseResult::to_json() const {
  const auto part = [](const PairwiseDistance& p) {
    return io::Json{{"mean", p.mean}, {"stderr", p.standard_error}, {"min", p.minimum},
                    {"nearest", {p.nearest.first, p.nearest.second}}};
  };
  return {{"value", cosine.mean}, {"stderr", cosine.standard_error}, {"cosine", part(cosine)},
          {"euclidean", part(euclidean)}, {"n", n}, {"d", d}};
}

io::Json pairwise_metric(const MetricInput& in, const Settings& settings) {
  io::Json out = pairwise(in.samples.features).to_json();
  if (!settings.pairwise.per_class || !in.samples.label.defined()) return out;
  io::Json classes = io::Json::object();
  double sum = 0;
  for (const auto& [label, rows] : rows_by_class(in.samples.label)) {
    if (rows.size(0) < 2) continue;
    const PairwiseResult of_class = pairwise(in.samples.features.index_select(0, rows));
    sum += of_class.cosine.mean;
    classes[std::to_string(label)] = of_class.to_json();
  }
  if (!classes.empty()) {
    out["class_mean"] = sum / static_cast<double>(classes.size());
    out["per_class"] = std::move(classes);
  }
  return out;
}

}  // namespace plumb::metrics
