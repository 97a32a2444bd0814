// The diffusion model as a policy.   SPDX-License-Identifier: Apache-2.0
#include "align/policy.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/text.h"
#include "nn/lora.h"

namespace plumb::align {
namespace {

/// Switches the adapters of a network off while it lives.
class AdapterOff {
 public:
  explicit AdapterOff(nn::Module& network) : network_(network) { nn::set_lora_scale(network_, 0.0); }
  ~AdapterOff() { nn::set_lora_scale(network_, 1.0); }
  AdapterOff(const AdapterOff&) = delete;
  AdapterOff& operator=(const AdapterOff&) = delete;

 private:
  nn::Module& network_;
};

/// Rows 0 .. n-1 and then the last again, up to a multiple of `rows`.
Tensor padding_index(int64_t n, int64_t rows, at::Device device) {
  return at::arange((n + rows - 1) / rows * rows, at::TensorOptions(device).dtype(at::kLong)).clamp_max(n - 1);
}

/// |d mean / d v| / sigma of the DDIM step from a to b: how many standard deviations the step moves per unit of output.
double step_gain(double a, double b, double eta) {
  const double variance = eta * eta * (1 - b) / (1 - a) * (1 - a / b);
  return std::abs(std::sqrt(b * (1 - a)) - std::sqrt(std::max(0.0, 1 - b - variance) * a)) / std::sqrt(variance);
}

}  // namespace

Policy::Policy(nn::Denoiser& network, nn::Denoiser* reference, const diffusion::NoiseSchedule& schedule,
               const std::vector<int64_t>& item_shape, const PolicyOptions& options, at::Device device)
    : network_(network),
      reference_(reference),
      schedule_(schedule),
      item_shape_(item_shape),
      options_(options),
      device_(device) {
  if (!(options.eta > 0) && options.needs_density)
    throw Error(Exit::kUsage, "--eta", "policy gradients need noise in every step: at 0 a step has no density",
                "use --eta 1");
  const bool without_class =
      network.num_classes() == 0 || options.classes == std::vector<int64_t>{network.num_classes()};
  if (options.guidance_scale != 1.0 && without_class)
    throw Error(Exit::kUsage, "--guidance-scale", "samples without a class have nothing to be guided to",
                "leave it at 1");
  sampler_ = diffusion::make_sampler({.name = "ddim", .num_inference_steps = options.num_inference_steps, .eta = options.eta}, schedule);
  timesteps_ = sampler_->timesteps();
  timestep_table_ = at::tensor(timesteps_, at::kLong).to(device);
  std::vector<double> alpha, alpha_next;
  for (const int64_t t : timesteps_) {
    alpha.push_back(schedule.alpha_cumprod(t));
    alpha_next.push_back(schedule.alpha_cumprod(schedule.previous_timestep(t, options.num_inference_steps)));
    if (!(alpha_next.back() > alpha.back()))
      throw Error(Exit::kUsage, "--sampler-steps", cat("the step from timestep ", t, " does nothing"),
                  "the model's schedule must have steps_offset 1");
    const bool density = options.eta > 0 && alpha_next.back() < 1.0;
    if (!density && options.needs_density)
      throw Error(Exit::kUsage, "--sampler-steps", cat("the step from timestep ", t, " has no noise, so no density"),
                  "the model's schedule must have set_alpha_to_one false");
    has_densities_ = has_densities_ && density;
    if (!density)
      continue;
    if (options.max_step_gain == 0 || step_gain(alpha.back(), alpha_next.back(), options.eta) <= options.max_step_gain)
      trained_steps_.push_back(static_cast<int64_t>(alpha.size()) - 1);
  }
  if (trained_steps_.empty() && options.needs_density)
    throw Error(Exit::kUsage, "--max-step-gain", cat(options.max_step_gain, " leaves no step to train on"),
                "raise it, or 0 for all steps");
  alpha_table_ = at::tensor(alpha, at::kDouble).to(device);
  alpha_next_table_ = at::tensor(alpha_next, at::kDouble).to(device);
}

int64_t Policy::dimension() const {
  return std::accumulate(item_shape_.begin(), item_shape_.end(), int64_t{1}, std::multiplies<>());
}

nn::NamedTensors Policy::trainable() {
  return nn::has_lora(network_) ? nn::lora_parameters(network_) : network_.parameters();
}

Tensor Policy::run_network(nn::Denoiser& network, const Tensor& x_t, const Tensor& timestep,
                           const nn::Condition& condition) const {
  const nn::PrecisionGuard guard(options_.precision, device_);
  const diffusion::GuidedDenoiser guided{network, options_.guidance_scale};
  const int64_t rows = x_t.size(0);
  if (options_.pass_rows == 0 || rows % options_.pass_rows == 0)
    return guided(x_t, timestep, condition).to(at::kFloat);
  const Tensor index = padding_index(rows, options_.pass_rows, device_);
  return guided(x_t.index_select(0, index), timestep.index_select(0, index), condition.index(index))
      .narrow(0, 0, rows)
      .to(at::kFloat);
}

Tensor Policy::model_output(const Tensor& x_t, const Tensor& step, const nn::Condition& condition) {
  return run_network(network_, x_t, timestep_table_.index_select(0, step), condition);
}

Tensor Policy::reference_output(const Tensor& x_t, const Tensor& step, const nn::Condition& condition) {
  const at::NoGradGuard no_grad;
  const Tensor timestep = timestep_table_.index_select(0, step);
  if (reference_ != nullptr)
    return run_network(*reference_, x_t, timestep, condition);
  const AdapterOff off(network_);
  return run_network(network_, x_t, timestep, condition);
}

diffusion::Transition Policy::transition(const Tensor& model_output, const Tensor& x_t, const Tensor& step) const {
  return diffusion::ddim_transition(schedule_.prediction_type(), model_output, x_t, alpha_table_.index_select(0, step),
                                    alpha_next_table_.index_select(0, step), options_.eta,
                                    schedule_.options().clip_sample);
}

PolicyEvaluation Policy::evaluate_output(const Tensor& model_output, const Tensor& x_t, const Tensor& x_next,
                                         const Tensor& step) const {
  diffusion::Transition t = transition(model_output, x_t, step);
  Tensor log_prob = diffusion::log_prob(x_next, t, options_.reduce).to(at::kDouble);
  return {std::move(log_prob), std::move(t)};
}

Tensor Policy::kl_to_reference(const diffusion::Transition& policy, const Tensor& reference_output, const Tensor& x_t,
                               const Tensor& step, diffusion::Reduce reduce) const {
  const diffusion::Transition base = transition(reference_output, x_t, step);
  return diffusion::gaussian_kl(policy.mean, base.mean, policy.sigma, reduce).to(at::kDouble);
}

Tensor Policy::noise_gap_to_reference(const diffusion::Transition& policy, const Tensor& reference_output,
                                      const Tensor& x_t, const Tensor& step) const {
  const diffusion::Transition base = transition(reference_output, x_t, step);
  const Tensor a = alpha_table_.index_select(0, step);  // eps = (x_t - sqrt(a) x0) / sqrt(1 - a)
  return (policy.x0 - base.x0).to(at::kDouble).square().flatten(1).mean(1) * a / (1 - a);
}

ReferenceKl Policy::reference_kl(const diffusion::Transition& policy, const Tensor& reference_output, const Tensor& x_t,
                                 const Tensor& step) const {
  return {has_densities_ ? kl_to_reference(policy, reference_output, x_t, step, options_.reduce) : Tensor(),
          noise_gap_to_reference(policy, reference_output, x_t, step)};
}

Tensor Policy::unguided_output(const Tensor& x_t, const Tensor& timestep, const nn::Condition& condition) {
  const nn::PrecisionGuard guard(options_.precision, device_);
  return network_.forward(x_t, timestep, condition).to(at::kFloat);
}

Tensor Policy::unguided_reference(const Tensor& x_t, const Tensor& timestep, const nn::Condition& condition) {
  const at::NoGradGuard no_grad;
  const nn::PrecisionGuard guard(options_.precision, device_);
  if (reference_ != nullptr)
    return reference_->forward(x_t, timestep, condition).to(at::kFloat);
  const AdapterOff off(network_);
  return network_.forward(x_t, timestep, condition).to(at::kFloat);
}

Tensor Policy::sample(const std::vector<int64_t>& items, uint64_t seed, const nn::Condition& condition,
                      const diffusion::StepObserver& on_step) {
  const at::NoGradGuard no_grad;
  const diffusion::ModelFunction model = [this](size_t, const Tensor& x_t, const Tensor& timestep, const nn::Condition& c) {
    return run_network(network_, x_t, timestep, c);
  };
  return diffusion::run_chain(*sampler_, model, items, seed, item_shape_, condition, device_, on_step);
}

}  // namespace plumb::align
