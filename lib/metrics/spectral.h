// Spectral distance: ( Σ_j (√λ_j(S_a) - √λ_j(S_b))² )^½ over the sorted eigenvalues of the two feature covariances. It is
// the 2-Wasserstein distance of two centred Gaussians that share eigenvectors: how far the spread differs, whatever the
// mean and the directions. Source: the coverage measure of Jena et al. 2025 (arXiv 2409.06493), our reading.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>

#include "io/manifest.h"
#include "metrics/bootstrap.h"
#include "metrics/moments.h"

namespace plumb::metrics {

struct SpectralResult {
  double value = 0;           ///< in feature units
  double trace_ratio = 0;     ///< Tr S_a / Tr S_b: below 1, the samples spread less than the reference
  int64_t n = 0, n_reference = 0, d = 0;
  std::optional<Interval> interval, trace_ratio_interval;
  io::Json to_json() const;
};

/// Throws Error(kBadInput) if the dimensions differ, Error(kBadNumbers) if the reference has no variance.
SpectralResult spectral_distance(const Gaussian& a, const Gaussian& b);
/// The same with intervals, by the infinitesimal jackknife over the items of both sides (of a alone, if those of b are not known).
/// None where a side has N <= d, where the spectrum is uneven by chance, or 2 items, nor for a distance of 0 or samples that are all the same,
/// where it is no smooth function.
SpectralResult spectral_distance(const Gaussian& a, const Gaussian& b, const FittedItems& a_items, const FittedItems& b_items);

/// What the distance of `own` to `other` changes by as the weight of a row grows, up to a constant [R] float64; both with a
/// covariance. With eigenpairs λ_j, v_j of S_own, sorted beside λ'_j of S_other: Σ_j (1 - √(λ'_j/λ_j)) (v_j·(x - mu))² / (2 distance).
Tensor spectral_influence(const Gaussian& own, const Gaussian& other, double distance, const Tensor& rows);

}  // namespace plumb::metrics
