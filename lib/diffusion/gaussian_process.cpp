// Chains of Gaussian diffusion behind the interface of all processes.   SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "diffusion/process.h"
#include "nn/data.h"

namespace plumb::diffusion {
namespace {

class GaussianProcess final : public ReverseProcess {
 public:
  GaussianProcess(const SamplerOptions& options, const NoiseSchedule& schedule, const std::vector<int64_t>& item_shape, bool noise_at_end)
      : options_(options), schedule_(schedule), shape_(item_shape), noise_at_end_(noise_at_end), sampler_(make_sampler(options, schedule)) {
    if (noise_at_end && !(options.name == "ddpm" && options.variance == "beta")) {
      throw Error(Exit::kUsage, "--variance", "noise in the last step needs ddpm's variance beta");
    }
    if (const double signal = alpha(0); signal > 0.5) {  // one step of leading spacing is at timestep 0
      log::warn("the first step is at timestep ", time(0), ", where a sample is hardly noised, and chains start from noise alone: take more --steps");
    }
  }

  int64_t steps() const override { return static_cast<int64_t>(sampler_->timesteps().size()); }
  std::vector<int64_t> state_shape() const override { return shape_; }
  Tensor prior(const Draws& draws) const override {
    return nn::normal_noise(draws.seed, static_cast<int>(Stream::kPrior), draws.items, 0, shape_, draws.device);
  }
  Tensor timestep(int64_t i, int64_t batch, at::Device device) const override {
    return at::full({batch}, time(i), at::TensorOptions(at::kLong).device(device));
  }
  Tensor noise(int64_t i, const Draws& draws) const override {
    if (!has_noise(i)) return Tensor();
    return nn::normal_noise(draws.seed, static_cast<int>(draws.stream), draws.items, static_cast<uint32_t>(i), shape_, draws.device);
  }

  Tensor advance(int64_t i, const Tensor& state, const Tensor& output, const Tensor& noise) const override {
    const Tensor next = sampler_->step(static_cast<size_t>(i), state, output, noise);
    const bool at_end = noise_at_end_ && i + 1 == steps() && noise.defined();
    return at_end ? next + std::sqrt(beta_of(i)) * noise : next;   // the sampler's own last step is the mean
  }

  Tensor predicted_x0(int64_t i, const Tensor& state, const Tensor& output) const override {
    const Tensor x0 = predict(schedule_.prediction_type(), output, state, at::scalar_tensor(alpha(i), state.options().dtype(at::kDouble))).x0;
    return schedule_.options().clip_sample ? x0.clamp(-1.0, 1.0) : x0;
  }

  Tensor step_kl(int64_t i, const Tensor& state, const Tensor& output, const Tensor& reference_output) const override {
    if (options_.name == "ddpm" && (options_.variance == "beta" || i + 1 < steps())) {   // the means differ by sqrt(b) beta / (1 - a) x0
      const double a = alpha(i), b = alpha_after(i), beta = beta_of(i);
      const double sigma = std::sqrt(options_.variance == "beta" ? beta : beta * (1.0 - b) / (1.0 - a));
      const Tensor gap = predicted_x0(i, state, output) - predicted_x0(i, state, reference_output);
      return (gap * (std::sqrt(b) * beta / (1.0 - a) / sigma)).square().flatten(1).sum(1, false, at::kDouble) * 0.5;
    }
    const auto own = transition(i, state, output), reference = transition(i, state, reference_output);
    if (!own) throw Error(Exit::kUsage, "--sampler", cat("steps of ", options_.name, " have no density"), "ddpm, or ddim with --eta 1");
    return gaussian_kl(own->mean, reference->mean, own->sigma, Reduce::kSum).to(at::kDouble);
  }

  std::optional<Transition> transition(int64_t i, const Tensor& state, const Tensor& output) const override {
    const auto rows = [&](double value) { return at::full({state.size(0)}, value, state.options().dtype(at::kDouble)); };
    const bool clip = schedule_.options().clip_sample;
    if (options_.name == "ddim") {
      return ddim_transition(schedule_.prediction_type(), output, state, rows(alpha(i)), rows(alpha_after(i)), options_.eta, clip);
    }
    if (options_.name == "ddpm") {
      return ddpm_transition(schedule_.prediction_type(), output, state, rows(alpha(i)), rows(alpha_after(i)),
                             options_.variance == "beta" ? StepVariance::kBeta : StepVariance::kPosterior, clip);
    }
    return std::nullopt;
  }
  bool is_markov() const override { return options_.name != "dpm-solver++"; }

 private:
  int64_t time(int64_t i) const { return sampler_->timesteps().at(static_cast<size_t>(i)); }
  bool has_noise(int64_t i) const { return sampler_->needs_noise(static_cast<size_t>(i)) || noise_at_end_; }
  double alpha(int64_t i) const { return schedule_.alpha_cumprod(time(i)); }
  double beta_of(int64_t i) const { return 1.0 - alpha(i) / alpha_after(i); }
  double alpha_after(int64_t i) const {   // ddpm ends at the clean sample, ddim where the schedule says
    if (options_.name == "ddpm") return i + 1 < steps() ? alpha(i + 1) : 1.0;
    return schedule_.alpha_cumprod(schedule_.previous_timestep(time(i), options_.num_inference_steps));
  }

  SamplerOptions options_;
  NoiseSchedule schedule_;
  std::vector<int64_t> shape_;
  bool noise_at_end_;
  std::unique_ptr<Sampler> sampler_;
};

}  // namespace

std::unique_ptr<ReverseProcess> make_gaussian_process(const SamplerOptions& options, const NoiseSchedule& schedule,
                                                      const std::vector<int64_t>& item_shape, bool noise_at_end) {
  return std::make_unique<GaussianProcess>(options, schedule, item_shape, noise_at_end);
}

}  // namespace plumb::diffusion
