// Standard errors and 95 % intervals of the metrics: bootstrap, jackknife, infinitesimal jackknife, shares.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <vector>

#include "io/manifest.h"

#include <ATen/core/Tensor.h>

namespace plumb::metrics {

using at::Tensor;

/// How often each of n items is drawn when n are drawn with replacement: [n] int64, sum n. A function of (seed, replicate)
/// alone (Stream::kBootstrap).
Tensor bootstrap_counts(int64_t n, uint64_t seed, int64_t replicate);

struct Interval {
  double standard_error = 0;
  double low = 0, high = 0;   ///< estimate -+ 1.96 standard errors, but for shares
};
/// The normal one.
Interval normal_interval(double estimate, double standard_error);
/// Sets "stderr", "low" and "high".
void add_interval(io::Json& json, const Interval& interval);
/// Sets them in json["intervals"][name], for a figure that is one of several numbers of its object.
void add_interval(io::Json& json, const std::string& name, const Interval& interval);

/// From the values of the replicates (at least 2). Normal, not percentile: a resample repeats items, which shifts a
/// diversity measure down but leaves its spread right.
Interval bootstrap_interval(double estimate, const std::vector<double>& replicates);

/// Of a share of n independent items: the binomial standard error; low and high are the score interval, which stays in [0,1] and
/// has a width where the share is 0 or 1. Source: Wilson 1927.
Interval share_interval(double share, int64_t n);

/// Delete-one jackknife variance, (N-1)/N Σ (θ_-i - mean)², from the N delete-one values.
double jackknife_variance(const Tensor& without);

/// Infinitesimal jackknife variance of a smooth statistic of n items, mean of IF² over n: `influence` [R] is what the statistic
/// changes by, per weight, if the weight of an item grows (a constant added to all changes nothing); R <= n of the items do.
/// Source: Jaeckel 1972; Efron 1982, ch. 6.
double influence_variance(const Tensor& influence, int64_t n);
/// The items whose influences stand for those of all n: all, or 10000 drawn by `seed` (which leaves the error good to about 2 %).
/// Ascending [R] int64.
Tensor influence_items(int64_t n, uint64_t seed);

/// What a random subset is for: the `step` of its draws (Stream::kSubset). Never renumber one.
namespace subset_of {
constexpr uint32_t kSamples = 0, kReference = 1, kInfluence = 2, kMedian = 3, kFrequencies = 4;
constexpr uint32_t kFullSamples = 5, kFullReference = 6, kEditPairs = 7;
}  // namespace subset_of
/// `count` subsets of `size` distinct rows out of n: [count,size] int64. Subset s depends on (seed, purpose, s) alone.
Tensor draw_subsets(int64_t n, int64_t count, int64_t size, uint64_t seed, uint32_t purpose);
/// One such subset, ascending [count]; all n if there are no more.
Tensor draw_rows(int64_t n, int64_t count, uint64_t seed, uint32_t purpose);

}  // namespace plumb::metrics
