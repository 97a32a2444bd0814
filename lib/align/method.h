// A fine-tuning method says three things: what it collects, its loss, its state. The loop, monitor, logging, resume and LoRA
// are the trainer's, once (trainer.h).   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/options.h"
#include "diffusion/sampler.h"
#include "diffusion/transition.h"
#include "nn/adamw.h"
#include "nn/checkpoint.h"

namespace plumb::align {

using at::Tensor;

/// Trajectories of one epoch, float32 (rounded latents would break ratio = 1, see policy-gradient notes P1).
struct Rollout {
  std::vector<int64_t> items;          // [N] global indices: epoch * N + i
  nn::Condition condition;             // label [N] or undefined
  std::vector<int64_t> timesteps;      // [T]
  Tensor x;                            // [N,T+1,*shape]: x[:,i] before step i, x[:,T] final, model space
  Tensor log_prob;                     // [N,T] float64, under the policy that sampled
  Tensor stored;                       // [N,*space.shape] decoded items
  Tensor reward;                       // [N] float64, raw
};

/// One minibatch of stored transitions.
struct TransitionBatch {
  Tensor x_t, x_next;                  // [B,*shape]
  Tensor step;                         // [B] int64 index into timesteps
  Tensor timestep;                     // [B] int64
  Tensor log_prob_old;                 // [B] float64
  Tensor advantage;                    // [B] float64
  nn::Condition condition;
};

/// Log-probability and transition of stored x_next under the current policy: the one function that rollouts and updates share,
/// so that the ratio is 1 before the first update.
struct PolicyEvaluation {
  Tensor log_prob;                     // [B] float64
  diffusion::Transition transition;
};

struct LossTerms {
  Tensor loss;                         // scalar
  std::vector<std::pair<std::string, double>> log;   // approx_kl, clip_fraction, ratio_dev, ...
};

class Method {
 public:
  virtual ~Method() = default;
  virtual std::string name() const = 0;
  /// Per-sample (or per-step) advantages from rewards; called once an epoch after the rollout. [N] or [N,T].
  virtual Tensor advantages(const Rollout& rollout) = 0;
  virtual LossTerms loss(const PolicyEvaluation& policy, const TransitionBatch& batch) = 0;
  /// 0 = as many as asked for; 1 for score-function methods, which allow one update per rollout.
  virtual int64_t max_updates_per_epoch() const { return 0; }
  /// Small state beyond the policy's weights and optimiser (reward trackers, critics).
  virtual void save(nn::Checkpoint& checkpoint) const = 0;
  virtual void restore(const nn::Checkpoint& checkpoint) = 0;
};

}  // namespace plumb::align
