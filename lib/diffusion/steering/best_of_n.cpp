// Best of N: N independent samples, weighed once at the end by exp(r(x_0) / alpha): importance sampling from the model's own law, whose
// limit of alpha = 0 is the best of them.   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "diffusion/particles.h"
#include "diffusion/steering.h"

namespace plumb::diffusion {
namespace {

class BestOfN final : public Steering {
 public:
  using Steering::Steering;

  SteeredBatch run(const std::vector<int64_t>& items, const nn::Condition& condition) override {
    const nn::Condition of_rows = condition.index(rows(static_cast<int64_t>(items.size())));
    const Draws noise = draws(items);
    Tensor state = context_.process.prior(noise);
    for (int64_t i = 0; i < steps(); ++i) {
      state = context_.process.advance(i, state, network(i, state, of_rows), context_.process.noise(i, noise));
    }
    const Tensor x0 = context_.process.finish(state);
    Particles particles(items, context_.options.particles, context_.seed, context_.options.resample);
    particles.reweight(reward_of(x0, of_rows) / context_.options.alpha.value_or(1.0));
    const Tensor kept = particles.survivors(context_.options.keep, steps()).to(x0.device());
    return {x0.index_select(0, kept), context_.options.alpha ? particles.log_z() : std::vector<double>{}};
  }

  SteeringCost cost_per_item() const override {
    const int64_t n = context_.options.particles;
    return {std::vector<int64_t>(static_cast<size_t>(steps()), n), n, 0};
  }
};

}  // namespace

std::unique_ptr<Steering> make_best_of_n(const SteeringContext& context) { return std::make_unique<BestOfN>(context); }

}  // namespace plumb::diffusion
