// The shared part of policy-gradient methods.   SPDX-License-Identifier: Apache-2.0
#include "align/policy_gradient.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/progress.h"
#include "core/text.h"

namespace plumb::align {

PolicyGradient::PolicyGradient(const FinetuneOptions& options, const Policy& policy, UpdateOrder order)
    : options_(options),
      plan_(make_update_plan(options.samples_per_epoch, policy.trained_steps(), options.timestep_fraction,
                             options.train_batch_size, options.grad_accumulation, options.inner_epochs, order)),
      sampler_steps_(policy.steps()),
      kl_(options.kl_penalty, options.kl_target, options.kl_horizon),
      kl_shape_(parse_kl_shape(options.kl_shape)) {
  if (options.advantage == "per-prompt")
    tracker_.emplace(options.tracker_size, options.tracker_min);
}

Tensor PolicyGradient::normalised_rewards(const Rollout& rollout) {
  return tracker_ ? tracker_->advantage(rollout.prompts(), rollout.reward) : global_advantage(rollout.reward);
}

Tensor PolicyGradient::advantages(const Rollout& rollout, const Tensor& penalties) {
  const Tensor per_step = discounted_returns(normalised_rewards(rollout), penalties, rollout.steps(), 1.0);
  const double limit = options_.advantage_clip;
  return limit > 0 ? per_step.clamp(-limit, limit) : per_step;
}

bool PolicyGradient::collect(TuningContext& context, int64_t epoch) {
  RolloutRequest request;
  request.items.resize(static_cast<size_t>(plan_.samples));
  std::iota(request.items.begin(), request.items.end(), epoch * plan_.samples);
  request.seed = options_.seed;
  request.classes = context.policy.options().classes;
  request.batch_size = options_.batch_size;
  request.reference_log_prob = options_.kl_penalty > 0;
  Progress bar(cat("epoch ", epoch + 1, ": sampling"), plan_.samples);
  std::optional<Rollout> rollout =
      roll_out(context.policy, context.codec, request, [&](int64_t done) { bar.update(done); });
  if (!rollout)
    return false;
  rollout->reward = score(context.reward, options_.reward, *rollout);

  epoch_log_.clear();
  epoch_log_["reward"] = rollout->reward.mean().item<double>();
  epoch_log_["reward_std"] = rollout->reward.std(0).item<double>();
  Tensor penalties;
  if (request.reference_log_prob) {
    const double path = (rollout->log_prob - rollout->log_prob_ref).sum(1).mean().item<double>();
    penalties = -kl_.value() * kl_penalty(kl_shape_, rollout->log_prob, rollout->log_prob_ref);
    epoch_log_["kl_penalty"] = kl_.value();
    epoch_log_["path_log_ratio"] = path;
    kl_.update(path, plan_.samples);
  }
  advantage_ = advantages(*rollout, penalties).contiguous();
  if (tracker_)
    epoch_log_["own_statistics"] = tracker_->history_share();
  rollout_ = std::move(rollout);
  return true;
}

TransitionBatch PolicyGradient::gather(const TuningContext& context, const std::vector<UpdatePlan::Transition>& picked,
                                       size_t begin, size_t end) const {
  std::vector<int64_t> sample, step;
  for (size_t k = begin; k < end; ++k) {
    sample.push_back(picked[k].sample);
    step.push_back(picked[k].step);
  }
  const at::Device device = context.policy.device();
  const Tensor samples = at::tensor(sample, at::kLong), steps = at::tensor(step, at::kLong);
  const Tensor state_row = samples * (rollout_->steps() + 1) + steps, step_row = samples * rollout_->steps() + steps;
  const Tensor states = rollout_->x.flatten(0, 1);  // [N*(T+1),*shape]
  TransitionBatch batch;
  batch.x_t = states.index_select(0, state_row).to(device);
  batch.x_next = states.index_select(0, state_row + 1).to(device);
  batch.step = steps.to(device);
  batch.log_prob_old = rollout_->log_prob.flatten().index_select(0, step_row).to(device);
  batch.advantage = advantage_.flatten().index_select(0, step_row).to(device);
  batch.sample = samples.to(device);
  batch.condition = rollout_->condition.index(samples).to(device);
  return batch;
}

UpdateLog PolicyGradient::accumulate_gradients(TuningContext& context, int64_t epoch, int64_t index) {
  const std::vector<UpdatePlan::Transition> picked = plan_.transitions(options_.seed, epoch, index);
  const size_t chunk = static_cast<size_t>(options_.batch_size);
  UpdateLog log;
  for (const auto& [name, value] : epoch_log_)
    log.set(name, value);
  Progress bar(cat("epoch ", epoch + 1, ": update ", index + 1, " of ", updates_per_epoch()),
               static_cast<int64_t>(picked.size()));
  for (size_t begin = 0; begin < picked.size(); begin += chunk) {
    const size_t end = std::min(picked.size(), begin + chunk);
    const double share = static_cast<double>(end - begin) / static_cast<double>(picked.size());
    const TransitionBatch batch = gather(context, picked, begin, end);
    const PolicyEvaluation policy = context.policy.evaluate(batch.x_t, batch.x_next, batch.step, batch.condition);
    const LossTerms terms = loss(policy, batch);
    Tensor total = terms.loss;
    if (options_.kl_coef > 0) {
      const Tensor reference = context.policy.reference_output(batch.x_t, batch.step, batch.condition);
      const Tensor kl =
          context.policy
              .kl_to_reference(policy.transition, reference, batch.x_t, batch.step, context.policy.options().reduce)
              .mean();
      log.add_mean("kl_step", kl.item<double>(), share);
      total = total + options_.kl_coef * kl;
    }
    (total * share).backward();
    log.add_mean("loss", total.item<double>(), share);
    for (const auto& [name, value] : terms.means)
      log.add_mean(name, value, share);
    for (const auto& [name, value] : terms.maxima)
      log.add_max(name, value);
    bar.update(static_cast<int64_t>(end));
  }
  return log;
}

void PolicyGradient::save(nn::Checkpoint& checkpoint, bool collected) const {
  io::Json& state = checkpoint.state["policy_gradient"] = io::Json::object();
  if (tracker_)
    state["tracker"] = tracker_->to_json();
  state["kl_penalty"] = kl_.value();
  if (!collected)
    return;
  state["items"] = rollout_->items;
  state["epoch_log"] = epoch_log_;
  checkpoint.tensors.emplace_back("rollout/x", rollout_->x);
  checkpoint.tensors.emplace_back("rollout/log_prob", rollout_->log_prob);
  checkpoint.tensors.emplace_back("rollout/reward", rollout_->reward);
  checkpoint.tensors.emplace_back("rollout/advantage", advantage_);
  if (rollout_->condition.label.defined())
    checkpoint.tensors.emplace_back("rollout/label", rollout_->condition.label);
}

void PolicyGradient::restore(const nn::Checkpoint& checkpoint, bool collected) {
  const io::Json& state = checkpoint.state.at("policy_gradient");
  if (tracker_)
    tracker_->restore(state.at("tracker"));
  kl_.set_value(state.at("kl_penalty").get<double>());
  rollout_.reset();
  if (!collected)
    return;
  Rollout rollout;
  rollout.items = state.at("items").get<std::vector<int64_t>>();
  epoch_log_ = state.at("epoch_log").get<std::map<std::string, double>>();
  rollout.x = checkpoint.tensor("rollout/x");
  rollout.log_prob = checkpoint.tensor("rollout/log_prob");
  rollout.reward = checkpoint.tensor("rollout/reward");
  advantage_ = checkpoint.tensor("rollout/advantage");
  for (const auto& [name, tensor] : checkpoint.tensors)
    if (name == "rollout/label")
      rollout.condition.label = tensor;
  rollout_ = std::move(rollout);
}

io::Json PolicyGradient::plan() const {
  return {{"samples_per_epoch", plan_.samples},
          {"steps", sampler_steps_},
          {"trained_steps", static_cast<int64_t>(plan_.steps.size())},
          {"steps_per_sample", plan_.train_steps},
          {"samples_per_update", plan_.samples_per_update},
          {"transitions_per_update", plan_.transitions_per_update()},
          {"updates_per_epoch", plan_.updates_per_epoch()},
          {"updates", plan_.updates_per_epoch() * options_.epochs},
          {"reward_queries", plan_.samples * options_.epochs}};
}

}  // namespace plumb::align
