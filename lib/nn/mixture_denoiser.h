// The exact denoiser of a mixture of Gaussians, with a trainable residual: a test bed whose pre-trained model has no error.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "nn/denoiser_inputs.h"
#include "nn/layers.h"

namespace plumb::nn {

struct MixtureOptions {
  std::vector<std::vector<double>> centres;   ///< [K][elements]; required
  std::vector<double> weights;                ///< [K], positive, any sum; empty: equal
  double std = 1;                             ///< of each component, in every direction
  std::vector<int64_t> hidden{64, 64};        ///< of the residual
  int64_t time_dim = 16;                      ///< sine and cosine features of time that the residual sees; even
  int64_t num_train_timesteps = 1000;

  int64_t elements() const { return static_cast<int64_t>(centres.front().size()); }
  io::Json to_json() const;
  /// Throws Error(kUsage) naming an unknown key, a value of the wrong type or range, or centres that are absent or ragged.
  static MixtureOptions from_json(const io::Json& json, const std::string& where);
};

/// Data sum_k w_k N(c_k, s^2 I), a = alphas_cumprod_t, v = a s^2 + 1 - a:
///   eps(x, t) = sqrt(1 - a) sum_k p_k (x - sqrt(a) c_k) / v,  p = softmax_k( log w_k - |x - sqrt(a) c_k|^2 / (2 v) ),
/// which is -sqrt(1 - a) times the score of the noised mixture, plus a residual MLP of [x, time] whose last layer starts at zero. Predicts
/// the noise: the schedule must have prediction_type epsilon. Source: Vincent 2011, "A connection between score matching and denoising
/// autoencoders" (eps against score); the score is that of a Gaussian mixture.
/// The noise levels are the buffer "log_snr", log(a / (1 - a)), [num_train_timesteps], set once by fit_schedule (denoiser_fit.h).
/// Config form: {"type":"mixture","config":{MixtureOptions}}.
class MixtureDenoiser : public Denoiser {
 public:
  explicit MixtureDenoiser(const MixtureOptions& options);
  /// x_t [B,*] with `elements` numbers an item -> the same shape.
  Tensor forward(const Tensor& x_t, const Tensor& timestep, const Condition& condition) override;
  io::Json config() const override { return {{"type", "mixture"}, {"config", options_.to_json()}}; }
  /// alphas_cumprod [num_train_timesteps]. Throws Error(kUsage) for another number of levels, or levels that are not within (0,1).
  void set_noise_levels(const std::vector<double>& alphas_cumprod);

 private:
  Tensor exact_eps(const Tensor& x, const Tensor& log_snr) const;
  Tensor residual(const Tensor& x, const Tensor& time);

  MixtureOptions options_;
  Tensor log_snr_;                  // [T] float32
  Tensor centres_, log_weights_, half_squares_;   // [K,D], [1,K], |c|^2 / 2 [1,K]; float64 constants, cast to what they meet
  Tensor frequencies_;              // [time_dim / 2]
  ModuleList<Linear> layers_;       // "residual"
};

}  // namespace plumb::nn
