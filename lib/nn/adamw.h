// AdamW with decoupled weight decay.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "nn/module.h"

namespace plumb::nn {

struct AdamWOptions {
  double lr = 1e-4, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.0;
};

/// Source: Loshchilov & Hutter 2019, algorithm 2, with PyTorch's order of operations (bit-equal to torch.optim.AdamW(fused)).
/// State is plain tensors so that it can be checkpointed and edited (TDPO-R zeroes entries).
class AdamW {
 public:
  AdamW(NamedTensors parameters, AdamWOptions options);
  void step();                       ///< uses .grad() of each parameter; undefined gradients are skipped
  void zero_grad();
  /// Scales all gradients so that their global L2 norm is at most max_norm (<= 0: no clipping); returns the norm before.
  double clip_grad_norm(double max_norm);
  void set_lr(double lr) { options_.lr = lr; }
  double lr() const { return options_.lr; }
  int64_t steps() const { return steps_; }
  const NamedTensors& parameters() const { return parameters_; }
  /// By "<name>.exp_avg", "<name>.exp_avg_sq" (moments) and "<name>.step" (how often this parameter had a gradient).
  NamedTensors state() const;
  void restore(const NamedTensors& state, int64_t steps);

 private:
  NamedTensors parameters_;
  std::vector<Tensor> exp_avg_, exp_avg_sq_, step_;
  AdamWOptions options_;
  int64_t steps_ = 0;
};

}  // namespace plumb::nn
