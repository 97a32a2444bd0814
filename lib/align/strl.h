// Direct backpropagation with a penalty on the path's KL: what strl and braid share.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "align/alignprop.h"
#include "align/direct.h"

namespace plumb::align {

/// loss = mean_b[ -reward(x0_b) + alpha sum_t KL_t,b ]: the best model is p_pre(x) exp(reward(x) / alpha) / Z where x_0 hardly depends
/// on x_T. Updates run the chain with noise in every step. Source: Uehara et al. 2024, "Fine-tuning of continuous-time diffusion
/// models as entropy-regularized control", alg. 1; with a conservative reward Uehara et al. 2024 (BRAID), alg. 1.
class PathKlTuning : public DirectBackprop {
 public:
  /// Throws Error(kUsage) for a chain with a step that has no density.
  PathKlTuning(const TuningContext& context, const std::string& name);
  io::Json plan() const override;

 protected:
  KeptSteps draw_steps(Philox& random) const override { return truncation_.draw(random); }
  Tensor loss(const Tensor& reward) const override { return draft_loss(reward); }
  std::optional<PathPenalty> path_penalty() const override { return penalty_; }

 private:
  Truncation truncation_;
  PathPenalty penalty_;
};

}  // namespace plumb::align
