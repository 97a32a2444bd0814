// Group-relative advantages on DDPO's rollouts: a sample is compared with those of its own prompt in this epoch, without a
// history. Source: Shao et al. 2024 (GRPO); Liu et al. 2025 (Flow-GRPO) and its code for the standard deviation, the 1e-4
// and the dropped samples.   SPDX-License-Identifier: Apache-2.0
#include "align/policy_gradient.h"
#include "align/registry.h"

namespace plumb::align {
namespace {

class Grpo final : public PolicyGradient {
 public:
  explicit Grpo(const TuningContext& context)
      : PolicyGradient(context), clip_range_(clip_range_of(context)), spread_(parse_group_spread(context.options.grpo.std)) {}
  std::string name() const override { return "grpo"; }

  io::Json plan() const override {
    io::Json plan = PolicyGradient::plan();
    plan["clip_range"] = clip_range_;
    return plan;
  }

 protected:
  Tensor normalised(const Rollout& rollout, const Tensor& values, size_t) override {
    return group_advantage(rollout.prompts(), values, spread_);
  }
  /// A sample that equals its group's mean says nothing; kept, it would only dilute the update's mean.
  bool contributes(int64_t sample) const override { return step_advantages()[sample].abs().max().item<double>() > 0; }
  LossTerms loss(const PolicyEvaluation& policy, const TransitionBatch& batch) override {
    return clipped_surrogate(policy.log_prob, batch.log_prob_old, batch.advantage, clip_range_);
  }

 private:
  double clip_range_;
  GroupSpread spread_;
};

}  // namespace

std::unique_ptr<Method> make_grpo(const TuningContext& context) { return std::make_unique<Grpo>(context); }

}  // namespace plumb::align
