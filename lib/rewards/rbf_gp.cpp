// SPDX-License-Identifier: Apache-2.0
#include "rewards/rbf_gp.h"

#include <algorithm>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "nn/mlp.h"

namespace plumb::rewards {
namespace {

constexpr double kSmallest = 1e-12;   // of a variance: its root has a finite gradient
constexpr int64_t kMedianItems = 1000;

/// |a_i - b_j|^2 [n,m]. By the dot product: rounding may leave it just below 0, where it is 0.
Tensor squared_distances(const Tensor& a, const Tensor& b) {
  return (a.square().sum(1, true) + b.square().sum(1).unsqueeze(0) - 2 * a.matmul(b.t())).clamp_min(0);
}

}  // namespace

double median_distance(const Tensor& x) {
  const Tensor some = x.narrow(0, 0, std::min(x.size(0), kMedianItems)).to(at::kDouble);
  if (some.size(0) < 2) return 1;
  const double median = at::pdist(some).median().item<double>();
  return median > 0 ? median : 1;
}

RbfGp::RbfGp(const Tensor& x, const Tensor& y, const RbfGpSettings& settings) : settings_(settings), x_(x.to(at::kDouble)) {
  const int64_t n = x_.size(0);
  if (n < 1 || n > kMostGpItems) {
    throw Error(Exit::kBadInput, "--uncertainty gp", cat("an exact Gaussian process of ", n, " items is not possible, at most ", kMostGpItems),
                "limit them with --labels, or use --uncertainty bonus");
  }
  if (settings_.length <= 0) settings_.length = median_distance(x_);
  const auto [factor, info] = at::linalg_cholesky_ex(kernel(x_) + settings_.noise * at::eye(n, x_.options()));
  if (info.item<int32_t>() != 0) {
    throw Error(Exit::kBadNumbers, "--uncertainty gp", "the kernel matrix is not positive definite", "raise --gp-noise");
  }
  factor_ = factor;
  weights_ = at::cholesky_solve(y.to(x_.device(), at::kDouble).unsqueeze(1), factor_).squeeze(1);
}

Tensor RbfGp::kernel(const Tensor& x) const {
  return settings_.signal * (squared_distances(x_, x) * (-0.5 / (settings_.length * settings_.length))).exp();
}

Tensor RbfGp::mean(const Tensor& x) const { return weights_.matmul(kernel(x.to(at::kDouble))); }

RbfGp::Posterior RbfGp::posterior(const Tensor& x) const {
  const Tensor k = kernel(x.to(at::kDouble));
  const Tensor v = at::linalg_solve_triangular(factor_, k, /*upper=*/false);
  return {weights_.matmul(k), (settings_.signal - v.square().sum(0)).clamp_min(kSmallest)};
}

RbfGpPredictor::RbfGpPredictor(RbfGp gp, int64_t elements) : gp_(std::move(gp)), elements_(elements) {
  register_buffer("items", gp_.x_);
  register_buffer("factor", gp_.factor_);
  register_buffer("weights", gp_.weights_);
}

Tensor RbfGpPredictor::features(const Tensor& x) { return nn::flat_items(x, elements_); }
Tensor RbfGpPredictor::head(const Tensor& features) { return gp_.mean(features).unsqueeze(1); }
RbfGp::Posterior RbfGpPredictor::posterior(const Tensor& x) { return gp_.posterior(features(x)); }

}  // namespace plumb::rewards
