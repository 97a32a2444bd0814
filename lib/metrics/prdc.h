// Precision, recall, density and coverage: how the samples and the reference lie in each other's k-nearest-neighbour balls.
// Sources: Kynkäänniemi et al. 2019 (precision, recall); Naeem et al. 2020 (density, coverage).
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "io/manifest.h"
#include "metrics/bootstrap.h"
#include "metrics/settings.h"

#include <ATen/core/Tensor.h>

namespace plumb::metrics {

using at::Tensor;

struct PrdcResult {
  double precision = 0;  ///< share of samples inside some reference item's ball: fidelity
  double recall = 0;     ///< share of reference items inside some sample's ball: diversity
  double density = 0;    ///< mean number of reference balls around a sample, over k; may exceed 1
  double coverage = 0;   ///< share of reference items whose ball holds a sample
  int64_t n = 0, n_reference = 0, precision_k = 0, density_k = 0;
  double density_deviation = 0;  ///< standard deviation of that number over the samples
  /// For given balls: binomial over the samples (precision) or over the reference items (recall, coverage), the mean's of the
  /// samples (density). That the balls were others with other items is not in it; see plumb-metrics(7).
  Interval precision_interval() const;
  Interval recall_interval() const;
  Interval density_interval() const;
  Interval coverage_interval() const;
  io::Json to_json() const;
};

/// The ball of an item reaches to its k-th nearest other item of the same set, and is open (a distance equal to the radius
/// is outside). Distances near a radius are decided in float64. Memory O(N + M) beside the features. Throws Error(kBadNumbers) unless both
/// sides have more than k items.
PrdcResult prdc(const Tensor& samples, const Tensor& reference, const PrdcOptions& options = {});

}  // namespace plumb::metrics
