// Potentials of Feynman-Kac steering. Whatever the kind, the product of a path's potentials is exp(lambda r(x_0)).
// Source: Singhal et al. 2025, "A general framework for inference-time scaling and steering of diffusion models", sec. 3.2.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include <ATen/core/Tensor.h>

namespace plumb::diffusion {

using at::Tensor;

/// log G of particles, with r_s their rewards so far, the latest r_t, and lambda = 1 / alpha:
///   difference: lambda (r_t - r_s of the potential before; 0 at first); max: lambda max_s r_s; sum: lambda sum_s r_s; current: lambda r_t.
class Potential {
 public:
  Potential(std::string kind, double lambda) : kind_(std::move(kind)), lambda_(lambda) {}
  /// r [B] float64, rewards of predicted items on the way; returns log G [B].
  Tensor on_the_way(const Tensor& r);
  /// r [B], rewards of the finished items: log G = lambda r - sum of the path's earlier log G.
  Tensor at_the_end(const Tensor& r) const;
  void index(const Tensor& ancestors);

 private:
  std::string kind_;
  double lambda_;
  Tensor reduced_, spent_;  // [B] running reward by kind; sum of log G. Undefined before the first
};

}  // namespace plumb::diffusion
