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
  std::optional<Interval> interval;  ///< over the items
  std::optional<double> approximation;  ///< how far random frequencies may have moved the value: standard error and bias
};

struct VendiResult {
  std::string kernel;      ///< "cosine" or "rbf"
  std::string side;        ///< whose eigenvalues were taken: "features" [d,d], "items" [N,N] or "frequencies" [2r,2r]
  double bandwidth = 0;    ///< sigma of exp(-|x-y|²/(2 sigma²)); rbf only
  int64_t n = 0, d = 0;
  int64_t frequencies = 0; ///< r; 0: the kernel itself
  std::string interval;    ///< how the intervals were made: "bootstrap", "infinitesimal jackknife", or "": there are none
  int64_t bootstrap = 0;   ///< resamples; 0 unless by bootstrap
  std::vector<VendiScore> scores;
  io::Json to_json() const;
};

/// Orders as numbers: > 0, or infinity for "inf". Throws Error(kUsage, "--vendi.order", ...).
double parse_order(const std::string& order);

/// exp of the Rényi entropy of eigenvalues [m] that sum to 1. Those below rounding (m · epsilon · largest) count as 0;
/// without that, orders below 1 would count noise.
double vendi_of_spectrum(const Tensor& eigenvalues, double order);

/// What exp of the Rényi entropy changes by as each eigenvalue grows: dF/dλ [m]; 0 for those that count as 0.
/// Order 1: -F log λ; q: F q λ^(q-1) / ((1-q) Σλ^q); inf: -1/λ² for the largest, else 0; up to a constant.
Tensor vendi_gradient(const Tensor& eigenvalues, double order);

/// features [N,d], N >= 2. Memory O(N + d²) beside the features, but for kernels on the side of the items.
/// - cosine: the smaller of the two equal spectra, UᵀU or UUᵀ. Float64, but for N d² > 2^33 and no order below 1: float32 block
///   products added in float64.
/// - rbf: the kernel [N,N] of up to 4096 items. Beyond, 2r features [cos ω_j·x, sin ω_j·x]/√r, ω ~ N(0, I/sigma²), whose products
///   are the kernel in the mean; then as cosine. Scores that still grow with r (those of small orders) are left out. Source: Rahimi &
///   Recht 2007; for this score, Ospanov et al. 2024 (FKEA). With options.frequencies 0 the kernel itself, up to 20000 items (else
///   Error(kUsage)).
/// sigma is options.bandwidth, or the median pairwise distance (of 4096 items drawn by the seed, if there are more); sigma 0 (equal
/// items) is the limit k = [x = y].
/// Intervals: bootstrap; where a resample costs much (about a second), unless options.bootstrap_chosen, the infinitesimal jackknife
/// from one set of eigenvectors: item i moves λ_j by (u_i·v_j)² - λ_j. sigma and the frequencies are held fixed.
VendiResult vendi(const Tensor& features, const std::string& kernel, const VendiOptions& options = {});

}  // namespace plumb::metrics
