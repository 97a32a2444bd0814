// SPDX-License-Identifier: Apache-2.0
#include "diffusion/reward_guidance.h"

#include <utility>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/error.h"
#include "core/text.h"

namespace plumb::diffusion {

Tensor shift_noise(PredictionType type, const Tensor& output, const Tensor& a, const Tensor& shift) {
  switch (type) {
    case PredictionType::kEpsilon: return output + shift;
    case PredictionType::kSample: return output - ((1 - a) / a).sqrt() * shift;
    case PredictionType::kV: return output + shift / a.sqrt();
  }
  return output;
}

Tensor look_ahead_weight(const Tensor& a, const Tensor& gradient_norm2, double sigma) {
  return 0.5 * a / (a * sigma * sigma + (1 - a) * gradient_norm2);
}

namespace {

NoiseSchedule gaussian_schedule(const nlohmann::ordered_json& schedule, const std::string& where) {
  if (schedule.value("process", std::string("gaussian")) != "gaussian") {
    throw Error(Exit::kUsage, "--guide", cat("shifts predicted noise, and ", where, " predicts none"), "--steer");
  }
  return NoiseSchedule(ScheduleOptions::from_json(schedule, where));
}

}  // namespace

RewardGuidance::RewardGuidance(ModelFunction model, const ReverseProcess& process, const nlohmann::ordered_json& schedule, RewardFunction reward,
                               const GuidanceOptions& options, const std::string& where)
    : model_(std::move(model)), process_(process), schedule_(gaussian_schedule(schedule, where)), reward_(std::move(reward)), options_(options) {
  if (!reward_) throw Error(Exit::kUsage, "--reward", "has no gradient, which --guide needs", "--steer fk, svdd and best-of-n need none");
}

ModelFunction RewardGuidance::function() {
  return [this](size_t i, const Tensor& x_t, const Tensor& timestep, const nn::Condition& condition) { return output(i, x_t, timestep, condition); };
}

Tensor RewardGuidance::output(size_t i, const Tensor& x_t, const Tensor& timestep, const nn::Condition& condition) {
  const bool through = options_.at == "x0";
  Tensor own, value, gradient;
  {
    const at::AutoGradMode with_graph(true);
    const Tensor x = x_t.detach().clone().set_requires_grad(true);
    if (through) own = model_(i, x, timestep, condition);
    const Tensor r = reward_(through ? process_.predicted_x0(static_cast<int64_t>(i), x, own) : x, condition.label);
    gradient = torch::autograd::grad({r.sum()}, {x})[0];  // of a sum, so each row has its own
    value = r.detach().to(x_t.scalar_type());
  }
  own = through ? own.detach() : model_(i, x_t, timestep, condition);
  rewards_ += x_t.size(0);
  if (!at::isfinite(value).all().item<bool>()) throw Error(Exit::kBadNumbers, "--reward", cat("is not finite in step ", i), "one that is finite everywhere");
  if (!at::isfinite(gradient).all().item<bool>()) {
    throw Error(Exit::kBadNumbers, "--guide", cat("the reward's gradient is not finite in step ", i), "a smaller --guide-strength");
  }
  const Tensor a = per_row(schedule_.alpha_cumprod(timestep).to(x_t.device(), x_t.scalar_type()), x_t);
  Tensor gamma;
  if (options_.weight == "look-ahead") gamma = 2 * look_ahead_weight(a, per_row(gradient.flatten(1).square().sum(1), x_t), options_.sigma);
  else gamma = at::full_like(a, options_.strength.value());
  if (options_.reduce == "mean") gamma = gamma / static_cast<double>(x_t.size(0));
  if (options_.target) gradient = per_row(*options_.target - value, x_t) * gradient;  // of -(y* - r)^2 / 2
  return shift_noise(schedule_.prediction_type(), own, a, -(1 - a).sqrt() * gamma * gradient);
}

}  // namespace plumb::diffusion
