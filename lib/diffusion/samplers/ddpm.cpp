// Ancestral sampling from the posterior q(x_s | x_t, x0) with the predicted x0; the last step lands on x0 itself.
// Source: Ho et al. 2020, "Denoising diffusion probabilistic models", eq. 6-7, between any two noise levels.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <ATen/ATen.h>

#include "diffusion/sampler.h"

namespace plumb::diffusion {
namespace {

class Ddpm : public Sampler {
 public:
  Ddpm(const SamplerOptions& options, const NoiseSchedule& schedule)
      : schedule_(schedule), variance_(options.variance), timesteps_(schedule.timesteps(options.num_inference_steps)) {}

  const std::vector<int64_t>& timesteps() const override { return timesteps_; }

  bool needs_noise(size_t i) const override { return i + 1 < timesteps_.size(); }

  Tensor step(size_t i, const Tensor& x_t, const Tensor& model_output, const Tensor& noise) override {
    const double a = schedule_.alpha_cumprod(timesteps_[i]);
    const double b = needs_noise(i) ? schedule_.alpha_cumprod(timesteps_[i + 1]) : 1.0;
    const double alpha = schedule_.alpha_between(a, b), beta = 1.0 - alpha;  // of the one step from level b to level a
    Tensor x0 = predict(schedule_.prediction_type(), model_output, x_t, at::scalar_tensor(a, x_t.options().dtype(at::kDouble))).x0;
    if (schedule_.options().clip_sample) x0 = x0.clamp(-1.0, 1.0);
    const Tensor mean = (std::sqrt(b) * beta / (1.0 - a)) * x0 + (std::sqrt(alpha) * (1.0 - b) / (1.0 - a)) * x_t;
    const double variance = variance_ == "beta" ? beta : beta * (1.0 - b) / (1.0 - a);
    return needs_noise(i) ? mean + std::sqrt(variance) * noise : mean;
  }

 private:
  NoiseSchedule schedule_;
  std::string variance_;
  std::vector<int64_t> timesteps_;
};

}  // namespace

std::unique_ptr<Sampler> make_ddpm(const SamplerOptions& options, const NoiseSchedule& schedule) {
  return std::make_unique<Ddpm>(options, schedule);
}

}  // namespace plumb::diffusion
