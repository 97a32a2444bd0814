// Noise schedules and parameterisations.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

namespace plumb::diffusion {

using at::Tensor;

enum class PredictionType { kEpsilon, kSample, kV };

/// The forward process q(x_t | x_0) = N(sqrt(alphas_cumprod_t) x_0, (1 - alphas_cumprod_t) I), and how sampling steps are laid
/// on it. Option names and meanings are diffusers'.
struct ScheduleOptions {
  int64_t num_train_timesteps = 1000;
  std::string beta_schedule = "linear";     ///< linear, scaled_linear, squaredcos_cap_v2 (the cosine schedule)
  double beta_start = 1e-4, beta_end = 0.02;
  std::string prediction_type = "epsilon";  ///< epsilon, sample, v_prediction
  std::string timestep_spacing = "leading"; ///< leading, trailing, linspace
  int64_t steps_offset = 1;
  bool set_alpha_to_one = false;            ///< false: the step below 0 uses alphas_cumprod[0], so every transition has a density
  bool clip_sample = false;                 ///< clamps predicted x0 to [-1,1]; kills gradients, see policy-gradient notes
  nlohmann::ordered_json to_json() const;
  static ScheduleOptions from_json(const nlohmann::ordered_json& json, const std::string& where);
};

class NoiseSchedule {
 public:
  explicit NoiseSchedule(const ScheduleOptions& options);
  const ScheduleOptions& options() const { return options_; }
  PredictionType prediction_type() const { return prediction_type_; }
  int64_t num_train_timesteps() const { return options_.num_train_timesteps; }
  const std::vector<double>& alphas_cumprod() const { return alphas_cumprod_; }  // [num_train_timesteps], float64
  /// alphas_cumprod at t; for t < 0 the final value (1 or alphas_cumprod[0], see set_alpha_to_one).
  double alpha_cumprod(int64_t t) const;
  /// The timesteps of num_inference_steps reverse steps, from noise to data.
  std::vector<int64_t> timesteps(int64_t num_inference_steps) const;
  /// The timestep below t in a chain of num_inference_steps (may be < 0: the end).
  int64_t previous_timestep(int64_t t, int64_t num_inference_steps) const;

  /// x_t = sqrt(a) x0 + sqrt(1-a) eps; t [B] int64.
  Tensor add_noise(const Tensor& x0, const Tensor& eps, const Tensor& t) const;
  /// What the network should output, [B,*].
  Tensor training_target(const Tensor& x0, const Tensor& eps, const Tensor& t) const;
  /// alphas_cumprod[t] as float32 [B,1,1,..] broadcastable to x.
  Tensor alpha_cumprod_like(const Tensor& t, const Tensor& x) const;

 private:
  ScheduleOptions options_;
  PredictionType prediction_type_;
  std::vector<double> alphas_cumprod_;
  Tensor alphas_cumprod_tensor_;  // float32
};

/// Predicted clean sample and noise from the network's output at alpha-bar a (broadcastable).
struct Prediction { Tensor x0, eps; };
Prediction predict(PredictionType type, const Tensor& model_output, const Tensor& x_t, const Tensor& a);

}  // namespace plumb::diffusion
