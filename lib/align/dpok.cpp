// DPOK: a KL-regularised policy gradient with a learned value of each state as baseline.
// Source: Fan et al. 2023, "DPOK: reinforcement learning for fine-tuning text-to-image diffusion models", alg. 1, and its
// code. The KL term is PolicyGradient's (--kl-coef, --kl-form).   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include <optional>

#include "align/critic.h"
#include "align/policy_gradient.h"
#include "align/registry.h"
#include "align/value_network.h"
#include "core/philox.h"

namespace plumb::align {
namespace {

class Dpok final : public PolicyGradient {
 public:
  explicit Dpok(const TuningContext& context)
      : PolicyGradient(context), settings_(context.options.dpok), clip_range_(clip_range_of(context)) {
    if (settings_.value_updates == 0)
      return;
    const int64_t classes = context.policy.num_classes() > 0 ? context.policy.num_classes() + 1 : 0;
    value_.emplace(context.policy.dimension(), classes, context.policy.steps(), context.options.seed);
    value_->to(context.policy.device());
    optimizer_.emplace(value_->parameters(),
                       nn::AdamWOptions{.lr = settings_.value_lr, .weight_decay = decay(context.options)});
  }
  std::string name() const override { return "dpok"; }

  io::Json plan() const override {
    io::Json plan = PolicyGradient::plan();
    plan["clip_range"] = clip_range_;
    if (value_)
      plan["value_updates_per_epoch"] = settings_.value_updates;
    return plan;
  }

  void end_epoch(TuningContext& context, int64_t epoch) override {
    if (value_)
      fit_value(context, epoch);
  }

  void save(nn::Checkpoint& checkpoint, bool collected) const override {
    PolicyGradient::save(checkpoint, collected);
    if (!value_)
      return;
    checkpoint.state["dpok"] = {{"value_steps", optimizer_->steps()}};
    checkpoint.add("value/", optimizer_->parameters());
    checkpoint.add("value_adamw/", optimizer_->state());
    if (collected)
      checkpoint.tensors.emplace_back("rollout/target", target_);
  }

  void restore(const nn::Checkpoint& checkpoint, bool collected) override {
    PolicyGradient::restore(checkpoint, collected);
    if (!value_)
      return;
    const at::NoGradGuard no_grad;
    for (const auto& [name, value] : optimizer_->parameters())
      Tensor(value).copy_(checkpoint.tensor("value/" + name));
    optimizer_->restore(checkpoint.with_prefix("value_adamw/"),
                        checkpoint.state.at("dpok").at("value_steps").get<int64_t>());
    if (collected)
      target_ = checkpoint.tensor("rollout/target");
  }

 protected:
  void observe(TuningContext& context, const Rollout& rollout) override {
    if (!value_)
      return;
    const at::NoGradGuard no_grad;
    const int64_t n = rollout.size();
    baseline_ = at::empty({n, rollout.steps()}, at::kDouble);
    for (int64_t i = 0; i < rollout.steps(); ++i)
      baseline_.select(1, i).copy_(value_of(context, rollout, at::arange(n), at::full({n}, i, at::kLong)));
  }

  Tensor advantages(const Rollout& rollout, const Tensor& penalties) override {
    const Tensor reward = settings_.reward == "raw" ? rollout.reward : normalised_rewards(rollout);
    target_ = discounted_returns(reward, penalties, rollout.steps(), 1.0).contiguous();
    if (!value_)
      return limited(target_);
    const Tensor trained = at::tensor(update_plan().steps, at::kLong);
    log_epoch("value_explained_variance",
              explained_variance(baseline_.index_select(1, trained), target_.index_select(1, trained)));
    return limited(target_ - baseline_);
  }

  LossTerms loss(const PolicyEvaluation& policy, const TransitionBatch& batch) override {
    return settings_.clip == "clamp"
               ? clamped_surrogate(policy.log_prob, batch.log_prob_old, batch.advantage, clip_range_)
               : clipped_surrogate(policy.log_prob, batch.log_prob_old, batch.advantage, clip_range_);
  }

 private:
  /// V of (sample, step) pairs of a rollout, [B] float64 on the policy's device.
  Tensor value_of(const TuningContext& context, const Rollout& rollout, const Tensor& sample, const Tensor& step) {
    const at::Device device = context.policy.device();
    const Tensor x_t = rollout.x.flatten(0, 1).index_select(0, sample * (rollout.steps() + 1) + step).to(device);
    return value_->forward(x_t, step.to(device), rollout.condition.index(sample).to(device)).to(at::kDouble);
  }

  /// After the policy's updates, so that the baseline of an epoch has not seen its rewards: mean squared error to the
  /// returns of random trained transitions.
  void fit_value(const TuningContext& context, int64_t epoch) {
    const std::vector<int64_t>& steps = update_plan().steps;
    const int64_t all = rollout().size() * static_cast<int64_t>(steps.size()), count = std::min(all, settings_.value_batch);
    for (int64_t update = 0; update < settings_.value_updates; ++update) {
      Philox random(options().seed, Stream::kValueBatch, static_cast<uint64_t>(epoch), static_cast<uint32_t>(update));
      std::vector<int64_t> order = permutation(all, random), sample, step;
      for (int64_t k = 0; k < count; ++k) {
        const int64_t pick = order[static_cast<size_t>(k)], width = static_cast<int64_t>(steps.size());
        sample.push_back(pick / width);
        step.push_back(steps[static_cast<size_t>(pick % width)]);
      }
      const Tensor samples = at::tensor(sample, at::kLong), picked = at::tensor(step, at::kLong);
      const Tensor wanted = target_.flatten().index_select(0, samples * target_.size(1) + picked);
      optimizer_->zero_grad();
      const Tensor value = value_of(context, rollout(), samples, picked);
      (value - wanted.to(value.device())).square().mean().backward();
      optimizer_->step();
    }
  }

  DpokOptions settings_;
  double clip_range_;
  std::optional<ValueNetwork> value_;
  std::optional<nn::AdamW> optimizer_;
  Tensor baseline_, target_;  // [N,T] float64
};

}  // namespace

std::unique_ptr<Method> make_dpok(const TuningContext& context) { return std::make_unique<Dpok>(context); }

}  // namespace plumb::align
