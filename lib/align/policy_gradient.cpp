// The shared part of policy-gradient methods.   SPDX-License-Identifier: Apache-2.0
#include "align/policy_gradient.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "core/progress.h"
#include "core/text.h"

namespace plumb::align {

namespace {

UpdatePlan plan_of(const FinetuneOptions& o, const Policy& policy, UpdateOrder order) {
  if (o.update_order != "auto")
    order = o.update_order == "columns" ? UpdateOrder::kColumns : UpdateOrder::kTrajectories;
  return make_update_plan(o.samples_per_epoch, policy.trained_steps(), o.timestep_fraction, o.train_batch_size,
                          o.grad_accumulation, o.inner_epochs, order, o.step_order == "shuffled");
}

std::vector<double> floors_of(const TuningContext& context) {
  std::vector<double> floors;
  if (context.constraints != nullptr)
    for (const Constraint& c : *context.constraints)
      floors.push_back(c.spec.floor);
  return floors;
}

}  // namespace

PolicyGradient::PolicyGradient(const TuningContext& context, UpdateOrder order)
    : options_(context.options),
      plan_(plan_of(context.options, context.policy, order)),
      sampler_steps_(context.policy.steps()),
      multipliers_(floors_of(context), context.options.constraint_lr, context.options.constraint_max),
      kl_(context.options.kl_penalty, context.options.kl_target, context.options.kl_horizon),
      kl_shape_(parse_kl_shape(context.options.kl_shape)) {
  const size_t constraints = floors_of(context).size();
  if (keeps_reward_history(options_))
    trackers_.assign(1 + constraints, RewardTracker(options_.tracker_size, options_.tracker_min));
  if (options_.advantage == "running")
    running_.resize(1 + constraints);
  for (size_t j = 0; j < constraints; ++j)
    constraint_names_.push_back((*context.constraints)[j].name());
}

double PolicyGradient::clip_range_of(const TuningContext& context) {
  return context.options.clip_range > 0 ? context.options.clip_range : equivalent_clip_range(context.policy.dimension());
}

Tensor PolicyGradient::normalised(const Rollout& rollout, const Tensor& values, size_t which) {
  if (!trackers_.empty())
    return trackers_.at(which).advantage(rollout.prompts(), values);
  return running_.empty() ? global_advantage(values) : running_.at(which).advantage(values);
}

Tensor PolicyGradient::normalised_rewards(const Rollout& rollout) {
  const Tensor own = normalised(rollout, rollout.reward, 0);
  std::vector<Tensor> of_constraints;
  for (size_t j = 0; j < constraint_names_.size(); ++j)
    of_constraints.push_back(normalised(rollout, constraint_values_[static_cast<int64_t>(j)], 1 + j));
  return of_constraints.empty() ? own : multipliers_.combine(own, at::stack(of_constraints));
}

Tensor PolicyGradient::limited(const Tensor& advantage) const {
  const double limit = advantage_limit(options_);
  return limit > 0 ? advantage.clamp(-limit, limit) : advantage;
}

Tensor PolicyGradient::advantages(const Rollout& rollout, const Tensor& penalties) {
  return limited(discounted_returns(normalised_rewards(rollout), penalties, rollout.steps(), 1.0));
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
  rollout->reward = score(*context.reward, options_.reward, *rollout);
  if (!constraint_names_.empty()) {
    std::vector<Tensor> values;
    for (const Constraint& c : *context.constraints)
      values.push_back(score(*c.reward, c.spec.expression, *rollout));
    constraint_values_ = at::stack(values);
  }

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
  observe(context, *rollout);
  advantage_ = advantages(*rollout, penalties).contiguous();
  for (size_t j = 0; j < constraint_names_.size(); ++j) {
    epoch_log_["constraint/" + constraint_names_[j]] = constraint_values_[static_cast<int64_t>(j)].mean().item<double>();
    epoch_log_["multiplier/" + constraint_names_[j]] = multipliers_.values()[j];
  }
  if (!constraint_names_.empty())
    multipliers_.update(constraint_values_);
  if (!trackers_.empty())
    epoch_log_["own_statistics"] = trackers_.front().history_share();
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
  batch.row = step_row;
  batch.condition = rollout_->condition.index(samples).to(device);
  return batch;
}

std::vector<UpdatePlan::Transition> PolicyGradient::used_transitions(int64_t epoch, int64_t index) const {
  const std::vector<UpdatePlan::Transition> all = plan_.transitions(options_.seed, epoch, index);
  std::vector<UpdatePlan::Transition> used;
  std::copy_if(all.begin(), all.end(), std::back_inserter(used), [this](const auto& t) { return contributes(t.sample); });
  return used.empty() ? all : used;
}

UpdateLog PolicyGradient::accumulate_gradients(TuningContext& context, int64_t epoch, int64_t index) {
  const std::vector<UpdatePlan::Transition> picked = used_transitions(epoch, index);
  const size_t chunk = static_cast<size_t>(options_.batch_size);
  UpdateLog log;
  for (const auto& [name, value] : epoch_log_)
    log.set(name, value);
  log.set("transitions", static_cast<double>(picked.size()));
  Progress bar(cat("epoch ", epoch + 1, ": update ", index + 1, " of ", updates_per_epoch()),
               static_cast<int64_t>(picked.size()));
  for (size_t begin = 0; begin < picked.size(); begin += chunk) {
    const size_t end = std::min(picked.size(), begin + chunk);
    const double share = static_cast<double>(end - begin) / static_cast<double>(picked.size());
    const TransitionBatch batch = gather(context, picked, begin, end);
    const PolicyEvaluation policy = context.policy.evaluate(batch.x_t, batch.x_next, batch.step, batch.condition);
    const LossTerms terms = loss(policy, batch);
    Tensor total = terms.loss;
    if (const double weight = kl_weight(options_); weight > 0) {
      const Tensor reference = context.policy.reference_output(batch.x_t, batch.step, batch.condition);
      const ReferenceKl kl = context.policy.reference_kl(policy.transition, reference, batch.x_t, batch.step);
      log.add_mean("kl_exact", kl.exact.mean().item<double>(), share);
      log.add_mean("kl_plain", kl.plain.mean().item<double>(), share);
      total = total + weight * kl.form(options_.kl_form).mean();
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
  for (const RewardTracker& tracker : trackers_)
    state["trackers"].push_back(tracker.to_json());
  for (const RunningMoments& moments : running_)
    state["running"].push_back(moments.to_json());
  state["multipliers"] = multipliers_.to_json();
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
  for (size_t k = 0; k < trackers_.size(); ++k)
    trackers_[k].restore(state.at("trackers").at(k));
  for (size_t k = 0; k < running_.size(); ++k)
    running_[k].restore(state.at("running").at(k));
  multipliers_.restore(state.at("multipliers"));
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
          {"columns", plan_.order == UpdateOrder::kColumns},
          {"updates_per_epoch", plan_.updates_per_epoch()},
          {"updates", plan_.updates_per_epoch() * options_.epochs},
          {"reward_queries", plan_.samples * options_.epochs},
          {"lr", learning_rate(options_)},
          {"kl_coef", kl_weight(options_)},
          {"advantage_clip", advantage_limit(options_)}};
}

}  // namespace plumb::align
