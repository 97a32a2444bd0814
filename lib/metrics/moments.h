// Mean and covariance of features, streamed.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include <ATen/core/Tensor.h>

namespace plumb::metrics {

using at::Tensor;

/// Streaming mean and unbiased covariance of rows in R^d, in O(d²) memory. Rows are shifted by the mean of the first block
/// of 1024, so that large means do not cancel; each block's product is made in the rows' own type and added in float64:
/// float32 rows cost a float32 product and lose about 1e-7 of the variance. How rows are split over calls changes nothing.
class Moments {
 public:
  explicit Moments(int64_t d);
  /// rows [B,d] float32 or float64. Throws Error(kBadInput) if d differs.
  void add(const Tensor& rows);
  int64_t count() const { return n_ + filled_; }
  int64_t dimension() const { return d_; }
  Tensor mean();        ///< [d] float64; needs one row
  Tensor covariance();  ///< [d,d] float64, sum of outer products over N - 1; needs two rows

 private:
  void flush();
  int64_t d_, n_ = 0, filled_ = 0;
  Tensor shift_, sum_, outer_, pending_;  // [d], [d], [d,d] lower triangle; [1024,d] rows that wait for a full block
};

/// A Gaussian fitted to features, as the distances between Gaussians need it. When N <= d the covariance is kept as its
/// factor `rows`, (x - mean) / √(N-1) [N,d]: covariance = rowsᵀ rows, exact and smaller.
struct Gaussian {
  Tensor mean;            ///< [d] float64
  Tensor covariance;      ///< [d,d] float64; undefined if `rows` is there
  Tensor rows;            ///< [N,d] float64; undefined unless 2 <= N <= d
  int64_t n = 0;          ///< items behind it; 0 = unknown (statistics of another program)
  int64_t dimension() const { return mean.size(0); }
  double trace() const;   ///< of the covariance
  Tensor full_covariance() const;
};

/// features [N,d], N >= 2 (else Error(kBadNumbers)), finite. Products are in float32, or in float64 where the smallest variance would be
/// lost in their rounding.
Gaussian fit_gaussian(const Tensor& features);

/// The items behind a fit, where they are known: what the standard errors of distances between fits are made from.
struct FittedItems {
  Tensor features;     ///< [N,d]; undefined: unknown, so their side counts as fixed
  uint64_t seed = 0;   ///< draws the items that stand for all, see influence_items
};

}  // namespace plumb::metrics
