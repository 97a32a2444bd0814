// Sums of outer products and squared distances: the matrix products under every metric.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <ATen/core/Tensor.h>

namespace plumb::metrics {

using at::Tensor;

/// Throws Error(kBadNumbers, name, ...) unless x is [N,d] floating point, finite, with N, d >= 1.
void check_features(const Tensor& x, const std::string& name);

/// Rows divided by their Euclidean norm, float64 [N,d]. Rows of norm 0 have no direction: with a warning they get one of their
/// own, a column more, equal among themselves and orthogonal to the rest.
Tensor unit_rows(const Tensor& x);

/// sum [d,d] float64 += rowsᵀ rows [d,d], for the lower triangle of 512-column panels only (the rest is left alone);
/// the product is made in the type of `rows`. Close with mirror_lower.
void add_gram(Tensor& sum, const Tensor& rows);
/// Copies the lower triangle of a square matrix to its upper one, in place.
void mirror_lower(Tensor& matrix);

/// rowsᵀ rows [d,d] float64. exact: in float64; else float32 products of 256 rows added in float64 (relative error about
/// 1e-9 of the trace, half the time).
Tensor gram(const Tensor& rows, bool exact = true);

/// |x_i - y_j|² [N,M] in the type of x, by |x|² + |y|² - 2xy, not below 0. Centre the data first: cancellation grows with
/// the norms. x_norms, y_norms: the squared row norms.
Tensor squared_distances(const Tensor& x, const Tensor& x_norms, const Tensor& y, const Tensor& y_norms);

}  // namespace plumb::metrics
