// Exponential moving average of parameters.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include "nn/module.h"

namespace plumb::nn {

/// shadow <- d * shadow + (1 - d) * value, d = min(decay, (1 + n) / (10 + n)) after n updates (the warm-up of
/// torch-ema, so that early averages are not stuck at the initial weights).
class Ema {
 public:
  Ema(const NamedTensors& parameters, double decay);
  void update(const NamedTensors& parameters);
  const NamedTensors& shadow() const { return shadow_; }
  int64_t updates() const { return updates_; }
  void restore(const NamedTensors& shadow, int64_t updates);

 private:
  NamedTensors shadow_;
  double decay_;
  int64_t updates_ = 0;
};

}  // namespace plumb::nn
