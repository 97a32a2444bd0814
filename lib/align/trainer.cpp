// The loop.   SPDX-License-Identifier: Apache-2.0
#include "align/trainer.h"

#include <ATen/ATen.h>

#include <chrono>
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

Trainer::Trainer(TuningContext& context, Method& method, Monitor* monitor, RunFiles files)
    : context_(context),
      method_(method),
      monitor_(monitor),
      files_(std::move(files)),
      optimizer_(context.policy.trainable(),
                 nn::AdamWOptions{.lr = learning_rate(context.options), .weight_decay = decay(context.options)}),
      pending_monitor_(monitor != nullptr) {}

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

bool Trainer::update(int64_t index, io::Json& record) {
  const FinetuneOptions& options = context_.options;
  optimizer_.zero_grad();
  const UpdateLog figures = method_.accumulate_gradients(context_, epoch_, index);
  if (figures.abandoned())
    return false;
  const double bound = options.grad_clip > 0 ? options.grad_clip : std::numeric_limits<double>::infinity();
  const double norm = check_finite(optimizer_.clip_grad_norm(bound), cat("gradient norm of step ", step_ + 1));
  optimizer_.step();
  method_.after_step();
  ++step_;
  record = {{"step", step_}, {"epoch", epoch_ + 1}};
  for (const auto& [name, value] : figures.values())
    record[name] = check_finite(value, cat(name, " of step ", step_));
  record["grad_norm"] = norm;
  return true;
}

RunEnd Trainer::run() {
  const bool resumed = resume();
  // The line of step_ may lack an evaluation that was cut short, so it is cut off and written again.
  io::JsonLog log(files_.log, resumed ? step_ - 1 : -1);
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

  if (step_ == 0)
    record_ = {{"step", 0}, {"epoch", 0}};
  if (monitor_ != nullptr || step_ > 0) {
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
    }
    if (!update(index_, record_))
      return interrupted();
    if (++index_ == method_.updates_per_epoch()) {
      method_.end_epoch(context_, epoch_);
      ++epoch_;
      index_ = 0;
      collected_ = false;
    }
    const bool last = epoch_ == context_.options.epochs;
    pending_monitor_ = monitor_due() || (last && monitor_ != nullptr);
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

void Trainer::save() {
  if (files_.checkpoint.empty())
    return;
  nn::Checkpoint checkpoint;
  checkpoint.fingerprint = files_.fingerprint;
  checkpoint.state = {{"epoch", epoch_},
                      {"index", index_},
                      {"step", step_},
                      {"collected", collected_},
                      {"optimizer_steps", optimizer_.steps()},
                      {"pending_monitor", pending_monitor_},
                      {"record", record_},
                      {"stopped_by", stopped_by_},
                      {"seconds", seconds_}};
  checkpoint.add("policy/", optimizer_.parameters());
  checkpoint.add("adamw/", optimizer_.state());
  checkpoint.add("best_gold/", best_gold_);
  method_.save(checkpoint, collected_);
  if (monitor_ != nullptr)
    monitor_->save(checkpoint);
  nn::save_checkpoint(files_.checkpoint, checkpoint);
}

bool Trainer::resume() {
  if (files_.checkpoint.empty())
    return false;
  const auto found = nn::find_checkpoint(context_.options.resume, files_.checkpoint, files_.fingerprint, files_.force);
  if (!found)
    return false;
  const at::NoGradGuard no_grad;
  const io::Json& state = found->state;
  epoch_ = state.at("epoch").get<int64_t>();
  index_ = state.at("index").get<int64_t>();
  step_ = state.at("step").get<int64_t>();
  collected_ = state.at("collected").get<bool>();
  pending_monitor_ = state.at("pending_monitor").get<bool>();
  record_ = state.at("record");
  stopped_by_ = state.at("stopped_by").get<std::string>();
  seconds_ = state.at("seconds").get<double>();
  for (const auto& [name, value] : optimizer_.parameters()) {
    Tensor parameter = value;
    parameter.copy_(found->tensor("policy/" + name));
  }
  optimizer_.restore(found->with_prefix("adamw/"), state.at("optimizer_steps").get<int64_t>());
  best_gold_.clear();
  for (auto& [name, value] : found->with_prefix("best_gold/"))
    best_gold_.emplace_back(name, value.to(context_.policy.device()));
  method_.restore(*found, collected_);
  if (monitor_ != nullptr)
    monitor_->restore(*found);
  log::info("step ", step_, ", epoch ", epoch_ + 1, " of ", context_.options.epochs);
  return true;
}

}  // namespace plumb::align
