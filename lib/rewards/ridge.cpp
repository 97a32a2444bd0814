// SPDX-License-Identifier: Apache-2.0
#include "rewards/ridge.h"

#include <algorithm>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"

namespace plumb::rewards {
namespace {

constexpr double kSingular = 1e-7;         // smallest pivot of the factor relative to the largest
constexpr int64_t kMostFeatures = 16384;   // 2 GiB of X^T X

Tensor with_one(const Tensor& x) { return at::cat({x, at::ones({x.size(0), 1}, x.options())}, 1); }

}  // namespace

RidgeFit::RidgeFit(int64_t features, bool intercept) : features_(features), intercept_(intercept) {
  if (features > kMostFeatures) {
    throw Error(Exit::kBadInput, "--ridge", cat("the network has ", features, " features, X^T X is held for up to ", kMostFeatures), "train it by steps instead");
  }
  const int64_t size = features + (intercept ? 1 : 0);
  gram_ = at::zeros({size, size}, at::kDouble);
  moment_ = at::zeros({size}, at::kDouble);
}

void RidgeFit::add(const Tensor& x, const Tensor& y) {
  const Tensor rows = intercept_ ? with_one(x) : x;   // [B,size]
  gram_ += at::matmul(rows.t(), rows);
  moment_ += at::mv(rows.t(), y);
  squares_ += y.square().sum().item<double>();
  count_ += x.size(0);
}

RidgeFit::Solution RidgeFit::solve(double lambda) const {
  Tensor system = gram_.clone();
  system.diagonal().narrow(0, 0, features_) += lambda;   // the intercept's own entry is not penalised
  const auto [factor, info] = at::linalg_cholesky_ex(system);
  const Tensor pivots = factor.diagonal();
  if (info.item<int>() != 0 || !(pivots.min().item<double>() > kSingular * pivots.max().item<double>())) {
    throw Error(Exit::kBadNumbers, "--ridge", cat("X^T X + ", lambda, " I is singular for ", count_, " items and ", features_, " features"), "a larger --ridge");
  }
  const Tensor all = at::cholesky_solve(moment_.unsqueeze(1), factor).squeeze(1);
  const double residual = squares_ - 2 * all.dot(moment_).item<double>() + all.dot(at::mv(gram_, all)).item<double>();
  Solution solution;
  solution.theta = all.narrow(0, 0, features_).contiguous();
  solution.intercept = intercept_ ? all[features_].item<double>() : 0.0;
  solution.mean_square = std::max(0.0, residual) / static_cast<double>(std::max<int64_t>(1, count_));
  return solution;
}

void check_ridge_options(const RewardTrainingOptions& options, const std::function<bool(const std::string&)>& was_set) {
  if (!options.ridge) {
    if (options.ridge_intercept) throw Error(Exit::kUsage, "--ridge-intercept", "needs --ridge");
    return;
  }
  if (options.type != "regressor") throw Error(Exit::kUsage, "--ridge", "has no meaning for --type " + options.type, "--type regressor");
  for (const char* option : {"epochs", "steps", "batch-size", "lr", "lr-warmup", "weight-decay", "grad-clip", "flip", "shift", "evaluate-every", "patience"}) {
    if (was_set(option)) throw Error(Exit::kUsage, std::string("--") + option, "has no meaning with --ridge, which is a closed form");
  }
}

}  // namespace plumb::rewards
