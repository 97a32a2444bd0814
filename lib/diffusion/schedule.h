// Noise schedules and parameterisations.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "diffusion/options.h"

namespace plumb::diffusion {

using at::Tensor;

enum class PredictionType { kEpsilon, kSample, kV };

/// ScheduleOptions are in options.h. Tables are float64, or hold float32 values where table_dtype says so.
class NoiseSchedule {
 public:
  /// Throws Error(kUsage, "--OPTION", ...) for names and numbers that make no schedule.
  explicit NoiseSchedule(const ScheduleOptions& options);
  const ScheduleOptions& options() const { return options_; }
  PredictionType prediction_type() const { return prediction_type_; }
  int64_t num_train_timesteps() const { return options_.num_train_timesteps; }
  const std::vector<double>& alphas_cumprod() const { return alphas_cumprod_; }  // [num_train_timesteps], float64
  /// alphas_cumprod at t; for t < 0 the final value (1 or alphas_cumprod[0], see set_alpha_to_one).
  double alpha_cumprod(int64_t t) const;
  /// alpha of the one step from level b to the noisier level a, a / b, at the precision of the tables.
  double alpha_between(double a, double b) const;
  /// The timesteps of num_inference_steps reverse steps, from noise to data.
  std::vector<int64_t> timesteps(int64_t num_inference_steps) const;
  /// Where DDIM's step from t ends in a chain of num_inference_steps (may be < 0: the end). The next timestep if they are trailing, whatever
  /// the steps' number; else a whole T / num_inference_steps below, as in diffusers' DDIMScheduler, which for linspace is not the next timestep.
  int64_t previous_timestep(int64_t t, int64_t num_inference_steps) const;

  /// alphas_cumprod at t [B] int64 (negative: the final value), as float64 [B] on t's device.
  Tensor alpha_cumprod(const Tensor& t) const;
  /// Signal-to-noise ratio a / (1 - a), [B] float64.
  Tensor snr(const Tensor& t) const;

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
  Tensor alphas_cumprod_tensor_;  // float64, on the CPU; last element: the value for t < 0
};

/// Refuses options that were set but that this schedule does not read, and warns of epsilon prediction where sampling starts at
/// so little signal that the predicted sample is noise. Throws Error(kUsage).
void check_schedule_options(const ScheduleOptions& options, const std::function<bool(const std::string&)>& was_set);

/// Predicted clean sample and noise from the network's output at alpha-bar a (broadcastable).
/// epsilon: x0 = (x_t - sqrt(1-a) eps) / sqrt(a); sample: eps = (x_t - sqrt(a) x0) / sqrt(1-a);
/// v: x0 = sqrt(a) x_t - sqrt(1-a) v, eps = sqrt(a) v + sqrt(1-a) x_t (Salimans & Ho 2022, app. D).
struct Prediction { Tensor x0, eps; };
Prediction predict(PredictionType type, const Tensor& model_output, const Tensor& x_t, const Tensor& a);

}  // namespace plumb::diffusion
