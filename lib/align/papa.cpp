// SPDX-License-Identifier: Apache-2.0
#include "align/papa.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "align/registry.h"
#include "core/error.h"
#include "core/philox.h"
#include "core/progress.h"
#include "core/signals.h"
#include "core/text.h"

namespace plumb::align {
namespace {

constexpr int64_t kGuardSamples = 16, kGuardTimesteps = 8;
constexpr int64_t kGuardDraw = int64_t{1} << 62;  // numbers of its draws: none of an update's

}  // namespace

PreferenceAlignment::PreferenceAlignment(const TuningContext& context, std::string name, int64_t k)
    : OnlineMethod(context, std::move(name), false),
      rule_(papa_rule(context.options.papa)),
      range_{k, context.policy.schedule().num_train_timesteps() - 1},
      weights_(papa_timestep_weights(context.policy.schedule().alphas_cumprod(), rule_.reference)) {
  if (k < 0 || k > range_.last + 1)
    throw Error(Exit::kUsage, "--papa.k", cat(k, " is more timesteps than the model has, which are ", range_.last + 1), "a smaller one");
}

bool PreferenceAlignment::learn_from(TuningContext&, const Judged& judged, int64_t epoch) {
  if (stored_.defined() && label_.defined() != judged.label.defined())
    throw Error(Exit::kBadInput, judged.samples.label(), "these samples and those before do not both have labels");
  const auto behind = [](const Tensor& before, const Tensor& now) { return before.defined() ? at::cat({before, now}) : now; };
  stored_ = behind(stored_, judged.stored);
  if (judged.label.defined())
    label_ = behind(label_, judged.label);
  for (const double y : judged.y)
    y_.push_back(y < 0 ? -y * rule_.disliked : y);
  fresh_ = static_cast<int64_t>(judged.y.size());
  plan_updates(epoch);
  return true;
}

std::string PreferenceAlignment::why_nothing() const {
  if (range_.size() == 0)
    return "no timestep is trained on (--papa.k)";
  const auto first = rule_.replay ? y_.begin() : y_.end() - fresh_;
  const bool any = std::any_of(first, y_.end(), [](double y) { return y != 0; });
  return any && rule_.alpha_np == 0 ? "no sample is liked, and a dislike counts nothing (--papa.alpha-np)" : "no sample is liked or disliked";
}

void PreferenceAlignment::plan_updates(int64_t epoch) {
  epoch_ = epoch;
  updates_.clear();
  if (range_.size() == 0)
    return;
  const int64_t all = static_cast<int64_t>(y_.size());
  std::vector<int64_t> wanted;
  for (int64_t pass = 0; pass < rule_.passes; ++pass) {
    if (!rule_.replay) {
      for (int64_t row = all - fresh_; row < all; ++row)
        wanted.push_back(row);  // in the order of their making, as published
      continue;
    }
    Philox random(options().seed, Stream::kRolloutOrder, static_cast<uint64_t>(epoch), static_cast<uint32_t>(pass));
    const std::vector<int64_t> order = permutation(all, random);
    wanted.insert(wanted.end(), order.begin(), order.begin() + fresh_);
  }
  for (const int64_t row : wanted) {
    if (!papa_trains_on(rule_, y_[static_cast<size_t>(row)]))
      continue;
    if (updates_.empty() || static_cast<int64_t>(updates_.back().size()) == options().papa.batch)
      updates_.emplace_back();
    updates_.back().push_back(row);
  }
}

UpdateLog PreferenceAlignment::accumulate_gradients(TuningContext& context, int64_t epoch, int64_t index) {
  const std::vector<int64_t>& samples = updates_.at(static_cast<size_t>(index));
  const NoisedSamples noised(context, stored_, label_, without_class());
  const int64_t count = static_cast<int64_t>(samples.size());
  std::vector<int64_t> rows, times, draws;
  std::vector<double> judged;
  for (int64_t b = 0; b < count; ++b) {
    const int64_t draw = draw_number(epoch, index * options().papa.batch + b);
    const std::vector<int64_t> of_sample = draw_timesteps(range_.first, range_.last, options().papa.timesteps, options().seed, draw);
    times.insert(times.end(), of_sample.begin(), of_sample.end());
    rows.insert(rows.end(), of_sample.size(), samples[static_cast<size_t>(b)]);
    draws.insert(draws.end(), of_sample.size(), draw);
    judged.push_back(y_[static_cast<size_t>(samples[static_cast<size_t>(b)])]);
  }
  const int64_t drawn = static_cast<int64_t>(times.size()) / count;
  const Tensor y = at::tensor(judged, at::kDouble), t = at::tensor(times, at::kLong).reshape({count, drawn});
  const PapaCoefficients weigh = papa_coefficients(rule_, weights_, range_, y, t);
  const Tensor of_error = weigh.error.flatten(), of_gap = weigh.gap.flatten(), y_of_row = y.repeat_interleave(drawn);
  const Tensor weight_of_t = at::tensor(weights_, at::kDouble).index_select(0, t.flatten()) * (static_cast<double>(range_.size()) / static_cast<double>(drawn));
  const double liked = static_cast<double>((y > 0).sum().item<int64_t>()), disliked = static_cast<double>((y < 0).sum().item<int64_t>());

  UpdateLog log;
  start(log);
  const int64_t total = static_cast<int64_t>(rows.size());
  Progress bar(cat("round ", epoch + 1, ": update ", index + 1, " of ", updates_per_epoch()), total);
  const auto part = [](const std::vector<int64_t>& all, int64_t begin, int64_t end) {
    return std::vector<int64_t>(all.begin() + begin, all.begin() + end);
  };
  for (int64_t begin = 0; begin < total; begin += options().batch_size) {
    if (stop_requested()) {
      log.abandon();
      return log;
    }
    const int64_t end = std::min(total, begin + options().batch_size);
    const NoisedRows chunk = noised.at_levels(part(rows, begin, end), part(times, begin, end), part(draws, begin, end));
    const Tensor own = noised.noise(chunk);
    const Tensor error = mean_square_gap(own, chunk.eps).to(at::kCPU, at::kDouble);
    Tensor error_weight = of_error.slice(0, begin, end);
    const Tensor gap_weight = of_gap.slice(0, begin, end), y_here = y_of_row.slice(0, begin, end);
    const bool gap_counts = (gap_weight != 0).any().item<bool>();
    Tensor loss;
    if (gap_counts || rule_.neg_cap > 0) {
      const Tensor base = noised.base_noise(chunk);
      const Tensor cap = papa_cap(rule_, error.detach(), mean_square_gap(base, chunk.eps).to(at::kCPU, at::kDouble), y_here);
      log.add_mean("capped", (1 - cap).sum().item<double>(), 1.0 / static_cast<double>(total));
      error_weight = error_weight * cap;
      const Tensor gap = mean_square_gap(own, base).to(at::kCPU, at::kDouble);
      loss = (error_weight * error).sum() + (gap_weight * gap).sum();
      log.add_mean("gap_to_base", gap.sum().item<double>(), 1.0 / static_cast<double>(total));
    } else {
      loss = (error_weight * error).sum();
    }
    loss.backward();
    log.add_mean("loss", loss.item<double>(), 1.0);
    const Tensor weighted = weight_of_t.slice(0, begin, end) * error.detach();
    if (liked > 0)
      log.add_mean("error_liked", (weighted * (y_here > 0)).sum().item<double>(), 1.0 / liked);
    if (disliked > 0)
      log.add_mean("error_disliked", (weighted * (y_here < 0)).sum().item<double>(), 1.0 / disliked);
    bar.update(end);
  }
  return log;
}

std::optional<double> PreferenceAlignment::error_to_base(const NoisedSamples& noised, bool liked) const {
  std::vector<int64_t> last;
  for (int64_t row = static_cast<int64_t>(y_.size()) - 1; row >= 0 && static_cast<int64_t>(last.size()) < kGuardSamples; --row)
    if (const double y = y_[static_cast<size_t>(row)]; y != 0 && (y > 0) == liked)
      last.push_back(row);
  if (last.empty() || range_.size() == 0)
    return std::nullopt;
  const at::NoGradGuard no_grad;
  double own = 0, base = 0;
  for (size_t k = 0; k < last.size(); ++k) {
    const int64_t draw = kGuardDraw + static_cast<int64_t>(k);
    const std::vector<int64_t> t = draw_timesteps(range_.first, range_.last, kGuardTimesteps, options().seed, draw);
    const NoisedRows rows = noised.at_levels(std::vector<int64_t>(t.size(), last[k]), t, std::vector<int64_t>(t.size(), draw));
    const Tensor weight = at::tensor(weights_, at::kDouble).index_select(0, at::tensor(t, at::kLong));
    const auto sum_of = [&](const Tensor& noise) { return (weight * mean_square_gap(noise, rows.eps).to(at::kCPU, at::kDouble)).sum().item<double>(); };
    own += sum_of(noised.noise(rows));
    base += sum_of(noised.base_noise(rows));
  }
  return own / base;
}

bool PreferenceAlignment::has_diverged(TuningContext& context, int64_t, UpdateLog& log) {
  const NoisedSamples noised(context, stored_, label_, without_class());
  const std::optional<double> liked = error_to_base(noised, true), disliked = error_to_base(noised, false);
  if (liked)
    log.set("error_liked_to_base", *liked);
  if (disliked)
    log.set("error_disliked_to_base", *disliked);
  const std::optional<double>& guarded = liked ? liked : disliked;  // before the first like nothing else tells a ruined model
  return guarded && !(*guarded <= rule_.guard);
}

void PreferenceAlignment::save(nn::Checkpoint& checkpoint, bool) const {
  save_round(checkpoint);
  checkpoint.state["papa"] = {{"y", y_}, {"fresh", fresh_}, {"epoch", epoch_}};
  if (stored_.defined())
    checkpoint.tensors.emplace_back("papa/stored", stored_);
  if (label_.defined())
    checkpoint.tensors.emplace_back("papa/label", label_);
}

void PreferenceAlignment::restore(const nn::Checkpoint& checkpoint, bool collected) {
  restore_round(checkpoint);
  const io::Json& state = checkpoint.state.at("papa");
  y_ = state.at("y").get<std::vector<double>>();
  fresh_ = state.at("fresh").get<int64_t>();
  epoch_ = state.at("epoch").get<int64_t>();
  for (const auto& [name, tensor] : checkpoint.with_prefix("papa/"))
    (name == "stored" ? stored_ : label_) = tensor;
  if (collected)
    plan_updates(epoch_);
}

io::Json PreferenceAlignment::plan() const {
  io::Json plan = OnlineMethod::plan();
  const int64_t of_sample = options().papa.timesteps > 0 ? std::min(options().papa.timesteps, range_.size()) : range_.size();
  plan.update({{"preset", options().papa.preset}, {"alpha", rule_.alpha}, {"alpha_np", rule_.alpha_np}, {"gamma", rule_.gamma},
               {"qpde_on", rule_.qpde_on}, {"neg_cap", rule_.neg_cap}, {"replay", rule_.replay ? "all" : "none"}, {"passes", rule_.passes},
               {"guard", rule_.guard}, {"timesteps", {range_.first, range_.last}}, {"timesteps_per_sample", of_sample},
               {"samples_per_update", options().papa.batch}});
  return plan;
}

std::unique_ptr<Method> make_papa(const TuningContext& context) { return std::make_unique<PreferenceAlignment>(context, "papa", 0); }

}  // namespace plumb::align
