// DDPO with the score-function estimator (REINFORCE): one update on each rollout, no ratio.
// Source: Black et al. 2024, "Training diffusion models with reinforcement learning", eq. 3.
// SPDX-License-Identifier: Apache-2.0
#include "align/policy_gradient.h"
#include "align/registry.h"
#include "core/error.h"
#include "core/text.h"

namespace plumb::align {
namespace {

class DdpoSf final : public PolicyGradient {
 public:
  explicit DdpoSf(const TuningContext& context) : PolicyGradient(context) {
    if (updates_per_epoch() != 1)
      throw Error(Exit::kUsage, "--method", cat("ddpo-sf allows one update per rollout, not ", updates_per_epoch()),
                  "leave out --train-batch-size and --inner-epochs, or use ddpo-is");
  }
  std::string name() const override { return "ddpo-sf"; }

 protected:
  LossTerms loss(const PolicyEvaluation& policy, const TransitionBatch& batch) override {
    return score_function(policy.log_prob, batch.log_prob_old, batch.advantage);
  }
};

}  // namespace

std::unique_ptr<Method> make_ddpo_sf(const TuningContext& context) { return std::make_unique<DdpoSf>(context); }

}  // namespace plumb::align
