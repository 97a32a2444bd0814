// The registry of steering methods, and what they share.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/steering.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"

namespace plumb::diffusion {

#define PLUMB_STEERING(identifier, name, summary) std::unique_ptr<Steering> make_##identifier(const SteeringContext& context);
#include "diffusion/steerings.def"
#undef PLUMB_STEERING

std::unique_ptr<Steering> make_steering(const SteeringContext& context) {
#define PLUMB_STEERING(identifier, method_name, summary) \
  if (context.options.method == method_name) return make_##identifier(context);
#include "diffusion/steerings.def"
#undef PLUMB_STEERING
  throw Error(Exit::kUsage, "--steer", "unknown value '" + context.options.method + "'", join(steering_names(), ", "));
}

Steering::Steering(const SteeringContext& context) : context_(context) {
  spent_.network.assign(static_cast<size_t>(steps()), 0);
  if (context.options.method == "best-of-n") return;
  if (!context.process.is_markov()) {
    throw Error(Exit::kUsage, "--sampler", cat("has a memory, so --steer ", context.options.method, " cannot choose among its states"), "ddim or ddpm");
  }
  for (int64_t i = 0; i < steps(); ++i) {
    if (is_random(i)) return;
  }
  throw Error(Exit::kUsage, "--steer", cat(context.options.method, " chooses among random steps, and no step is random"),
              "an --eta above 0, or --steer best-of-n");
}

std::vector<Tensor> Steering::in_batches(int64_t rows, const Rows& compute) const {
  if (rows <= context_.batch_size) return compute(0, rows);
  std::vector<std::vector<Tensor>> parts;
  for (int64_t at = 0; at < rows; at += context_.batch_size) {
    const std::vector<Tensor> part = compute(at, std::min(at + context_.batch_size, rows));
    parts.resize(part.size());
    for (size_t k = 0; k < part.size(); ++k) parts[k].push_back(part[k]);
  }
  std::vector<Tensor> whole;
  for (const auto& part : parts) whole.push_back(at::cat(part));
  return whole;
}

Tensor Steering::network(int64_t i, const Tensor& state, const nn::Condition& condition) {
  spent_.network[static_cast<size_t>(i)] += state.size(0);
  return in_batches(state.size(0), [&](int64_t begin, int64_t end) -> std::vector<Tensor> {
    between_steps();
    const Tensor part = state.slice(0, begin, end);
    return {context_.model(static_cast<size_t>(i), context_.process.network_input(i, part),
                           context_.process.timestep(i, part.size(0), part.device()), condition.slice(begin, end))};
  })[0];
}

Tensor Steering::values(const RewardFunction& reward, const Tensor& x0, const nn::Condition& condition) {
  spent_.rewards += x0.size(0);
  const at::NoGradGuard no_grad;
  const Tensor values = in_batches(x0.size(0), [&](int64_t begin, int64_t end) -> std::vector<Tensor> {
    return {reward(x0.slice(0, begin, end), condition.slice(begin, end).label).to(at::kCPU, at::kDouble)};
  })[0];
  if (values.sizes() != at::IntArrayRef({x0.size(0)})) {
    throw Error(Exit::kFailed, "--reward", cat("returned ", values.numel(), " values for ", x0.size(0), " samples"));
  }
  if (!at::isfinite(values).all().item<bool>()) throw Error(Exit::kBadNumbers, "--reward", "a value is not finite");
  return values;
}

Tensor Steering::reward_of(const Tensor& x0, const nn::Condition& condition) { return values(context_.reward, x0, condition); }

Tensor Steering::expected_reward(int64_t i, const Tensor& state, const Tensor& output, const nn::Condition& condition) {
  return values(context_.differentiable ? context_.differentiable : context_.reward, context_.process.predicted_x0(i, state, output), condition);
}

bool Steering::is_random(int64_t i) const { return context_.process.noise(i, {context_.seed, {0}, context_.device, Stream::kParticle}).defined(); }

Draws Steering::draws(const std::vector<int64_t>& items) const {
  Draws draws{context_.seed, {}, context_.device, Stream::kParticle};
  const int64_t n = context_.options.particles;
  for (const int64_t item : items) {
    for (int64_t j = 0; j < n; ++j) draws.items.push_back(item * n + j);
  }
  return draws;
}

Tensor Steering::rows(int64_t groups) const {
  return at::arange(groups, at::kLong).repeat_interleave(context_.options.particles).to(context_.device);
}

Tensor soft_value_weights(const Tensor& v, double alpha) {
  if (alpha > 0) return at::softmax((v - v.amax(-1, true)) / alpha, -1);  // the largest at 0: v / alpha alone may overflow
  return at::zeros_like(v).scatter(-1, v.argmax(-1, true), 1.0);
}

}  // namespace plumb::diffusion
