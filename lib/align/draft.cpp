// DRaFT: minus the reward, through the last K calls of the chain.
// Source: Clark et al. 2024, "Directly fine-tuning diffusion models on differentiable rewards", sec. 4 and alg. 1.
// SPDX-License-Identifier: Apache-2.0
#include "align/direct.h"
#include "align/registry.h"
#include "core/error.h"
#include "core/text.h"

namespace plumb::align {
namespace {

class Draft final : public DirectBackprop {
 public:
  explicit Draft(const TuningContext& context) : DirectBackprop(context, "draft"), k_(context.options.draft.k) {
    if (k_ > steps())
      throw Error(Exit::kUsage, "--draft.k", cat(k_, " is more than the chain's ", steps(), " steps"), "0 for all");
  }

  io::Json plan() const override {
    io::Json plan = DirectBackprop::plan();
    plan["kept_steps"] = k_ == 0 ? steps() : k_;
    return plan;
  }

 protected:
  KeptSteps draw_steps(Philox&) const override { return keep_last(steps(), k_); }
  Tensor loss(const Tensor& reward) const override { return draft_loss(reward); }

 private:
  int64_t k_;
};

}  // namespace

std::unique_ptr<Method> make_draft(const TuningContext& context) { return std::make_unique<Draft>(context); }

}  // namespace plumb::align
