// TDPO: DDPO with a learned value of each state of the chain as baseline, and an update for every column of steps.
// Source: Zhang et al. 2024, "Confronting reward overoptimization for diffusion models: a perspective of inductive and primacy
// biases" (ICML), and its code.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "align/critic.h"
#include "align/policy_gradient.h"

namespace plumb::align {

/// The whole method; TDPO-R (tdpo_r.cpp) switches the resets on.
class Tdpo : public PolicyGradient {
 public:
  /// context.critic_features is the frozen network whose embedding of the decoded x_i the critic reads.
  Tdpo(const TuningContext& context, bool resets);
  std::string name() const override { return resets_ ? "tdpo-r" : "tdpo"; }
  UpdateLog accumulate_gradients(TuningContext& context, int64_t epoch, int64_t index) override;
  void after_step() override;
  void save(nn::Checkpoint& checkpoint, bool collected) const override;
  void restore(const nn::Checkpoint& checkpoint, bool collected) override;
  io::Json plan() const override;

  Critic& critic() { return critic_; }
  const Tensor& values() const { return value_old_; }    ///< V of the rollout, [N,T] float64
  const Tensor& returns() const { return returns_; }     ///< [N,T] float64, what the critic learns

 protected:
  /// Embeds the decoded states and asks the critic for their values.
  void observe(TuningContext& context, const Rollout& rollout) override;
  /// Temporal rewards A_i = R_i - V_i, whitened over all samples and trained steps of the epoch.
  Tensor advantages(const Rollout& rollout, const Tensor& penalties) override;
  LossTerms loss(const PolicyEvaluation& policy, const TransitionBatch& batch) override;

 private:
  void probe_and_reset();
  Tensor value_of(const Tensor& embedding);

  bool resets_;
  TdpoOptions settings_;
  double clip_range_;
  Critic critic_;
  nn::AdamW optimizer_;
  Tensor embedding_;            // [N,T,E] float32, unit length; zero where a step is not trained
  Tensor value_old_, returns_;  // [N,T] float64
  int64_t epoch_ = 0, index_ = 0, resets_done_ = 0;  // of the update under way
  std::vector<Tensor> dormant_;                      // of the last probe; empty before the first
  double dormant_share_ = 0, dormant_overlap_ = 1;
};

/// (A - mean) / (std + 1e-8) over the columns `steps` of A [N,T], std divided by the count.
Tensor whitened(const Tensor& advantage, const std::vector<int64_t>& steps);

}  // namespace plumb::align
