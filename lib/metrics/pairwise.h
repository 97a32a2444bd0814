// Mean and minimum pairwise distance of the samples: 1 - cosine and Euclidean.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <utility>

#include "io/manifest.h"
#include "metrics/bootstrap.h"
#include "metrics/settings.h"

#include <ATen/core/Tensor.h>

namespace plumb::metrics {

using at::Tensor;

struct PairwiseDistance {
  double mean = 0;                          ///< over all pairs i < j
  double standard_error = 0;                ///< of the mean, delete-one jackknife over the items
  bool has_error = false;                   ///< 2 items have one distance, which does not say how it varies: the error is 0
  double minimum = 0;                       ///< small: near-duplicates among the samples
  std::pair<int64_t, int64_t> nearest{0, 0};  ///< a pair it belongs to, lower row first
  std::optional<Interval> interval() const { return has_error ? std::optional(normal_interval(mean, standard_error)) : std::nullopt; }
};

struct PairwiseResult {
  PairwiseDistance cosine;     ///< 1 - cosine, in [0,2]
  PairwiseDistance euclidean;  ///< feature units
  int64_t n = 0, d = 0;
  io::Json to_json() const;
};

/// 1 - cosine over all pairs: mean and standard error alone (minimum and nearest stay 0). features [N,d], N >= 2 (else
/// Error(kBadNumbers)). Time and memory O(N d).
PairwiseDistance mean_cosine_distance(const Tensor& features);

/// features [N,d], N >= 2 (else Error(kBadNumbers)). Minima are float64 differences, 0 for equal items. Memory O(N) beside the
/// features. The mean cosine needs no pairs; the Euclidean mean and both minima come from one product per block.
PairwiseResult pairwise(const Tensor& features);

}  // namespace plumb::metrics
