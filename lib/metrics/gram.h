// Sums of outer products and squared distances: the matrix products under every metric.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>

#include <ATen/core/Tensor.h>

namespace plumb::metrics {

using at::Tensor;

/// Throws Error(kBadNumbers, name, ...) unless x is [N,d] float32 or float64, finite, with N, d >= 1.
void check_features(const Tensor& x, const std::string& name);

/// Mean of the rows of x [d] float64, a block at a time: no copy of x in float64.
Tensor mean_of_rows(const Tensor& x);

/// Rows of x [N,d] divided by their Euclidean norm, a block at a time, so that they never stand in memory beside x. Rows of norm
/// 0 have no direction: with a warning they get one of their own, a column more, equal among themselves and orthogonal to the rest.
class UnitRows {
 public:
  explicit UnitRows(const Tensor& x);
  int64_t width() const { return x_.size(1) + (zeros_ > 0 ? 1 : 0); }
  int64_t zeros() const { return zeros_; }                        ///< rows without direction
  const Tensor& norms() const { return norms_; }                  ///< [N] float64
  Tensor slice(int64_t first, int64_t count, at::ScalarType type) const;  ///< rows first.. [count,width]
  /// Rows index, each times its weight [R]: [R,width].
  Tensor select(const Tensor& index, at::ScalarType type, const Tensor& weights = {}) const;

 private:
  Tensor x_, norms_;
  int64_t zeros_ = 0;
};

/// sum [d,d] float64 += rowsᵀ rows [d,d], for the lower triangle of 256-column panels only (the rest is left alone);
/// the product is made in the type of `rows`. Close with mirror_lower.
void add_gram(Tensor& sum, const Tensor& rows);
/// Copies the lower triangle of a square matrix to its upper one, in place.
void mirror_lower(Tensor& matrix);

/// rowsᵀ rows [d,d] float64. exact: in float64; else float32 products of 1024 rows added in float64 (relative error about
/// 1e-9 of the trace, half the time).
Tensor gram(const Tensor& rows, bool exact = true);

/// Σ_j weights_jk (row_i · direction_j)² [R,k] float64, a block of rows at a time. rows(first, count) [count,d] float64 gives
/// them; directions [d,m], weights [m,k] float64.
Tensor weighted_squares(int64_t count, const std::function<Tensor(int64_t first, int64_t count)>& rows, const Tensor& directions,
                        const Tensor& weights);

/// |x_i - y_j|² [N,M] in the type of x, by |x|² + |y|² - 2xy, not below 0. Centre the data first: cancellation grows with
/// the norms. x_norms, y_norms: the squared row norms.
Tensor squared_distances(const Tensor& x, const Tensor& x_norms, const Tensor& y, const Tensor& y_norms);

}  // namespace plumb::metrics
