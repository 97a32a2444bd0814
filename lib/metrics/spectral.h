// Spectral distance: ( Σ_j (√λ_j(S_a) - √λ_j(S_b))² )^½ over the sorted eigenvalues of the two feature covariances. It is
// the 2-Wasserstein distance of two centred Gaussians that share eigenvectors: how far the spread differs, whatever the
// mean and the directions. Source: the coverage measure of Jena et al. 2025 (arXiv 2409.06493), our reading.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "io/manifest.h"
#include "metrics/moments.h"

namespace plumb::metrics {

struct SpectralResult {
  double value = 0;           ///< in feature units
  double trace_ratio = 0;     ///< Tr S_a / Tr S_b: below 1, the samples spread less than the reference
  int64_t n = 0, n_reference = 0, d = 0;
  io::Json to_json() const;
};

/// Throws Error(kBadInput) if the dimensions differ, Error(kBadNumbers) if the reference has no variance.
SpectralResult spectral_distance(const Gaussian& a, const Gaussian& b);

}  // namespace plumb::metrics
