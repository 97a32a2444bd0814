// Exact Gaussian process regression with an RBF kernel.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <ATen/core/Tensor.h>

#include "nn/predictor.h"

namespace plumb::rewards {

using at::Tensor;

/// Items an exact GP may hold: the factor of 5000 takes 200 MB and some seconds.
inline constexpr int64_t kMostGpItems = 5000;

struct RbfGpSettings {
  double length = 0;      ///< l of k(x,x') = signal exp(-|x - x'|^2 / (2 l^2)); 0: the median distance of the items
  double noise = 0.01;    ///< variance s^2 of the label noise
  double signal = 1;      ///< prior variance
};

/// The median of the distances between different rows of x [n,d]; of the first 1000 rows if there are more, and 1 if it is 0.
double median_distance(const Tensor& x);

/// Posterior given x [n,d] and y [n], all in float64:
///   mean(x*) = k*^T (K + s^2 I)^-1 y,   variance(x*) = signal - k*^T (K + s^2 I)^-1 k*.
/// Source: Rasmussen and Williams 2006, "Gaussian processes for machine learning", algorithm 2.1.
class RbfGp {
 public:
  /// Throws Error(kBadInput) for more than kMostGpItems items or none, Error(kBadNumbers) if K + s^2 I has no Cholesky factor.
  RbfGp(const Tensor& x, const Tensor& y, const RbfGpSettings& settings);
  struct Posterior {
    Tensor mean, variance;   // [B] float64; variance of the noiseless value, at least 1e-12
  };
  Posterior posterior(const Tensor& x) const;     ///< [B,d], differentiable in x; on the device of x
  Tensor mean(const Tensor& x) const;             ///< [B], without the triangular solve that the variance needs
  double length() const { return settings_.length; }
 private:
  friend class RbfGpPredictor;
  Tensor kernel(const Tensor& x) const;           // [n,B]
  RbfGpSettings settings_;
  Tensor x_, factor_, weights_;                   // [n,d]; L [n,n]; (K + s^2 I)^-1 y [n]
};

/// A GP as a network without anything to train: items are flattened in model space; its features are the items themselves.
class RbfGpPredictor : public nn::Predictor {
 public:
  RbfGpPredictor(RbfGp gp, int64_t elements);
  Tensor features(const Tensor& x) override;
  Tensor head(const Tensor& features) override;   ///< the mean, [B,1] float64
  int64_t feature_dimension() const override { return elements_; }
  int64_t outputs() const override { return 1; }
  io::Json config() const override { return {{"type", "rbf-gp"}}; }
  RbfGp::Posterior posterior(const Tensor& x);
  const RbfGp& gp() const { return gp_; }

 private:
  RbfGp gp_;
  int64_t elements_;
};

}  // namespace plumb::rewards
