// DDPO with importance sampling: several updates on each rollout, kept close to the sampling policy by PPO's clipping.
// Source: Black, Janner, Du, Kostrikov, Levine 2024, "Training diffusion models with reinforcement learning", sec. 4.3.
// SPDX-License-Identifier: Apache-2.0
#include "align/policy_gradient.h"
#include "align/registry.h"

namespace plumb::align {
namespace {

class DdpoIs final : public PolicyGradient {
 public:
  explicit DdpoIs(const TuningContext& context) : PolicyGradient(context), clip_range_(clip_range_of(context)) {}
  std::string name() const override { return "ddpo-is"; }

  io::Json plan() const override {
    io::Json plan = PolicyGradient::plan();
    plan["clip_range"] = clip_range_;
    return plan;
  }

 protected:
  LossTerms loss(const PolicyEvaluation& policy, const TransitionBatch& batch) override {
    return clipped_surrogate(policy.log_prob, batch.log_prob_old, batch.advantage, clip_range_);
  }

 private:
  double clip_range_;
};

}  // namespace

std::unique_ptr<Method> make_ddpo_is(const TuningContext& context) { return std::make_unique<DdpoIs>(context); }

}  // namespace plumb::align
