// The loop.   SPDX-License-Identifier: Apache-2.0
#include "align/trainer.h"

#include <ATen/ATen.h>

#include <chrono>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/log.h"
#include "core/signals.h"
#include "core/text.h"

namespace plumb::align {
namespace {

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

nn::NamedTensors copy_of(const nn::NamedTensors& values) {
  nn::NamedTensors copies;
  for (const auto& [name, value] : values)
    copies.emplace_back(name, value.detach().clone());
  return copies;
}

}  // namespace

io::Json describe_run(const TuningContext& context, const Method& method, const Monitor* monitor, const io::Json& plan) {
  io::Json about{{"method", method.name()}};
  if (context.reward)
    about["reward"] = context.reward->describe();
  about["plan"] = plan;
  if (context.constraints) {
    for (const Constraint& constraint : *context.constraints)
      about["constraints"].push_back({{"reward", constraint.reward->describe()}, {"floor", constraint.spec.floor}});
  }
  if (context.critic_features)
    about["critic"] = {{"features", context.critic_features->name()}, {"features_digest", context.critic_features->digest()}};
  if (monitor)
    about["monitor"] = monitor->describe();
  return about;
}

Trainer::Trainer(TuningContext& context, Method& method, Monitor* monitor, RunFiles files)
    : context_(context),
      method_(method),
      monitor_(monitor),
      files_(std::move(files)),
      optimizer_(context.policy.trainable(),
                 nn::AdamWOptions{.lr = learning_rate(context.options), .weight_decay = decay(context.options)}),
      pending_monitor_(monitor != nullptr) {
  if (method.takes_back())
    remember();
}

bool Trainer::keep_best() const { return context_.options.keep == "best-gold" && has_best_gold(); }

bool Trainer::monitor_due() const { return monitor_ != nullptr && step_ % context_.options.monitor_every == 0; }

bool Trainer::run_monitor(io::Json& record) {
  const std::optional<Evaluation> evaluation = monitor_->evaluate(step_);
  if (!evaluation)
    return false;
  pending_monitor_ = false;
  record.update(monitor_->log_fields(*evaluation));
  if (monitor_->last_is_best_gold())
    best_gold_ = copy_of(optimizer_.parameters());
  stopped_by_ = monitor_->stop_rule();
  return true;
}

Trainer::Update Trainer::update(int64_t index, io::Json& record) {
  const double limit = gradient_limit(context_.options);
  optimizer_.zero_grad();
  const UpdateLog figures = method_.accumulate_gradients(context_, epoch_, index);
  if (figures.abandoned())
    return Update::kAbandoned;
  const double norm = optimizer_.clip_grad_norm(limit > 0 ? limit : std::numeric_limits<double>::infinity());
  bool finite = std::isfinite(norm);
  for (const auto& [name, value] : figures.values())
    finite = finite && std::isfinite(value);
  if (!finite && method_.takes_back())
    return Update::kNotFinite;
  check_finite(norm, cat("gradient norm of step ", step_ + 1));
  optimizer_.step();
  method_.after_step();
  ++step_;
  record = {{"step", step_}, {"epoch", epoch_ + 1}};
  for (const auto& [name, value] : figures.values())
    record[name] = check_finite(value, cat(name, " of step ", step_));
  record["grad_norm"] = norm;
  return Update::kDone;
}

void Trainer::remember() {
  good_ = copy_of(optimizer_.parameters());
  good_optimizer_ = copy_of(optimizer_.state());
  good_steps_ = optimizer_.steps();
}

void Trainer::take_back() {
  const at::NoGradGuard no_grad;
  for (size_t k = 0; k < good_.size(); ++k) {
    Tensor parameter = optimizer_.parameters()[k].second;
    parameter.copy_(good_[k].second);
  }
  optimizer_.restore(copy_of(good_optimizer_), good_steps_);
  ++taken_back_;
}

io::Json Trainer::end_of_epoch(bool finite) {
  method_.end_epoch(context_, epoch_);
  io::Json figures = io::Json::object();
  if (method_.takes_back()) {
    UpdateLog log;
    const bool diverged = !finite || method_.has_diverged(context_, epoch_, log);
    for (const auto& [name, value] : log.values())
      figures[name] = std::isfinite(value) ? io::Json(value) : io::Json();
    figures["taken_back"] = diverged;
    if (diverged) {
      log::warn("round ", epoch_ + 1, finite ? " drifted too far" : " gave numbers that are not finite", " and was taken back; ",
                "a smaller --lr may help");
      take_back();
    } else {
      remember();
    }
  }
  ++epoch_;
  index_ = 0;
  collected_ = false;
  return figures;
}

RunEnd Trainer::run() {
  const bool resumed = resume();
  if (record_.is_null())
    record_ = {{"step", 0}, {"epoch", 0}};
  // The last line may lack an evaluation that was cut short, so it is cut off and written again.
  const int64_t epoch = record_.at("epoch").get<int64_t>();
  io::JsonLog log(files_.log, resumed ? step_ : -1, epoch - 1);
  log.write_start(step_, "finetune");
  log.write({{"event", "plan"}, {"step", step_}, {"method", method_.name()}, {"plan", method_.plan()}});
  nn::CheckpointClock clock(context_.options.save_every_s);
  const double start = now_s() - seconds_;
  const auto interrupted = [&] {
    seconds_ = now_s() - start;
    save();
    return RunEnd::kInterrupted;
  };
  const auto close_step = [&]() -> bool {  // the step's evaluation and line; false: interrupted
    if (pending_monitor_ && !run_monitor(record_))
      return false;
    record_["seconds"] = now_s() - start;
    log.write(record_);
    return true;
  };

  if (monitor_ != nullptr || epoch > 0) {
    if (!close_step())
      return interrupted();
  }
  while (epoch_ < context_.options.epochs && stopped_by_.empty()) {
    if (stop_requested())
      return interrupted();
    if (!collected_) {
      if (!method_.collect(context_, epoch_))
        return interrupted();
      collected_ = true;
      if (method_.is_dear()) {
        seconds_ = now_s() - start;
        save();
      }
    }
    const int64_t before = step_;
    bool finite = true;
    if (index_ < method_.updates_per_epoch()) {
      const Update result = update(index_, record_);
      if (result == Update::kAbandoned)
        return interrupted();
      finite = result == Update::kDone;
      ++index_;
    } else {
      record_ = {{"step", step_}, {"epoch", epoch_ + 1}};
    }
    if (!finite || index_ >= method_.updates_per_epoch()) {
      if (!finite)
        record_ = {{"step", step_}, {"epoch", epoch_ + 1}};
      record_.update(end_of_epoch(finite));
      if (files_.after_epoch)
        files_.after_epoch(epoch_);
    }
    const bool last = epoch_ == context_.options.epochs;
    // One round of many (--step) has no end of its own, so that a loop of them evaluates when one command does.
    pending_monitor_ = (step_ > before && monitor_due()) || (last && monitor_ != nullptr && !context_.options.ask.step);
    if (!close_step())
      return interrupted();
    const bool done = last || !stopped_by_.empty();
    if (!done && stop_requested())
      return interrupted();
    if (!done && clock.due()) {
      seconds_ = now_s() - start;
      save();
    }
  }
  io::Json end{{"event", "verdict"}, {"step", step_}};
  end.update(summary());
  log.write(end);
  if (monitor_ != nullptr)
    log::info(monitor_->verdict().text, "; kept: ", summary().at("kept").get<std::string>());
  return stopped_by_.empty() ? RunEnd::kFinished : RunEnd::kStopRule;
}

io::Json Trainer::summary() const {
  io::Json s{
      {"steps", step_}, {"epochs", epoch_}, {"stopped_by", stopped_by_.empty() ? io::Json() : io::Json(stopped_by_)}};
  if (method_.takes_back())
    s["epochs_taken_back"] = taken_back_;
  s["kept"] = keep_best() ? "best-gold" : "last";
  s["kept_step"] = step_;
  if (monitor_ == nullptr)
    return s;
  const Verdict v = monitor_->verdict();
  if (keep_best())
    s["kept_step"] = v.best_gold_step;
  s["verdict"] = v.text;
  if (!monitor_->has_gold())
    return s;
  s["best_gold_step"] = v.best_gold_step;
  s["parted"] = v.parted();
  if (v.parted()) {
    s["parted_step"] = v.partings.front().step;
    s["parted_interval"] = {v.partings.front().low, v.partings.front().high};
    for (const Parting& p : v.partings)
      s["partings"].push_back({{"gold", rewards::reward_dataset_name(p.gold)}, {"step", p.step}, {"interval", {p.low, p.high}}});
  }
  return s;
}

nn::Checkpoint Trainer::state() const {
  nn::Checkpoint checkpoint;
  checkpoint.fingerprint = files_.fingerprint;
  checkpoint.state = {{"epoch", epoch_},
                      {"index", index_},
                      {"step", step_},
                      {"collected", collected_},
                      {"optimizer_steps", optimizer_.steps()},
                      {"good_steps", good_steps_},
                      {"taken_back", taken_back_},
                      {"pending_monitor", pending_monitor_},
                      {"record", record_},
                      {"stopped_by", stopped_by_},
                      {"seconds", seconds_}};
  checkpoint.add("policy/", optimizer_.parameters());
  checkpoint.add("adamw/", optimizer_.state());
  checkpoint.add("best_gold/", best_gold_);
  checkpoint.add("good/", good_);
  checkpoint.add("good_adamw/", good_optimizer_);
  method_.save(checkpoint, collected_);
  if (monitor_ != nullptr)
    monitor_->save(checkpoint);
  return checkpoint;
}

void Trainer::save() {
  if (!files_.checkpoint.empty())
    nn::save_checkpoint(files_.checkpoint, state());
}

bool Trainer::resume() {
  if (files_.checkpoint.empty())
    return false;
  const auto found = nn::find_checkpoint(context_.options.resume, files_.checkpoint, files_.fingerprint, files_.force);
  if (!found)
    return false;
  go_on_from(*found);
  log::info("step ", step_, ", epoch ", epoch_ + 1, " of ", context_.options.epochs);
  return true;
}

void Trainer::go_on_from(const nn::Checkpoint& checkpoint) {
  const at::NoGradGuard no_grad;
  const io::Json& state = checkpoint.state;
  epoch_ = state.at("epoch").get<int64_t>();
  index_ = state.at("index").get<int64_t>();
  step_ = state.at("step").get<int64_t>();
  collected_ = state.at("collected").get<bool>();
  const bool monitored = state.contains("monitor");
  pending_monitor_ = monitor_ != nullptr && (!monitored || state.at("pending_monitor").get<bool>());
  record_ = state.at("record");
  stopped_by_ = state.at("stopped_by").get<std::string>();
  seconds_ = state.at("seconds").get<double>();
  good_steps_ = state.at("good_steps").get<int64_t>();
  taken_back_ = state.at("taken_back").get<int64_t>();
  for (const auto& [name, value] : optimizer_.parameters()) {
    Tensor parameter = value;
    parameter.copy_(checkpoint.tensor("policy/" + name));
  }
  optimizer_.restore(checkpoint.with_prefix("adamw/"), state.at("optimizer_steps").get<int64_t>());
  const auto on_device = [&](const std::string& prefix) {
    nn::NamedTensors values;
    for (auto& [name, value] : checkpoint.with_prefix(prefix))
      values.emplace_back(name, value.to(context_.policy.device()));
    return values;
  };
  best_gold_ = on_device("best_gold/");
  good_ = on_device("good/");
  good_optimizer_ = checkpoint.with_prefix("good_adamw/");
  method_.restore(checkpoint, collected_);
  if (method_.takes_back() && good_.empty())
    remember();
  if (monitor_ != nullptr && monitored)
    monitor_->restore(checkpoint);
}

}  // namespace plumb::align
