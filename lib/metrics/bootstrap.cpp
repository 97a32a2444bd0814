// SPDX-License-Identifier: Apache-2.0
#include "metrics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"

namespace plumb::metrics {
namespace {

constexpr double kZ = 1.959963984540054;  // 97.5 % point of the standard normal

}  // namespace

Tensor bootstrap_counts(int64_t n, uint64_t seed, int64_t replicate) {
  Tensor counts = at::zeros({n}, at::kLong);
  int64_t* count = counts.data_ptr<int64_t>();
  Philox random(seed, Stream::kBootstrap, static_cast<uint64_t>(replicate));
  for (int64_t i = 0; i < n; ++i) ++count[random.below(static_cast<uint64_t>(n))];
  return counts;
}

Interval bootstrap_interval(double estimate, const std::vector<double>& replicates) {
  if (replicates.size() < 2) {
    throw Error(Exit::kUsage, "bootstrap", cat(replicates.size(), " resamples give no interval"), "use at least 2, or 0 for none");
  }
  return normal_interval(estimate, at::tensor(replicates, at::kDouble).std(0, true).item<double>());
}

Interval normal_interval(double estimate, double standard_error) {
  return {standard_error, estimate - kZ * standard_error, estimate + kZ * standard_error};
}

void add_interval(io::Json& json, const Interval& interval) {
  json["stderr"] = interval.standard_error;
  json["low"] = interval.low;
  json["high"] = interval.high;
}

void add_interval(io::Json& json, const std::string& name, const Interval& interval) {
  add_interval(json["intervals"][name], interval);
}

Interval share_interval(double share, int64_t n) {
  const double count = static_cast<double>(n), z2 = kZ * kZ;
  const double centre = (share + z2 / (2 * count)) / (1 + z2 / count);
  const double half = kZ / (1 + z2 / count) * std::sqrt(share * (1 - share) / count + z2 / (4 * count * count));
  // centre and half are equal at 0, and add to 1 at 1, but for their rounding
  return {std::sqrt(share * (1 - share) / count), share == 0 ? 0 : std::max(0.0, centre - half), share == 1 ? 1 : std::min(1.0, centre + half)};
}

double jackknife_variance(const Tensor& without) {
  const double n = static_cast<double>(without.size(0));
  return (n - 1) / n * (without - without.mean()).square().sum().item<double>();
}

double influence_variance(const Tensor& influence, int64_t n) {
  return influence.size(0) < 2 ? 0 : influence.to(at::kDouble).var(0, true).item<double>() / static_cast<double>(n);
}

Tensor influence_items(int64_t n, uint64_t seed) {
  constexpr int64_t kInfluenceItems = 10000;
  return draw_rows(n, kInfluenceItems, seed, subset_of::kInfluence);
}

Tensor draw_subsets(int64_t n, int64_t count, int64_t size, uint64_t seed, uint32_t purpose) {
  Tensor out = at::empty({count, size}, at::kLong);
  std::vector<int64_t> order(static_cast<size_t>(n));
  for (int64_t s = 0; s < count; ++s) {
    std::iota(order.begin(), order.end(), 0);
    Philox random(seed, Stream::kSubset, static_cast<uint64_t>(s), purpose);
    for (int64_t i = 0; i < size; ++i) {  // the first `size` steps of a Fisher-Yates shuffle
      const auto j = static_cast<size_t>(i) + random.below(static_cast<uint64_t>(n - i));
      std::swap(order[static_cast<size_t>(i)], order[j]);
    }
    std::copy_n(order.begin(), size, out[s].data_ptr<int64_t>());
  }
  return out;
}

Tensor draw_rows(int64_t n, int64_t count, uint64_t seed, uint32_t purpose) {
  if (count >= n) return at::arange(n, at::kLong);
  return std::get<0>(at::sort(draw_subsets(n, 1, count, seed, purpose)[0]));
}

}  // namespace plumb::metrics
