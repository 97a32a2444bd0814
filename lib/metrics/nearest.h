// Nearest neighbours by Euclidean distance, in blocks: memory O(N) beside the features and one block, whatever N.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>

#include <ATen/core/Tensor.h>

namespace plumb::metrics {

using at::Tensor;

struct Neighbours {
  Tensor distance;  ///< [N,k] float64, ascending
  Tensor index;     ///< [N,k] int64, rows of the other set (of the same set, for nearest_within)
};

/// Distances of two sets in float32 blocks, with a bound on their rounding, and in float64 for chosen pairs.
class DistanceBlocks {
 public:
  /// x [N,d], y [M,d] (may be x). Both are centred by the mean of y, a block at a time, so that |x|² + |y|² - 2xy cancels little.
  /// Throws Error(kBadNumbers) if squared distances may overflow float32.
  DistanceBlocks(const Tensor& x, const Tensor& y);
  bool within() const { return within_; }
  /// Calls f(i, j, squared distances [bi,bj] float32, contiguous) for blocks at rows i of x, j of y; within a set only j >= i.
  void each(const std::function<void(int64_t i, int64_t j, const Tensor& squared)>& f) const;
  /// Squared norms of the centred rows, [N] and [M] float32. A float32 squared distance may be off by rounding() times the sum of
  /// the two norms.
  const Tensor& x_norms() const { return x_norms_; }
  const Tensor& y_norms() const { return y_norms_; }
  float rounding() const { return rounding_; }
  /// Float64 distances (not squared) of the pairs (rows of x, rows of y) [P], from differences: 0 for equal rows.
  Tensor exact(const Tensor& x_rows, const Tensor& y_rows) const;
  /// Float64 distances of rows of x to all of y [R,M].
  Tensor exact_rows(const Tensor& x_rows) const;

 private:
  Tensor centred(const Tensor& rows) const;
  bool within_;
  Tensor x_, y_, centre_, x_norms_, y_norms_;
  float rounding_;
};

/// The k nearest other rows of each row. k < N, else Error(kBadNumbers). Float32 blocks with a running list of the nearest find
/// the candidates, each block serving both its sides; float64 decides among them.
Neighbours nearest_within(const Tensor& x, int64_t k);
/// The k nearest of `points` to each query. k <= M, else Error(kBadNumbers).
Neighbours nearest_between(const Tensor& queries, const Tensor& points, int64_t k);

}  // namespace plumb::metrics
