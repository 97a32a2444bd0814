// Inception score: exp E_x KL(p(y|x) || p(y)), p(y) the mean over the items.
// Source: Salimans et al. 2016; on bias and splits: Barratt & Sharma 2018.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include "io/manifest.h"
#include "metrics/settings.h"

#include <ATen/core/Tensor.h>

namespace plumb::metrics {

using at::Tensor;

struct InceptionScoreResult {
  double value = 0;        ///< over all items at once, in [1, classes]
  double standard_error = 0;  ///< of value, delete-one jackknife over the items; 0 for 1 item
  double split_mean = 0;   ///< mean over the splits: what most papers print
  double split_std = 0;    ///< population standard deviation over the splits
  int64_t n = 0, classes = 0, splits = 0;
  io::Json to_json() const;
};

/// probabilities [N,K], rows sum to 1 (within 1e-3, else Error(kBadNumbers)). The splits are consecutive and differ in size
/// by at most one. Throws Error(kBadNumbers) if there are fewer items than splits.
InceptionScoreResult inception_score(const Tensor& probabilities, const InceptionScoreOptions& options = {});

}  // namespace plumb::metrics
