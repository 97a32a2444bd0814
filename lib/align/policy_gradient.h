// What all policy-gradient methods share: rollouts, advantages, minibatches of stored transitions, constraints, KL to the
// base model. A method adds its loss (and may override its advantages and order).   SPDX-License-Identifier: Apache-2.0
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
  Tensor row;           // [B] int64 on the CPU, sample * T + step: what a method stores besides in tables [N,T,*]
  nn::Condition condition;
};

class PolicyGradient : public Method {
 public:
  /// order: the method's own; --update-order overrides it.
  explicit PolicyGradient(const TuningContext& context, UpdateOrder order = UpdateOrder::kTrajectories);

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
  /// What the method needs of a new rollout besides its rewards; called before advantages().
  virtual void observe(TuningContext&, const Rollout&) {}
  /// Advantages [N,T] from the rollout's rewards and the penalties [N,T] its steps paid (undefined: none). The default
  /// is DDPO's: normalised reward, plus the penalties still to come, limited.
  virtual Tensor advantages(const Rollout& rollout, const Tensor& penalties);
  /// Values of one reward, [N], on the scale of advantages: `which` is 0 for the trained one, 1 + j for constraint j. The default is what
  /// --advantage says.
  virtual Tensor normalised(const Rollout& rollout, const Tensor& values, size_t which);
  /// Whether updates use this sample of the rollout. An update of which none is used keeps all.
  virtual bool contributes(int64_t /*sample*/) const { return true; }

  /// The normalised reward, with --constraint that of the Lagrangian, [N].
  Tensor normalised_rewards(const Rollout& rollout);
  Tensor limited(const Tensor& advantage) const;  ///< clamped to --advantage-clip
  /// A figure of the epoch's rollout, for the lines of its updates.
  void log_epoch(const std::string& name, double value) { epoch_log_[name] = value; }
  /// --clip-range, or for 0 equivalent_clip_range.
  static double clip_range_of(const TuningContext& context);

  const FinetuneOptions& options() const { return options_; }
  const UpdatePlan& update_plan() const { return plan_; }

 private:
  TransitionBatch gather(const TuningContext& context, const std::vector<UpdatePlan::Transition>& picked, size_t begin,
                         size_t end) const;
  std::vector<UpdatePlan::Transition> used_transitions(int64_t epoch, int64_t index) const;

  FinetuneOptions options_;
  UpdatePlan plan_;
  int64_t sampler_steps_;                 // T
  std::vector<RewardTracker> trackers_;  // of the reward and of each constraint; empty unless per-prompt
  std::vector<RunningMoments> running_;  // the same, of --advantage running
  std::vector<std::string> constraint_names_;
  Multipliers multipliers_;
  KlController kl_;
  KlShape kl_shape_;
  std::optional<Rollout> rollout_;
  Tensor advantage_;                         // [N,T] float64
  Tensor constraint_values_;                 // [J,N] float64, of the rollout
  std::map<std::string, double> epoch_log_;  // figures of the rollout, repeated on each update's line
};

}  // namespace plumb::align
