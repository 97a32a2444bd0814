// The denoiser of vectors that lie on a linear subspace.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "nn/mlp.h"

namespace plumb::nn {

/// Data on a d-dimensional linear subspace: x0_hat = V m(V^T x_t, t, class), V [elements,d] with orthonormal columns: the Q of a QR
/// decomposition of a free matrix in each forward pass, with signs so that R has a positive diagonal (an orthonormal free matrix is its
/// own V). Predicts the clean sample, so that the schedule must have prediction_type sample: its noise estimate is then
/// (x_t - sqrt(alphas_cumprod_t) x0_hat) / sqrt(1 - alphas_cumprod_t), and every step removes what lies off the subspace.
/// Source: the score of data on a subspace, Chen et al. 2023, "Score approximation, estimation and distribution recovery of diffusion
/// models on low-dimensional data"; used for rewards by Yuan et al. 2023, "Reward-directed conditional diffusion".
/// A LoRA adapter changes m and leaves V.
/// residual: x0_hat = V ( sqrt(a) V^T x_t + sqrt(1 - a) m ), a = alphas_cumprod_t: the first term is the posterior mean of coordinates
/// that are standard normal, and m, minus the velocity of the coordinates, has their scale at all t (Salimans & Ho 2022, app. D). It needs
/// the noise levels, the buffer "alphas_cumprod" [num_train_timesteps], which set_noise_levels() fills before training.
/// Config form: {"type":"subspace","config":{MlpOptions, "subspace_dim": d, "residual": false}}; hidden is 256-256 where absent.
class SubspaceDenoiser : public Denoiser {
 public:
  SubspaceDenoiser(const MlpOptions& options, int64_t subspace_dim, bool residual = false);
  /// From the config form's "config". Throws Error(kUsage).
  static std::unique_ptr<SubspaceDenoiser> from_json(io::Json json, const std::string& where);
  Tensor forward(const Tensor& x_t, const Tensor& timestep, const Condition& condition) override;
  Tensor basis() const;   ///< V, [elements,d]
  void set_noise_levels(const std::vector<double>& alphas_cumprod);   ///< of the schedule; no effect without residual
  int64_t num_classes() const override { return options_.num_classes; }
  bool takes_value() const override { return options_.value; }
  io::Json config() const override;
  void reset_parameters(WeightInit& init) override;

 private:
  MlpOptions options_;
  int64_t dim_;
  bool residual_;
  Tensor free_;            // "basis", [elements,d]
  Tensor alphas_cumprod_;  // [num_train_timesteps] float32; undefined without residual
  ConditionedMlp network_;
};

/// |V V^T - A A^T|_F^2 of two matrices of D rows; with orthonormal columns 2 times the sum of sin^2 of the angles between the subspaces that they
/// span if these have one dimension d, from 0 to 2d. Source: Yuan et al. 2023, "Reward-directed conditional diffusion", section 5.1. Float64,
/// without a D x D matrix: |V^T V|^2 + |A^T A|^2 - 2 |V^T A|^2, where rounding leaves about 1e-16 d. Throws Error(kBadInput) for other rows.
double subspace_angle_error(const Tensor& v, const Tensor& a);

}  // namespace plumb::nn
