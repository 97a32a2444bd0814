// Fréchet distance between Gaussian fits: the squared 2-Wasserstein distance
//   |mu_a - mu_b|² + Tr(S_a + S_b - 2 (S_a S_b)^½).
// Source: Dowson & Landau 1982; as FID on Inception features: Heusel et al. 2017.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>

#include "io/manifest.h"
#include "metrics/bootstrap.h"
#include "metrics/moments.h"
#include "metrics/settings.h"

namespace plumb::metrics {

struct FrechetResult {
  double value = 0;            ///< in squared feature units, >= 0
  int64_t n = 0, n_reference = 0;        ///< 0 = unknown
  int64_t rank = 0, rank_reference = 0;  ///< of the two covariances, as far as the path taken tells
  int64_t d = 0;
  std::string path;            ///< "low-rank", "cholesky" or "eigh"
  std::optional<Interval> interval;
  io::Json to_json() const;
};

/// All in float64. The trace of the root is the nuclear norm of F_a F_bᵀ for any factors FᵀF = S:
/// - low-rank, if a side has N <= d and its items are known: its centred rows are an exact factor; singular values.
/// - cholesky: Σ √eig(Lᵀ S_b L) with S_a = L Lᵀ; a symmetric problem, so no imaginary parts can appear.
/// - eigh, if S_a has no Cholesky factor: the same with the factor √Λ Vᵀ, which exists for any covariance.
/// Columns that are constant on either side add nothing to the root and are left out of it.
/// Throws Error(kBadInput) if the dimensions differ; Error(kBadNumbers) if a side has N <= d, unless allowed: the fit then
/// has directions without any variance and the distance is dominated by N.
FrechetResult frechet_distance(const Gaussian& a, const Gaussian& b, const FrechetOptions& options = {});
/// The same with an interval: how much the figure varies between sets of this size, by the infinitesimal jackknife over the items
/// of both sides (of a alone, if those of b are not known). It is about the estimate at this N, whose bias it does not remove, and
/// none where frechet_influence has none.
FrechetResult frechet_distance(const Gaussian& a, const Gaussian& b, const FrechetOptions& options, const FittedItems& a_items,
                               const FittedItems& b_items);

/// What the distance changes by as the weight of a row of a grows (of b), up to a constant: [R] float64; undefined for no rows.
/// 2 (mu_a - mu_b)·c + |c|² - cᵀ T c, c = x - mu_a, T the optimal transport map T S_a T = S_b (its inverse for b). With
/// S_a = L Lᵀ and Lᵀ S_b L = V Λ Vᵀ: T = L^-ᵀ V Λ^½ Vᵀ L^-1, its inverse L V Λ^-½ Vᵀ Lᵀ. std::nullopt if a side has N <= d or is
/// singular: the root has no derivative there. Source: Rippl, Munk & Sturm 2016 (limit laws).
struct FrechetInfluence {
  Tensor of_a, of_b;
};
std::optional<FrechetInfluence> frechet_influence(const Gaussian& a, const Gaussian& b, const Tensor& a_rows, const Tensor& b_rows);

}  // namespace plumb::metrics
