// Where AlignProp cuts the gradient.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "align/direct.h"

namespace plumb::align {

/// A distribution of kept steps.
struct Truncation {
  enum class Kind { kGaussian, kUniform, kFixed, kPerStep };
  Kind kind = Kind::kGaussian;
  int64_t steps = 1;        // T
  double mean = 0, sd = 0;  // kGaussian: of the first kept step
  int64_t k = 1;            // kFixed

  /// kGaussian: first kept step int(N(mean, sd)), drawn again until it is 1 to T-1. kUniform: 0 to T-1, all alike. kPerStep:
  /// step i with probability (i+1)/(T+1), by itself; drawn again if none is kept. Source: the AlignProp code, as published
  /// (per step) and now.
  KeptSteps draw(Philox& random) const;
};

/// "auto" (gaussian:MEAN:SD of the published 42 and 5 for 50 steps, scaled to `steps`), "gaussian:MEAN:SD" with MEAN in steps from
/// the chain's start, "uniform", "fixed:K", "per-step". Throws Error(kUsage, option) naming a value that fits no chain of `steps` steps.
Truncation parse_truncation(const std::string& text, int64_t steps, const std::string& option = "--alignprop.truncation");

}  // namespace plumb::align
