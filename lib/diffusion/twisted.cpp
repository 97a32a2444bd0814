// SPDX-License-Identifier: Apache-2.0
#include "diffusion/twisted.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/error.h"
#include "core/text.h"
#include "diffusion/masked.h"
#include "diffusion/masked_process.h"
#include "diffusion/particles.h"

namespace plumb::diffusion {

Tensor guided_log_ratio(const Tensor& sigma, const Tensor& g, const Tensor& z) {
  const Tensor push = per_row(sigma.to(at::kDouble), g) * g.to(at::kDouble);
  return -(push * z.to(at::kDouble) + 0.5 * push.square()).flatten(1).sum(1);
}

TwistedParticles::TwistedParticles(const SteeringContext& context, double first_lambda, Tempering tempering)
    : Steering(context), first_lambda_(first_lambda), tempering_(std::move(tempering)) {
  if (!context.differentiable) {
    throw Error(Exit::kUsage, "--reward", cat("has no gradient, which --steer ", context.options.method, " needs"), "fk, svdd and best-of-n need none");
  }
}

TwistedParticles::Look TwistedParticles::look(int64_t i, const Tensor& state, const nn::Condition& condition) {
  const bool wants_gradient = is_random(i);
  spent_.network[static_cast<size_t>(i)] += state.size(0);
  spent_.rewards += state.size(0);
  if (wants_gradient) spent_.gradients += state.size(0);
  const std::vector<Tensor> seen = in_batches(state.size(0), [&](int64_t begin, int64_t end) {
    between_steps();
    const at::AutoGradMode with_graph(wants_gradient);
    const nn::Condition of_part = condition.slice(begin, end);
    const Tensor part = state.slice(0, begin, end).detach().clone().set_requires_grad(wants_gradient);
    const Tensor output = context_.model(static_cast<size_t>(i), context_.process.network_input(i, part),
                                         context_.process.timestep(i, part.size(0), part.device()), of_part);
    const Tensor values = context_.differentiable(context_.process.predicted_x0(i, part, output), of_part.label);
    std::vector<Tensor> found{output.detach(), values.detach().to(at::kCPU, at::kDouble)};
    if (wants_gradient) found.push_back(torch::autograd::grad({values.sum()}, {part})[0]);  // a sum: rows do not touch each other
    return found;
  });
  for (size_t k = 1; k < seen.size(); ++k) {
    if (!at::isfinite(seen[k]).all().item<bool>()) {
      throw Error(Exit::kBadNumbers, "--reward", cat("its ", k == 1 ? "value" : "gradient", " is not finite at step ", i));
    }
  }
  return {seen[0], seen[1], wants_gradient ? seen[2] : Tensor()};
}

SteeredBatch TwistedParticles::run(const std::vector<int64_t>& items, const nn::Condition& condition) {
  const int64_t n = context_.options.particles;
  const nn::Condition of_rows = condition.index(rows(static_cast<int64_t>(items.size())));
  const Draws draw = draws(items);
  Particles particles(items, n, context_.seed, context_.options.resample);
  std::vector<double> lambda(items.size(), first_lambda_);
  const auto of_particles = [&] { return at::tensor(lambda, at::kDouble).repeat_interleave(n); };

  Tensor state = context_.process.prior(draw);
  Look now = look(0, state, of_rows);
  Tensor twist = of_particles() * now.reward / alpha();  // lambda R / alpha, of which the target so far is made
  particles.reweight(twist);
  for (int64_t i = 0;; ++i) {
    if (const Tensor ancestors = particles.resample_below(context_.options.ess, i); ancestors.defined()) {
      twist = twist.index_select(0, ancestors);
      now.reward = now.reward.index_select(0, ancestors);
      const Tensor there = ancestors.to(state.device());
      state = state.index_select(0, there);
      now.output = now.output.index_select(0, there);
      if (now.gradient.defined()) now.gradient = now.gradient.index_select(0, there);
    }
    const bool last = i + 1 == steps();
    for (size_t g = 0; g < items.size(); ++g) {
      const Tensor value = (now.reward.narrow(0, static_cast<int64_t>(g) * n, n) / alpha()).contiguous();
      const double* v = value.const_data_ptr<double>();
      lambda[g] = last ? 1.0 : tempering_(i + 1, particles.log_w(g), {v, v + n}, lambda[g]);
    }
    Tensor noise = context_.process.noise(i, draw), log_ratio = at::zeros({state.size(0)}, at::kDouble);
    const auto* masked = dynamic_cast<const MaskedProcess*>(&context_.process);
    if (masked != nullptr) {
      const Tensor pull = per_row((of_particles() / alpha()).to(state.device(), state.scalar_type()), state) * now.gradient, gain = pull - mask_share(pull);
      const TwistedStep step = twisted_step(masked->log_probs(i, state, now.output), gain);
      const Tensor next = masked_step(state, step.log_q, noise);
      log_ratio = twisted_log_ratio(step, gain, state, next).cpu();
      state = next;
    } else if (noise.defined()) {
      const auto step = context_.process.transition(i, state, now.output);
      if (!step) throw Error(Exit::kUsage, "--steer", cat(context_.options.method, " needs steps with a density, which this chain has not"), "fk, svdd or best-of-n");
      const Tensor pull = per_row((of_particles() / alpha()).to(state.device(), state.scalar_type()), state) * now.gradient;
      log_ratio = guided_log_ratio(step->sigma, pull, noise).cpu();
      noise = noise + per_row(step->sigma, state).to(state.scalar_type()) * pull;  // sigma (z + sigma G) = sigma^2 G + sigma z
    }
    if (masked == nullptr) state = context_.process.advance(i, state, now.output, noise);
    const Tensor x0 = last ? context_.process.finish(state) : Tensor();
    if (last) now = {{}, reward_of(x0, of_rows), {}};
    else now = look(i + 1, state, of_rows);
    const Tensor next_twist = of_particles() * now.reward / alpha();
    particles.reweight(log_ratio + next_twist - twist);
    twist = next_twist;
    if (last) return {x0.index_select(0, particles.survivors(context_.options.keep, steps()).to(x0.device())), particles.log_z()};
  }
}

SteeringCost TwistedParticles::cost_per_item() const {
  const int64_t n = context_.options.particles;
  SteeringCost cost{std::vector<int64_t>(static_cast<size_t>(steps()), n), n * (steps() + 1), 0};
  for (int64_t i = 0; i < steps(); ++i) cost.gradients += is_random(i) ? n : 0;
  return cost;
}

}  // namespace plumb::diffusion
