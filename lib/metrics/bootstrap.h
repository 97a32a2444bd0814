// Standard errors and intervals of statistics that have no formula for them.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace plumb::metrics {

using at::Tensor;

/// How often each of n items is drawn when n are drawn with replacement: [n] int64, sum n. A function of (seed, replicate)
/// alone (Stream::kBootstrap).
Tensor bootstrap_counts(int64_t n, uint64_t seed, int64_t replicate);

struct Interval {
  double standard_error = 0;
  double low = 0, high = 0;   ///< estimate -+ 1.96 standard errors
};
/// From the values of the replicates (at least 2). Normal, not percentile: a resample repeats items, which shifts a
/// diversity measure down but leaves its spread right.
Interval bootstrap_interval(double estimate, const std::vector<double>& replicates);

/// Delete-one jackknife variance, (N-1)/N Σ (θ_-i - mean)², from the N delete-one values.
double jackknife_variance(const Tensor& without);

}  // namespace plumb::metrics
