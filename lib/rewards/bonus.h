// The last-layer bonus: how far features lie from those a network was trained on.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

namespace plumb::rewards {

using at::Tensor;

/// phi [B,D] -> (phi, 1) [B,D+1] float64: the constant stands for the bias of the last layer.
Tensor with_constant(const Tensor& features);

/// Sums over feature vectors in float64, batch by batch: memory does not grow with their number.
class FeatureMoments {
 public:
  void add(const Tensor& features);                  ///< [B,m], any floating point type; m is that of the first batch
  int64_t count() const { return count_; }
  Tensor gram() const { return gram_; }              ///< Phi^T Phi [m,m], not divided by anything
  Tensor centred() const;                            ///< covariance with n - 1 [m,m]; Error(kBadInput) below 2 rows

 private:
  Tensor gram_, sum_;
  int64_t count_ = 0;
};

/// The lower Cholesky factor L of matrix + lambda I [m,m] float64, on the CPU. Throws Error(kBadNumbers) if there is none.
Tensor bonus_factor(const Tensor& matrix, double lambda);

/// g = scale sqrt(phi^T A^-1 phi) = scale ||L^-1 phi||, A = L L^T: [B,m] -> [B] float64, with the gradient scale A^-1 phi / sqrt(q).
/// The quadratic form q is clamped at 1e-12, below which the gradient is 0. In the units of `scale`.
/// With A = Phi^T Phi + lambda I (gram) this is the elliptical bonus of linear bandits, and q is 1 / lambda times the posterior variance
/// of a GP with kernel phi . phi' and noise lambda: in directions that the data cover it falls like 1 / sqrt(n).
/// Source: Uehara et al. 2024, "Bridging model-based optimization and generative modeling via conservative fine-tuning of diffusion
/// models", bonus variant; with the centred covariance (which does not shrink with n), the published code of SEIKO, Uehara et al. 2024,
/// "Feedback efficient online fine-tuning of diffusion models".
Tensor bonus(const Tensor& features, const Tensor& factor, double scale);

}  // namespace plumb::rewards
