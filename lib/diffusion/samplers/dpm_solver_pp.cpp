// DPM-Solver++(2M), midpoint form. With lambda = log(alpha/sigma), h the step in lambda, m_i the x0 predicted at step i and
// r = h_previous / h:  x' = (sigma'/sigma) x - alpha' (e^-h - 1) (m_i + (m_i - m_{i-1}) / (2r)); first order: without m_{i-1}.
// Source: Lu et al. 2022, "DPM-Solver++: fast solver for guided sampling", algorithm 2. Spacing, the first-order last step
// of short chains (below 15 steps) and of chains that end at the clean sample are diffusers'.   SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "diffusion/sampler.h"

namespace plumb::diffusion {
namespace {

/// A chain of n steps ends above the data, so leading and linspace spacing lay n + 1 points and leave the last one out.
std::vector<int64_t> multistep_timesteps(const NoiseSchedule& schedule, int64_t n) {
  const ScheduleOptions& o = schedule.options();
  const int64_t total = schedule.num_train_timesteps();
  if (o.timestep_spacing == "trailing") return schedule.timesteps(n);
  if (n < 1 || n >= total) {
    throw Error(Exit::kUsage, "--steps", cat(n, " steps of dpm-solver++ do not fit ", total, " training timesteps"),
                cat("1..", total - 1));
  }
  std::vector<int64_t> steps;
  for (int64_t i = n; i > 0; --i) {
    const double even = static_cast<double>(i) * (static_cast<double>(total - 1) / static_cast<double>(n));
    steps.push_back(o.timestep_spacing == "leading" ? i * (total / (n + 1)) + o.steps_offset : std::llrint(even));
  }
  if (steps.front() >= total) {
    throw Error(Exit::kUsage, "--steps", cat(n, " leading steps start at timestep ", steps.front(), " of ", total),
                "fewer steps, a smaller steps-offset, or another timestep-spacing");
  }
  return steps;
}

class DpmSolverPp : public Sampler {
 public:
  DpmSolverPp(const SamplerOptions& options, const NoiseSchedule& schedule)
      : schedule_(schedule), timesteps_(multistep_timesteps(schedule, options.num_inference_steps)) {
    for (const int64_t t : timesteps_) alphas_cumprod_.push_back(schedule.alpha_cumprod(t));
    alphas_cumprod_.push_back(schedule.alpha_cumprod(int64_t{-1}));
  }

  const std::vector<int64_t>& timesteps() const override { return timesteps_; }
  bool needs_noise(size_t) const override { return false; }

  Tensor step(size_t i, const Tensor& x_t, const Tensor& model_output, const Tensor&) override {
    const double a = alphas_cumprod_[i], b = alphas_cumprod_[i + 1];
    Tensor x0 = predict(schedule_.prediction_type(), model_output, x_t, at::scalar_tensor(a, x_t.options().dtype(at::kDouble))).x0;
    if (schedule_.options().clip_sample) x0 = x0.clamp(-1.0, 1.0);
    const double h = lambda(b) - lambda(a);  // infinite if b = 1, the clean sample
    const bool last = i + 1 == timesteps_.size();
    const bool first_order = i == 0 || (last && (timesteps_.size() < 15 || b == 1.0));
    Tensor direction = x0;
    if (!first_order) {
      const double h_previous = lambda(a) - lambda(alphas_cumprod_[i - 1]);
      direction = x0 + (0.5 * h / h_previous) * (x0 - previous_x0_);
    }
    previous_x0_ = x0;
    return std::sqrt((1.0 - b) / (1.0 - a)) * x_t - (std::sqrt(b) * std::expm1(-h)) * direction;
  }

 private:
  static double lambda(double alpha_cumprod) { return 0.5 * std::log(alpha_cumprod / (1.0 - alpha_cumprod)); }

  NoiseSchedule schedule_;
  std::vector<int64_t> timesteps_;
  std::vector<double> alphas_cumprod_;  // at each timestep, then where the chain ends
  Tensor previous_x0_;
};

}  // namespace

std::unique_ptr<Sampler> make_dpm_solver_pp(const SamplerOptions& options, const NoiseSchedule& schedule) {
  return std::make_unique<DpmSolverPp>(options, schedule);
}

}  // namespace plumb::diffusion
