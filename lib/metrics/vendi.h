// Vendi score: exp of the Rényi entropy of order q of the eigenvalues of K/N, for a kernel with k(x,x) = 1. It counts
// effectively different items: 1 if all are equal, N if all are dissimilar. Sources: Friedman & Dieng 2023 (q = 1);
// Pasarkar & Dieng 2024 (other orders: small q weighs rare modes, large q common ones).   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "io/manifest.h"
#include "metrics/bootstrap.h"
#include "metrics/settings.h"

namespace plumb::metrics {

struct VendiScore {
  std::string order;                 ///< as given: "0.5", "inf"
  double value = 0;
  std::optional<Interval> interval;  ///< bootstrap over the items
};

struct VendiResult {
  std::string kernel;      ///< "cosine" or "rbf"
  std::string side;        ///< whose eigenvalues were taken: "features" [d,d] or "items" [N,N]
  double bandwidth = 0;    ///< sigma of exp(-|x-y|²/(2 sigma²)); rbf only
  int64_t n = 0, d = 0, bootstrap = 0;
  std::vector<VendiScore> scores;
  io::Json to_json() const;
};

/// Orders as numbers: > 0, or infinity for "inf". Throws Error(kUsage, "--vendi.order", ...).
double parse_order(const std::string& order);

/// exp of the Rényi entropy of eigenvalues [m] that sum to 1. Those below rounding (m · epsilon · largest) count as 0;
/// without that, orders below 1 would count noise.
double vendi_of_spectrum(const Tensor& eigenvalues, double order);

/// features [N,d], N >= 2. cosine: the smaller of the two equal spectra, UᵀU or UUᵀ. rbf: [N,N]; sigma is options.bandwidth,
/// or the median pairwise distance; sigma 0 (equal items) is the limit k = [x = y]. Float64, but for the cosine kernel with
/// N d² > 2^33 and no order below 1: float32 block products added in float64.
VendiResult vendi(const Tensor& features, const std::string& kernel, const VendiOptions& options = {});

}  // namespace plumb::metrics
