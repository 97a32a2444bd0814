// STRL: a learned reward's own gradient under a KL of the whole path, the baseline that over-optimises where the reward is wrong.
// Source: Uehara et al. 2024, "Fine-tuning of continuous-time diffusion models as entropy-regularized control"; the name is that of
// Uehara et al. 2024 (BRAID).   SPDX-License-Identifier: Apache-2.0
#include "align/strl.h"

#include "align/registry.h"
#include "core/error.h"

namespace plumb::align {

PathKlTuning::PathKlTuning(const TuningContext& context, const std::string& name)
    : DirectBackprop(context, name),
      truncation_(context.options.strl.truncation == "all" ? parse_truncation("fixed:" + std::to_string(steps()), steps())
                                                           : parse_truncation(context.options.strl.truncation, steps(), "--strl.truncation")),
      penalty_{context.options.strl.alpha, diffusion::parse_reduce(context.options.strl.kl_reduce)} {
  if (!context.policy.has_densities())
    throw Error(Exit::kUsage, "--variance", "the KL of the path needs noise in every step", "beta");
}

io::Json PathKlTuning::plan() const {
  io::Json plan = DirectBackprop::plan();
  plan.erase("kl_coef");
  plan["alpha"] = penalty_.alpha;
  plan["truncation"] = options().strl.truncation;
  return plan;
}

std::unique_ptr<Method> make_strl(const TuningContext& context) {
  if (context.reward->is_conservative())
    throw Error(Exit::kUsage, "--reward", "is a conservative one, and strl is the baseline without", "--method braid");
  return std::make_unique<PathKlTuning>(context, "strl");
}

}  // namespace plumb::align
