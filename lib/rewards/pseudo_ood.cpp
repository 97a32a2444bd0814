// SPDX-License-Identifier: Apache-2.0
#include "rewards/pseudo_ood.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"

namespace plumb::rewards {
namespace {

constexpr int64_t kMostRounds = 100, kMostForCentres = 10000;
constexpr size_t kBatch = 1024;
constexpr double kTop = 0.1;

/// |x_i - c_j|^2 [n,k].
Tensor squared_distances(const Tensor& x, const Tensor& centres) {
  return (x.square().sum(1, true) + centres.square().sum(1).unsqueeze(0) - 2 * x.matmul(centres.t())).clamp_min(0);
}

/// k-means++: each next centre is an item drawn with probability proportional to its squared distance to the nearest one so far.
Tensor first_centres(const Tensor& x, int64_t k, uint64_t seed) {
  Philox random(seed, Stream::kCluster);
  const int64_t n = x.size(0);
  std::vector<Tensor> centres{x[static_cast<int64_t>(random.below(static_cast<uint64_t>(n)))]};
  while (static_cast<int64_t>(centres.size()) < k) {
    const Tensor nearest = squared_distances(x, at::stack(centres)).amin(1).cumsum(0).contiguous();
    const double* sum = nearest.const_data_ptr<double>();
    const double at = random.uniform() * sum[n - 1];
    const int64_t drawn = std::min<int64_t>(std::upper_bound(sum, sum + n, at) - sum, n - 1);
    centres.push_back(x[drawn]);
  }
  return at::stack(centres);
}

Tensor flat_rows(const ItemRows& items, const nn::Codec& codec, const std::vector<int64_t>& rows) {
  return codec.encode(items.take(rows)).flatten(1).to(at::kDouble);
}

/// The cluster with the highest mean target among those of at most half of the items.
int64_t best_cluster(const std::vector<int64_t>& of, const std::vector<double>& target, int64_t clusters) {
  std::vector<double> sum(static_cast<size_t>(clusters)), count(static_cast<size_t>(clusters));
  for (size_t i = 0; i < of.size(); ++i) {
    sum[static_cast<size_t>(of[i])] += target[i];
    count[static_cast<size_t>(of[i])] += 1;
  }
  int64_t best = -1;
  double highest = -std::numeric_limits<double>::infinity();
  for (size_t k = 0; k < sum.size(); ++k) {
    if (count[k] == 0 || count[k] > static_cast<double>(of.size()) / 2 || sum[k] / count[k] <= highest) continue;
    best = static_cast<int64_t>(k);
    highest = sum[k] / count[k];
  }
  return best;
}

}  // namespace

Tensor nearest_centre(const Tensor& x, const Tensor& centres) { return squared_distances(x, centres).argmin(1); }

Tensor kmeans(const Tensor& x, int64_t k, uint64_t seed) {
  if (x.size(0) < k) throw Error(Exit::kBadInput, "--clusters", cat(k, " clusters of ", x.size(0), " items are not possible"), "ask for fewer");
  Tensor centres = first_centres(x, k, seed), before;
  for (int64_t round = 0; round < kMostRounds; ++round) {
    const Tensor nearest = nearest_centre(x, centres);
    if (before.defined() && nearest.equal(before)) break;
    before = nearest;
    for (int64_t j = 0; j < k; ++j) {
      const Tensor members = x.index_select(0, (nearest == j).nonzero().squeeze(1));
      if (members.size(0) > 0) centres[j].copy_(members.mean(0));
    }
  }
  return centres;
}

PseudoOod hold_out_extremes(const ItemRows& items, const nn::Codec& codec, const Tensor& target, const Split& split, int64_t clusters, uint64_t seed) {
  std::vector<int64_t> rows = split.train;
  rows.insert(rows.end(), split.held_out.begin(), split.held_out.end());
  std::sort(rows.begin(), rows.end());
  const size_t n = rows.size(), stride = (n + kMostForCentres - 1) / kMostForCentres;
  std::vector<int64_t> some;
  for (size_t i = 0; i < n; i += stride) some.push_back(rows[i]);
  const Tensor centres = kmeans(flat_rows(items, codec, some), clusters, seed);

  std::vector<int64_t> of;
  std::vector<double> values;
  for (size_t begin = 0; begin < n; begin += kBatch) {
    const auto first = rows.begin() + static_cast<std::ptrdiff_t>(begin), last = rows.begin() + static_cast<std::ptrdiff_t>(std::min(n, begin + kBatch));
    const Tensor nearest = nearest_centre(flat_rows(items, codec, {first, last}), centres);
    for (int64_t i = 0; i < nearest.size(0); ++i) of.push_back(nearest[i].item<int64_t>());
  }
  for (const int64_t row : rows) values.push_back(target[row].item<double>());
  const int64_t cluster = best_cluster(of, values, clusters);
  if (cluster < 0) throw Error(Exit::kBadInput, "--choose-scale", "one cluster holds nearly all items", "ask for more --clusters");

  PseudoOod result;
  std::vector<std::pair<double, double>> height;   // equal targets in an order that is drawn
  for (size_t i = 0; i < n; ++i) height.emplace_back(values[i], Philox(seed, Stream::kCluster, static_cast<uint64_t>(rows[i]), 1).uniform());
  std::vector<std::pair<double, double>> sorted = height;
  std::sort(sorted.begin(), sorted.end());
  const auto top = std::max<size_t>(1, static_cast<size_t>(std::llround(kTop * static_cast<double>(n))));
  result.threshold = sorted[n - top].first;
  for (size_t i = 0; i < n; ++i) {
    const bool high = height[i] >= sorted[n - top], far = of[i] == cluster;
    result.top += high;
    result.cluster += far;
    if (high || far) result.held.push_back(rows[i]);
  }
  const auto left = [&](const std::vector<int64_t>& side) {
    std::vector<int64_t> kept;
    for (const int64_t row : side) {
      if (!std::binary_search(result.held.begin(), result.held.end(), row)) kept.push_back(row);
    }
    return kept;
  };
  result.rest = {left(split.train), left(split.held_out)};
  if (result.rest.held_out.size() < 2) result.rest.held_out.clear();   // too few to stop early by
  if (result.rest.train.size() < 2) throw Error(Exit::kBadInput, "--choose-scale", "leaves nothing to train on", "use more labels");
  return result;
}

double smallest_scale(const Tensor& mean, const Tensor& g, const Tensor& target, double coverage) {
  const Tensor error = (target - mean).abs();
  const Tensor ratio = at::where(error > 0, error / g, at::zeros_like(error));   // error / 0 is infinite
  const Tensor sorted = std::get<0>(ratio.sort());
  const auto n = static_cast<double>(sorted.size(0));
  const auto needed = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(coverage * n - 1e-9)));
  return sorted[needed - 1].item<double>();
}

}  // namespace plumb::rewards
