// DDIM(eta): one ddim_transition a step, the very one that log-probabilities are computed from.
// Source: Song et al. 2021, "Denoising diffusion implicit models", eq. 12 and 16.   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "diffusion/sampler.h"
#include "diffusion/transition.h"

namespace plumb::diffusion {
namespace {

class Ddim : public Sampler {
 public:
  Ddim(const SamplerOptions& options, const NoiseSchedule& schedule)
      : options_(options), schedule_(schedule), timesteps_(schedule.timesteps(options.num_inference_steps)) {}

  const std::vector<int64_t>& timesteps() const override { return timesteps_; }

  bool needs_noise(size_t i) const override { return options_.eta > 0 && alpha_after(i) != schedule_.alpha_cumprod(timesteps_[i]); }

  Tensor step(size_t i, const Tensor& x_t, const Tensor& model_output, const Tensor& noise) override {
    const auto per_item = [&](double value) { return at::full({x_t.size(0)}, value, x_t.options().dtype(at::kDouble)); };
    const Transition p = ddim_transition(schedule_.prediction_type(), model_output, x_t,
                                         per_item(schedule_.alpha_cumprod(timesteps_[i])), per_item(alpha_after(i)),
                                         options_.eta, schedule_.options().clip_sample);
    if (!needs_noise(i)) return p.mean;
    std::vector<int64_t> shape(static_cast<size_t>(x_t.dim()), 1);
    shape[0] = x_t.size(0);
    return p.mean + p.sigma.reshape(shape) * noise;
  }

 private:
  double alpha_after(size_t i) const {
    return schedule_.alpha_cumprod(schedule_.previous_timestep(timesteps_[i], options_.num_inference_steps));
  }
  SamplerOptions options_;
  NoiseSchedule schedule_;
  std::vector<int64_t> timesteps_;
};

}  // namespace

std::unique_ptr<Sampler> make_ddim(const SamplerOptions& options, const NoiseSchedule& schedule) {
  return std::make_unique<Ddim>(options, schedule);
}

}  // namespace plumb::diffusion
