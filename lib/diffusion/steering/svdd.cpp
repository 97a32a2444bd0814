// SVDD: each step has M children, of which one is kept with probability softmax(v(child) / alpha), v(x_t) = r(x0_hat(x_t)) the reward of the
// item that the child is expected to become (the posterior mean form of the soft value alpha log E exp(r(x_0) / alpha)). alpha = 0 keeps the
// best. Biased towards the model's own law for few children, since a step can only choose among what it drew.
// Source: Li et al. 2024, "Derivative-free guidance in continuous and discrete diffusion models with soft value-based decoding", algorithm 1.
// A child's output of the network serves its own next step, so a step costs M rows.   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "diffusion/resampling.h"
#include "diffusion/steering.h"

namespace plumb::diffusion {
namespace {

class SoftValueDecoding final : public Steering {
 public:
  using Steering::Steering;

  SteeredBatch run(const std::vector<int64_t>& items, const nn::Condition& condition) override {
    const auto groups = static_cast<int64_t>(items.size());
    const Tensor parents = rows(groups);
    const nn::Condition of_children = condition.index(parents);
    const Draws noise = draws(items);
    Tensor state = context_.process.prior({context_.seed, items, context_.device});
    Tensor output = network(0, state, condition);
    for (int64_t i = 0; i < steps(); ++i) {
      const bool last = i + 1 == steps();
      if (!is_random(i)) {
        state = context_.process.advance(i, state, output, Tensor());
        if (!last) output = network(i + 1, state, condition);
        continue;
      }
      const Tensor children = context_.process.advance(i, state.index_select(0, parents), output.index_select(0, parents),
                                                       context_.process.noise(i, noise));
      Tensor outputs, values;
      if (last) {
        values = reward_of(context_.process.finish(children), of_children);
      } else {
        outputs = network(i + 1, children, of_children);
        values = expected_reward(i + 1, children, outputs, of_children);
      }
      const Tensor kept = choose(values.reshape({groups, -1}), items, i).to(state.device());
      state = children.index_select(0, kept);
      if (!last) output = outputs.index_select(0, kept);
    }
    return {context_.process.finish(state), {}};
  }

  SteeringCost cost_per_item() const override {
    const int64_t m = context_.options.particles;
    SteeringCost cost{{1}, 0, 0};
    for (int64_t i = 0; i < steps(); ++i) {
      if (i + 1 < steps()) cost.network.push_back(is_random(i) ? m : 1);
      cost.rewards += is_random(i) ? m : 0;
    }
    return cost;
  }

 private:
  /// One row of each group of v [groups, M].
  Tensor choose(const Tensor& v, const std::vector<int64_t>& items, int64_t step) const {
    const Tensor weights = soft_value_weights(v, alpha()).contiguous();
    std::vector<int64_t> kept;
    for (size_t g = 0; g < items.size(); ++g) {
      const double* w = weights.const_data_ptr<double>() + static_cast<int64_t>(g) * v.size(1);
      Philox random(context_.seed, Stream::kResample, static_cast<uint64_t>(items[g]), static_cast<uint32_t>(step));
      kept.push_back(static_cast<int64_t>(g) * v.size(1) + multinomial({w, w + v.size(1)}, {random.uniform()})[0]);
    }
    return at::tensor(kept, at::kLong);
  }
};

}  // namespace

std::unique_ptr<Steering> make_svdd(const SteeringContext& context) { return std::make_unique<SoftValueDecoding>(context); }

}  // namespace plumb::diffusion
