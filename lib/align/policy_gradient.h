// What all policy-gradient methods share: rollouts, advantages, minibatches of stored transitions, KL to the base
// model.
// A method adds its loss (and may override its advantages and order).   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <utility>

#include "align/advantage.h"
#include "align/kl.h"
#include "align/method.h"
#include "align/surrogate.h"
#include "align/update_plan.h"

namespace plumb::align {

/// One minibatch of stored transitions, on the policy's device.
struct TransitionBatch {
  Tensor x_t, x_next;   // [B,*shape] float32
  Tensor step;          // [B] int64, index into the policy's timesteps
  Tensor log_prob_old;  // [B] float64
  Tensor advantage;     // [B] float64
  Tensor sample;        // [B] int64, row of the rollout: what a method stores besides is found by (sample, step)
  nn::Condition condition;
};

class PolicyGradient : public Method {
 public:
  PolicyGradient(const FinetuneOptions& options, const Policy& policy, UpdateOrder order = UpdateOrder::kTrajectories);

  bool collect(TuningContext& context, int64_t epoch) override;
  int64_t updates_per_epoch() const override { return plan_.updates_per_epoch(); }
  UpdateLog accumulate_gradients(TuningContext& context, int64_t epoch, int64_t index) override;
  void save(nn::Checkpoint& checkpoint, bool collected) const override;
  void restore(const nn::Checkpoint& checkpoint, bool collected) override;
  io::Json plan() const override;

  const Rollout& rollout() const { return *rollout_; }
  const Tensor& step_advantages() const { return advantage_; }  ///< [N,T] float64

 protected:
  /// The method's loss on a batch, a mean over its rows.
  virtual LossTerms loss(const PolicyEvaluation& policy, const TransitionBatch& batch) = 0;
  /// Advantages [N,T] from the rollout's rewards and the penalties [N,T] its steps paid (undefined: none). The default
  /// is DDPO's: normalised reward, plus the penalties still to come, clamped.
  virtual Tensor advantages(const Rollout& rollout, const Tensor& penalties);
  /// Rewards normalised as --advantage says, [N].
  Tensor normalised_rewards(const Rollout& rollout);

  const FinetuneOptions& options() const { return options_; }
  const UpdatePlan& update_plan() const { return plan_; }

 private:
  TransitionBatch gather(const TuningContext& context, const std::vector<UpdatePlan::Transition>& picked, size_t begin,
                         size_t end) const;

  FinetuneOptions options_;
  UpdatePlan plan_;
  int64_t sampler_steps_;                 // T
  std::optional<RewardTracker> tracker_;  // per-prompt
  KlController kl_;
  KlShape kl_shape_;
  std::optional<Rollout> rollout_;
  Tensor advantage_;                         // [N,T] float64
  std::map<std::string, double> epoch_log_;  // figures of the rollout, repeated on each update's line
};

}  // namespace plumb::align
