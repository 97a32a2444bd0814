// Ridge regression in closed form.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>

#include <ATen/core/Tensor.h>

#include "rewards/training_options.h"

namespace plumb::rewards {

using at::Tensor;

/// theta = (X^T X + lambda I)^-1 X^T y: the minimum of |y - X theta|^2 + lambda |theta|^2, a SUM over items, so that lambda weighs less the
/// more items there are. Nothing is centred or scaled. With an intercept b: the minimum of |y - X theta - b|^2 + lambda |theta|^2, b without
/// a penalty. Source: Hoerl and Kennard 1970, "Ridge regression"; as the reward estimate of Yuan et al. 2023, "Reward-directed conditional
/// diffusion". Float64; holds D x D numbers for D features, whatever the number of items.
class RidgeFit {
 public:
  /// Throws Error(kBadInput) above 16384 features.
  RidgeFit(int64_t features, bool intercept);
  /// x [B,D], y [B], both float64.
  void add(const Tensor& x, const Tensor& y);
  struct Solution {
    Tensor theta;            ///< [D] float64
    double intercept = 0;
    double mean_square = 0;  ///< of the residuals of what was added
  };
  /// lambda >= 0. Throws Error(kBadNumbers) if the equations have no single solution.
  Solution solve(double lambda) const;

 private:
  int64_t features_, count_ = 0;
  bool intercept_;
  Tensor gram_, moment_;     // of [x, 1] if there is an intercept
  double squares_ = 0;       // sum of y^2
};

/// Throws Error(kUsage) if --ridge, or --ridge-intercept without it, was given together with what has no meaning beside it.
void check_ridge_options(const RewardTrainingOptions& options, const std::function<bool(const std::string&)>& was_set);

}  // namespace plumb::rewards
