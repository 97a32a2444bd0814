// Memorisation: how near each sample is to its nearest training item. A sample is a near-duplicate if its nearest training
// item is much nearer than the second nearest: |x - t1| < ratio |x - t2|. Source of the rule and of 1/3: Yoon et al. 2023,
// "Diffusion probabilistic models generalize when they fail to memorize".   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "io/manifest.h"
#include "metrics/settings.h"

#include <ATen/core/Tensor.h>

namespace plumb::metrics {

using at::Tensor;

struct MemorisationResult {
  double near_duplicates = 0;        ///< share of samples; a distance of exactly 0 counts, whatever the second nearest
  double exact_duplicates = 0;       ///< share of samples with distance 0
  double mean = 0;                   ///< of the nearest distances, in feature units
  double deviation = 0;              ///< their standard deviation
  std::vector<std::pair<double, double>> quantiles;  ///< level, nearest distance
  struct Pair {
    int64_t sample = 0, reference = 0;  ///< rows in the two artefacts
    double distance = 0, ratio = 0;     ///< to the nearest; that over the distance to the second nearest
  };
  std::vector<Pair> nearest;         ///< the closest pairs, nearest first
  double ratio = 0;
  int64_t n = 0, n_reference = 0;
  io::Json to_json() const;
};

/// samples [N,d], training [M,d], M >= 2 (else Error(kBadNumbers)).
MemorisationResult memorisation(const Tensor& samples, const Tensor& training, const MemorisationOptions& options = {});

}  // namespace plumb::metrics
