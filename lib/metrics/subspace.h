// How far the subspace that a model has learned is from the true one.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <ATen/core/Tensor.h>

#include "io/manifest.h"

namespace plumb::metrics {

using at::Tensor;

/// {"value": |V V^T - A A^T|_F^2, "smallest_cosine": of the angles between the subspaces, "dimension": d}; with "normalised", the value
/// over 2d, the largest it can be, where V and A have both d columns. v, a: [D,*], orthonormal columns. Source: subspace_denoiser.h.
io::Json subspace_distance(const Tensor& v, const Tensor& a);

}  // namespace plumb::metrics
