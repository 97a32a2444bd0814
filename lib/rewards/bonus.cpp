// SPDX-License-Identifier: Apache-2.0
#include "rewards/bonus.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"

namespace plumb::rewards {
namespace {

constexpr double kSmallest = 1e-12;   // of the quadratic form: its root has a finite gradient

}  // namespace

Tensor with_constant(const Tensor& features) {
  const Tensor phi = features.to(at::kDouble);
  return at::cat({phi, at::ones({phi.size(0), 1}, phi.options())}, 1);
}

void FeatureMoments::add(const Tensor& features) {
  const Tensor phi = features.to(at::kDouble);
  if (!gram_.defined()) {
    gram_ = at::zeros({phi.size(1), phi.size(1)}, phi.options());
    sum_ = at::zeros({phi.size(1)}, phi.options());
  }
  gram_ += phi.t().matmul(phi);
  sum_ += phi.sum(0);
  count_ += phi.size(0);
}

Tensor FeatureMoments::centred() const {
  if (count_ < 2) throw Error(Exit::kBadInput, "--bonus-covariance", cat("a covariance of ", count_, " items does not exist"), "use gram");
  const auto n = static_cast<double>(count_);
  return (gram_ - at::outer(sum_, sum_) / n) / (n - 1);
}

Tensor bonus_factor(const Tensor& matrix, double lambda) {
  const Tensor full = matrix.to(at::kCPU, at::kDouble);
  const auto [factor, info] = at::linalg_cholesky_ex(full + lambda * at::eye(full.size(0), full.options()));
  if (info.item<int32_t>() != 0 || !at::isfinite(factor).all().item<bool>()) {
    throw Error(Exit::kBadNumbers, "bonus", cat("the matrix of the features plus ", lambda, " is not positive definite"), "raise --bonus-lambda");
  }
  return factor;
}

Tensor bonus(const Tensor& features, const Tensor& factor, double scale) {
  const Tensor z = at::linalg_solve_triangular(factor, features.to(at::kDouble).t(), /*upper=*/false);   // [m,B]
  return scale * z.square().sum(0).clamp_min(kSmallest).sqrt();
}

}  // namespace plumb::rewards
