// Training under Gaussian noise: the mean squared error of the predicted noise, sample or velocity.   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "diffusion/forward_process.h"
#include "diffusion/training.h"
#include "nn/denoiser_fit.h"

namespace plumb::diffusion {
namespace {

class GaussianForward final : public ForwardProcess {
 public:
  GaussianForward(const NoiseSchedule& schedule, double min_snr_gamma) : schedule_(schedule), min_snr_gamma_(min_snr_gamma) {}

  Tensor loss(nn::Denoiser& denoiser, const Tensor& x0, const nn::Condition& condition, uint64_t seed, int64_t first) const override {
    TrainingBatch batch = make_training_batch(x0, Tensor(), 0, schedule_, 0.0, seed, first);
    batch.condition = condition;
    return denoising_error(denoiser, schedule_, batch) * min_snr_weight(schedule_, batch.t, min_snr_gamma_);
  }
  void fit_network(nlohmann::ordered_json& denoiser) const override {
    nn::fit_timesteps(denoiser, schedule_.num_train_timesteps());
    nn::check_prediction_type(denoiser, schedule_.options().prediction_type);
  }
  void prepare(nn::Denoiser& denoiser) const override { nn::fit_schedule(denoiser, schedule_.alphas_cumprod()); }
  nlohmann::ordered_json schedule() const override { return schedule_.options().to_json(); }

 private:
  NoiseSchedule schedule_;
  double min_snr_gamma_;
};

}  // namespace

std::unique_ptr<ForwardProcess> make_gaussian_forward(const NoiseSchedule& schedule, double min_snr_gamma) {
  return std::make_unique<GaussianForward>(schedule, min_snr_gamma);
}

}  // namespace plumb::diffusion
