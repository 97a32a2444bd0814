// Feynman-Kac steering: particles move by the model's own steps, are weighed by potentials on the reward of the predicted item, and
// resampled where few of them carry the weight. Weights accumulate until then, and the last potential makes up for the others, so that the
// weighted particles follow p(x) exp(r(x) / alpha) however rough the rewards on the way.
// Source: Singhal et al. 2025, "A general framework for inference-time scaling and steering of diffusion models", algorithm 1.
// Particles are resampled before the step's noise is drawn, so that copies part at once.   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "diffusion/particles.h"
#include "diffusion/potentials.h"
#include "diffusion/steering.h"

namespace plumb::diffusion {
namespace {

class FeynmanKac final : public Steering {
 public:
  using Steering::Steering;

  SteeredBatch run(const std::vector<int64_t>& items, const nn::Condition& condition) override {
    const nn::Condition of_rows = condition.index(rows(static_cast<int64_t>(items.size())));  // particles of a group share it: no ancestor changes it
    const Draws noise = draws(items);
    Particles particles(items, context_.options.particles, context_.seed, context_.options.resample);
    Potential potential(context_.options.potential, 1.0 / alpha());
    Tensor state = context_.process.prior(noise);
    for (int64_t i = 0; i < steps(); ++i) {
      Tensor output = network(i, state, of_rows);
      if (has_potential(i)) {
        particles.reweight(potential.on_the_way(expected_reward(i, state, output, of_rows)));
        if (const Tensor ancestors = particles.resample_below(context_.options.ess, i); ancestors.defined()) {
          potential.index(ancestors);
          const Tensor there = ancestors.to(state.device());
          state = state.index_select(0, there);
          output = output.index_select(0, there);
        }
      }
      state = context_.process.advance(i, state, output, context_.process.noise(i, noise));
    }
    const Tensor x0 = context_.process.finish(state);
    particles.reweight(potential.at_the_end(reward_of(x0, of_rows)));
    return {x0.index_select(0, particles.survivors(context_.options.keep, steps()).to(x0.device())), particles.log_z()};
  }

  SteeringCost cost_per_item() const override {
    const int64_t n = context_.options.particles;
    SteeringCost cost{std::vector<int64_t>(static_cast<size_t>(steps()), n), n, 0};
    for (int64_t i = 0; i < steps(); ++i) cost.rewards += has_potential(i) ? n : 0;
    return cost;
  }

 private:
  bool has_potential(int64_t i) const { return i > 0 && i % context_.options.every == 0; }
};

}  // namespace

std::unique_ptr<Steering> make_fk(const SteeringContext& context) { return std::make_unique<FeynmanKac>(context); }

}  // namespace plumb::diffusion
