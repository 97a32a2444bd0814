// DRAKES: the reward's gradient through the last draws of a masked chain, relaxed by Gumbel-softmax; the reward sees the letters of largest
// share, and the KL of the path holds the model back.
// Source: Wang et al. 2025, "Fine-tuning discrete diffusion models via reward optimization with applications to DNA and protein design",
// alg. 1, and its code (ChenyuWang-Monica/DRAKES).   SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "align/direct.h"
#include "align/registry.h"
#include "core/error.h"
#include "core/text.h"
#include "diffusion/masked.h"
#include "diffusion/masked_process.h"

namespace plumb::align {
namespace {

constexpr int64_t kPublishedSteps = 50;  // with a gradient, of 128

const diffusion::MaskedProcess& masked_chain(const Policy& policy) {
  const auto* process = dynamic_cast<const diffusion::MaskedProcess*>(&policy.process());
  if (process == nullptr)
    throw Error(Exit::kUsage, "--method", "drakes is for models of masked letters", "pretrain --process masked; or --method strl");
  return *process;
}

class Drakes final : public DirectBackprop {
 public:
  explicit Drakes(const TuningContext& context)
      : DirectBackprop(context, "drakes"),
        process_(masked_chain(context.policy)),
        settings_(context.options.drakes),
        k_(settings_.k.value_or(std::min(kPublishedSteps, steps()))) {
    if (k_ > steps())
      throw Error(Exit::kUsage, "--drakes.k", cat(k_, " is more than the chain's ", steps(), " steps"), "0 for all");
  }

  io::Json plan() const override {
    io::Json plan = DirectBackprop::plan();
    plan.erase("kl_coef");
    plan["kept_steps"] = k_ == 0 ? steps() : k_;
    plan["alpha"] = settings_.alpha;
    return plan;
  }

 protected:
  KeptSteps draw_steps(Philox&) const override { return keep_last(steps(), k_); }
  Tensor loss(const Tensor& reward) const override { return draft_loss(reward); }

  Tensor advance(const diffusion::ReverseProcess&, int64_t i, const Tensor& state, const Tensor& output,
                 const Tensor& noise) const override {
    if (!output.requires_grad())
      return process_.advance(i, state, output, noise);
    if (settings_.relax == "letters")
      return diffusion::relaxed_letter_step(state, diffusion::letter_log_probs(output, state), process_.mask_chance_before(i),
                                            process_.mask_chance_after(i), noise, settings_.tau);
    return diffusion::relaxed_masked_step(state, process_.log_probs(i, state, output), noise, settings_.tau);
  }

  std::optional<PathPenalty> path_penalty() const override {
    PathPenalty penalty;
    penalty.alpha = settings_.alpha;
    penalty.early = settings_.kl == "exact";
    if (settings_.kl == "published")
      penalty.form = [this](int64_t i, const Tensor& state, const Tensor& output, const Tensor& reference) {
        return diffusion::published_step_kl(state, output, reference, process_.mask_chance_before(i));
      };
    return penalty;
  }

 private:
  const diffusion::MaskedProcess& process_;
  DrakesOptions settings_;
  int64_t k_;
};

}  // namespace

std::unique_ptr<Method> make_drakes(const TuningContext& context) { return std::make_unique<Drakes>(context); }

}  // namespace plumb::align
