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

void refuse_guidance_without_class(const nn::Denoiser& network, const PolicyOptions& options) {
  const bool without_class =
      network.num_classes() == 0 || options.classes == std::vector<int64_t>{network.num_classes()};
  if (options.guidance_scale != 1.0 && without_class)
    throw Error(Exit::kUsage, "--guidance-scale", "samples without a class have nothing to be guided to",
                "leave it at 1");
}

std::vector<int64_t> all_of(int64_t steps) {
  std::vector<int64_t> indices(static_cast<size_t>(steps));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  return indices;
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
  const bool beta = options.variance == "beta";
  if (options.needs_density && (beta || !(options.eta > 0)))
    throw Error(Exit::kUsage, beta ? "--variance" : "--eta",
                beta ? "policy gradients step by DDIM" : "policy gradients need noise in every step: at 0 a step has no density",
                beta ? "posterior" : "use --eta 1");
  refuse_guidance_without_class(network, options);
  timesteps_ = schedule.timesteps(options.num_inference_steps);
  timestep_table_ = at::tensor(timesteps_, at::kLong).to(device);
  std::vector<double> alpha, alpha_next;
  for (size_t i = 0; i < timesteps_.size(); ++i) {
    const int64_t t = timesteps_[i];
    alpha.push_back(schedule.alpha_cumprod(t));
    if (beta)  // ends at the clean sample, as ddpm does
      alpha_next.push_back(i + 1 < timesteps_.size() ? schedule.alpha_cumprod(timesteps_[i + 1]) : 1.0);
    else
      alpha_next.push_back(schedule.alpha_cumprod(schedule.previous_timestep(t, options.num_inference_steps)));
    const bool idle = !(alpha_next.back() > alpha.back());  // the last of all T, where the schedule has set_alpha_to_one false
    if (idle && options.needs_density)
      throw Error(Exit::kUsage, "--sampler-steps", cat("the step from timestep ", t, " does nothing"),
                  "the model's schedule must have steps_offset 1");
    const bool density = beta || (options.eta > 0 && alpha_next.back() < 1.0 && !idle);
    density_.push_back(density);
    if (!density && options.needs_density)
      throw Error(Exit::kUsage, "--sampler-steps", cat("the step from timestep ", t, " has no noise, so no density"),
                  "the model's schedule must have set_alpha_to_one false");
    has_densities_ = has_densities_ && density;
    if (!density || beta)
      continue;
    if (options.max_step_gain == 0 || step_gain(alpha.back(), alpha_next.back(), options.eta) <= options.max_step_gain)
      trained_steps_.push_back(static_cast<int64_t>(alpha.size()) - 1);
  }
  if (trained_steps_.empty() && options.needs_density)
    throw Error(Exit::kUsage, "--max-step-gain", cat(options.max_step_gain, " leaves no step to train on"),
                "raise it, or 0 for all steps");
  alpha_table_ = at::tensor(alpha, at::kDouble).to(device);
  alpha_next_table_ = at::tensor(alpha_next, at::kDouble).to(device);
  const diffusion::SamplerOptions sampler{.name = beta ? "ddpm" : "ddim",
                                          .num_inference_steps = options.num_inference_steps,
                                          .eta = options.eta,
                                          .variance = options.variance};
  training_ = diffusion::make_gaussian_process(sampler, schedule, item_shape, beta);
  if (beta) {
    trained_steps_ = all_of(steps());
    sampling_ = diffusion::make_gaussian_process(sampler, schedule, item_shape);
  }
}

Policy::Policy(nn::Denoiser& network, nn::Denoiser* reference, std::unique_ptr<diffusion::ReverseProcess> process,
               const std::vector<int64_t>& item_shape, const PolicyOptions& options, at::Device device)
    : network_(network),
      reference_(reference),
      item_shape_(item_shape),
      options_(options),
      device_(device),
      training_(std::move(process)),
      trained_steps_(all_of(training_->steps())) {
  if (options.needs_density)
    throw Error(Exit::kUsage, "--method", "policy gradients need Gaussian noise, and this model has none",
                "one that follows the reward's own gradient, such as strl");
  if (!training_->is_markov())
    throw Error(Exit::kUsage, "--sampler-steps", "the chain remembers earlier steps, so its path has no KL");
  refuse_guidance_without_class(network, options);
}

Policy make_policy(nn::Denoiser& network, nn::Denoiser* reference, const io::Json& schedule, const std::string& where,
                   const std::vector<int64_t>& item_shape, const PolicyOptions& options, at::Device device) {
  if (schedule.value("process", "gaussian") == "gaussian")
    return Policy(network, reference, diffusion::NoiseSchedule(diffusion::ScheduleOptions::from_json(schedule, where)), item_shape,
                  options, device);
  return Policy(network, reference,
                diffusion::make_reverse_process(schedule, {.num_inference_steps = options.num_inference_steps}, item_shape, where),
                item_shape, options, device);
}

const diffusion::NoiseSchedule& Policy::schedule() const {
  if (!schedule_)
    throw Error(Exit::kUsage, "--method", "this one needs Gaussian noise, and the model has none", "strl, braid or draft");
  return *schedule_;
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

Tensor Policy::run_reference(const Tensor& x_t, const Tensor& timestep, const nn::Condition& condition) const {
  if (reference_ != nullptr)
    return run_network(*reference_, x_t, timestep, condition);
  const AdapterOff off(network_);
  return run_network(network_, x_t, timestep, condition);
}

Tensor Policy::step_output(int64_t i, const Tensor& state, const nn::Condition& condition) {
  return run_network(network_, training_->network_input(i, state), training_->timestep(i, state.size(0), device_), condition);
}

Tensor Policy::step_reference(int64_t i, const Tensor& state, const nn::Condition& condition) {
  const at::AutoGradMode gradients(at::GradMode::is_enabled() && state.requires_grad());
  return run_reference(training_->network_input(i, state), training_->timestep(i, state.size(0), device_), condition);
}

ReferenceKl Policy::step_kl(int64_t i, const Tensor& state, const Tensor& output, const Tensor& reference_output,
                            diffusion::Reduce reduce) const {
  if (is_gaussian()) {
    const Tensor step = at::full({state.size(0)}, i, at::TensorOptions(device_).dtype(at::kLong));
    const diffusion::Transition own = transition(output, state, step);
    return {density_.at(static_cast<size_t>(i)) ? kl_to_reference(own, reference_output, state, step, reduce) : Tensor(),
            noise_gap_to_reference(own, reference_output, step)};
  }
  const Tensor sum = training_->step_kl(i, state, output, reference_output);
  return {reduce == diffusion::Reduce::kSum ? sum : sum / static_cast<double>(state.numel() / state.size(0)), Tensor()};
}

Tensor Policy::model_output(const Tensor& x_t, const Tensor& step, const nn::Condition& condition) {
  return run_network(network_, x_t, timestep_table_.index_select(0, step), condition);
}

Tensor Policy::reference_output(const Tensor& x_t, const Tensor& step, const nn::Condition& condition) {
  const at::NoGradGuard no_grad;
  return run_reference(x_t, timestep_table_.index_select(0, step), condition);
}

diffusion::Transition Policy::transition(const Tensor& model_output, const Tensor& x_t, const Tensor& step) const {
  const Tensor a = alpha_table_.index_select(0, step), b = alpha_next_table_.index_select(0, step);
  const bool clip = schedule().options().clip_sample;
  if (options_.variance == "beta")
    return diffusion::ddpm_transition(schedule().prediction_type(), model_output, x_t, a, b, diffusion::StepVariance::kBeta, clip);
  return diffusion::ddim_transition(schedule().prediction_type(), model_output, x_t, a, b, options_.eta, clip);
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

Tensor Policy::noise_gap_to_reference(const diffusion::Transition& policy, const Tensor& reference_output, const Tensor& step) const {
  const Tensor a = alpha_table_.index_select(0, step), gap = (policy.output - reference_output).to(at::kDouble).square().flatten(1).mean(1);
  switch (schedule().prediction_type()) {
    case diffusion::PredictionType::kEpsilon: return gap;
    case diffusion::PredictionType::kSample: return gap * a / (1 - a);  // eps = (x_t - sqrt(a) x0) / sqrt(1 - a)
    case diffusion::PredictionType::kV: return gap * a;                 // eps = sqrt(a) v + sqrt(1 - a) x_t
  }
  throw Error(Exit::kFailed, "prediction_type", "not handled");
}

ReferenceKl Policy::reference_kl(const diffusion::Transition& policy, const Tensor& reference_output, const Tensor& x_t,
                                 const Tensor& step) const {
  return {has_densities_ ? kl_to_reference(policy, reference_output, x_t, step, options_.reduce) : Tensor(),
          noise_gap_to_reference(policy, reference_output, step)};
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

Tensor Policy::sample(const diffusion::Draws& draws, const nn::Condition& condition, const diffusion::ProcessObserver& on_step) {
  const at::NoGradGuard no_grad;
  const diffusion::ModelFunction model = [this](size_t i, const Tensor& x_t, const Tensor& timestep, const nn::Condition& c) {
    return options_.base_below > 0 && timesteps_.at(i) < options_.base_below ? run_reference(x_t, timestep, c)
                                                                             : run_network(network_, x_t, timestep, c);
  };
  return diffusion::run_process(sampling_ ? *sampling_ : *training_, model, draws, condition, on_step);
}

}  // namespace plumb::align
