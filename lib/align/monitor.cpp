// The monitor.   SPDX-License-Identifier: Apache-2.0
#include "align/monitor.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "metrics/bootstrap.h"
#include "metrics/pairwise.h"
#include "metrics/vendi.h"

namespace plumb::align {
namespace {

/// The monitor's samples are numbered from here: never those of a rollout.
constexpr int64_t kFirstItem = int64_t{1} << 40;
constexpr int64_t kVerdictResamples = 1000;
constexpr double kPartedZ = 2.0;

Estimate mean_of_items(const Tensor& items) {  // [n] float64
  const double n = static_cast<double>(items.numel());
  return {items.mean().item<double>(), items.std(0).item<double>() / std::sqrt(n)};
}

}  // namespace

Monitor::Monitor(TuningContext& context, std::vector<GoldReward> golds, metrics::FeatureNetwork& features)
    : context_(context), golds_(std::move(golds)), features_(features), rules_stop_(!context.options.stop.empty()) {
  for (const std::string& text : context.options.stop)
    rules_.push_back(parse_stop_rule(text));
  if (!rules_stop_)
    rules_ = default_warnings();
  warned_.assign(rules_.size(), false);
  for (const StopRule& rule : rules_)
    if (rule.kind == StopRule::Kind::kKl && !has_kl())
      throw Error(Exit::kUsage, "--stop", "'" + rule.text + "': no step has the noise that a KL is measured against", "raise --eta");
}

/// Golds on one scale: each minus its mean, over its spread, of the first evaluation; then averaged. [n]
Tensor Monitor::gold_score(const Tensor& gold_items) const {
  const Tensor& first = history_.empty() ? gold_items : history_.front().gold_items;
  const Tensor spread = first.std(1, true, true);
  return ((gold_items - first.mean(1, true)) / at::where(spread > 0, spread, at::ones_like(spread))).mean(0);
}

std::optional<Evaluation> Monitor::evaluate(int64_t step) {
  const FinetuneOptions& options = context_.options;
  RolloutRequest request;
  request.items.resize(static_cast<size_t>(options.monitor_n));
  std::iota(request.items.begin(), request.items.end(), kFirstItem);
  request.seed = options.seed;
  request.classes = context_.policy.options().classes;
  request.batch_size = options.batch_size;
  request.keep_chain = false;
  request.path_kl = true;
  const std::optional<Rollout> rollout = roll_out(context_.policy, context_.codec, request);
  if (!rollout)
    return std::nullopt;

  Evaluation e;
  e.step = step;
  e.proxy_items = has_proxy() ? score(*context_.reward, options.reward, *rollout) : at::empty({0}, at::kDouble);
  if (has_proxy())
    e.proxy = mean_of_items(e.proxy_items);
  std::vector<Tensor> gold_items;
  for (const GoldReward& gold : golds_) {
    gold_items.push_back(score(*gold.reward, gold.name, *rollout));
    e.gold.push_back(mean_of_items(gold_items.back()));
  }
  e.gold_items = gold_items.empty() ? at::empty({0, options.monitor_n}, at::kDouble) : at::stack(gold_items);
  if (has_kl())
    e.kl = mean_of_items(rollout->path_kl);
  if (has_plain_kl())
    e.kl_plain = mean_of_items(rollout->path_noise_gap);

  const Tensor features = features_.extract(rollout->stored).features;
  metrics::VendiOptions vendi;
  vendi.orders = {"1"};
  vendi.bootstrap = options.monitor_bootstrap;
  vendi.seed = options.seed;
  const metrics::VendiScore diversity = metrics::vendi(features, "cosine", vendi).scores.at(0);
  e.vendi = {diversity.value, diversity.interval ? diversity.interval->standard_error : 0.0};
  const metrics::PairwiseDistance distance = metrics::pairwise(features).cosine;
  e.distance = {distance.mean, distance.standard_error};
  add(e);
  return e;
}

void Monitor::add(const Evaluation& e) {
  MonitorPoint point;
  point.step = e.step;
  point.proxy = e.proxy.value;
  point.kl = e.kl.value;
  history_.push_back(e);
  const size_t index = history_.size() - 1;
  if (has_gold()) {
    gold_scores_.push_back(gold_score(e.gold_items));
    const auto mean_gold = [this](size_t i) { return gold_scores_[i].mean().item<double>(); };
    if (mean_gold(index) > mean_gold(best_))
      best_ = index;
  }
  drops_.resize(golds_.size());
  for (size_t g = 0; g < golds_.size(); ++g) {
    GoldDrop& drop = drops_[g];
    drop.z = 0;
    drop.proxy_rose = false;
    if (index == 0 || e.gold[g].value > history_[drop.best].gold[g].value) {
      drop.best = index;
    } else {
      const int64_t row = static_cast<int64_t>(g);
      const Estimate below = mean_of_items(history_[drop.best].gold_items[row] - e.gold_items[row]);
      drop.z = below.se > 0 ? below.value / below.se : 0.0;
      drop.proxy_rose = !has_proxy() || e.proxy.value > history_[drop.best].proxy.value;
    }
  }
  point.gold = drops_;
  point.vendi_ratio = e.vendi.value / history_.front().vendi.value;
  points_.push_back(point);
}

std::string Monitor::stop_rule() {
  for (size_t i = 0; i < rules_.size(); ++i) {
    if (!rules_[i].holds(points_))
      continue;
    if (rules_stop_)
      return rules_[i].text;
    if (!warned_[i])
      log::warn("step ", points_.back().step, ": ", rules_[i].text, " holds: the reward is being over-optimised");
    warned_[i] = true;
  }
  return "";
}

Parting Monitor::parting(size_t gold) const {
  std::vector<Tensor> evaluations;
  for (const Evaluation& e : history_)
    evaluations.push_back(e.gold_items[static_cast<int64_t>(gold)]);
  const Tensor items = at::stack(evaluations);  // [evaluations,n]
  std::vector<int64_t> peaks;
  for (int64_t replicate = 0; replicate < kVerdictResamples; ++replicate) {
    const Tensor counts = metrics::bootstrap_counts(items.size(1), context_.options.seed, replicate).to(at::kDouble);
    peaks.push_back(points_[static_cast<size_t>(at::mv(items, counts).argmax().item<int64_t>())].step);
  }
  std::sort(peaks.begin(), peaks.end());
  return {golds_[gold].name, points_[drops_[gold].best].step, peaks[kVerdictResamples * 25 / 1000],
          peaks[kVerdictResamples * 975 / 1000 - 1]};
}

Verdict Monitor::verdict() const {
  Verdict v;
  if (!has_gold()) {
    v.text = "no --gold reward was watched, so over-optimisation could not be seen";
    return v;
  }
  if (history_.empty())
    return v;
  v.best_gold_step = points_[best_].step;
  for (size_t g = 0; g < golds_.size(); ++g) {
    if (drops_[g].parted(kPartedZ))
      v.partings.push_back(parting(g));
  }
  std::stable_sort(v.partings.begin(), v.partings.end(),
                   [](const Parting& a, const Parting& b) { return a.step < b.step; });
  if (!v.parted()) {
    v.text = cat(has_proxy() ? "proxy and gold did not part" : "gold did not fall", ": gold was best at step ", v.best_gold_step, " of ", points_.back().step);
    return v;
  }
  const Parting& first = v.partings.front();
  std::vector<std::string> fell;
  for (const Parting& p : v.partings)
    fell.push_back(rewards::reward_dataset_name(p.gold));
  const std::string when = cat(" at step ", first.step, " (95% interval ", first.low, " to ", first.high, ")");
  v.text = has_proxy() ? cat("proxy and gold parted", when, ": the reward kept rising while ", join(fell, " and "), " fell")
                       : cat("gold began to fall", when, ": ", join(fell, " and "));
  return v;
}

io::Json Monitor::log_fields(const Evaluation& e) const {
  io::Json fields = io::Json::object();
  if (has_proxy())
    fields = {{"proxy", e.proxy.value}, {"proxy_se", e.proxy.se}};
  for (size_t g = 0; g < golds_.size(); ++g) {
    const std::string name = rewards::reward_dataset_name(golds_[g].name);
    fields["reward/" + name] = e.gold[g].value;
    fields["reward_se/" + name] = e.gold[g].se;
    if (golds_.size() > 1)
      fields["gold_z/" + name] = drops_[g].z;
  }
  if (has_gold())
    fields["gold_z"] = points_.back().worst_gold().z;
  if (has_kl()) {
    fields["kl"] = e.kl.value;
    fields["kl_se"] = e.kl.se;
  }
  if (has_plain_kl()) {
    fields["kl_plain"] = e.kl_plain.value;
    fields["kl_plain_se"] = e.kl_plain.se;
  }
  fields["diversity"] = e.vendi.value;
  fields["diversity_se"] = e.vendi.se;
  fields["distance"] = e.distance.value;
  fields["distance_se"] = e.distance.se;
  return fields;
}

io::Json Monitor::describe() const {
  io::Json golds = io::Json::array();
  for (const GoldReward& gold : golds_)
    golds.push_back(gold.reward->describe());
  return {{"n", context_.options.monitor_n},
          {"gold", golds},
          {"features", features_.name()},
          {"features_digest", features_.digest()}};
}

void Monitor::save(nn::Checkpoint& checkpoint) const {
  io::Json evaluations = io::Json::array();
  std::vector<Tensor> proxy, gold;
  for (const Evaluation& e : history_) {
    io::Json golds = io::Json::array();
    for (const Estimate& g : e.gold)
      golds.push_back({g.value, g.se});
    evaluations.push_back({{"step", e.step},
                           {"proxy", {e.proxy.value, e.proxy.se}},
                           {"gold", golds},
                           {"kl", {e.kl.value, e.kl.se}},
                           {"kl_plain", {e.kl_plain.value, e.kl_plain.se}},
                           {"vendi", {e.vendi.value, e.vendi.se}},
                           {"distance", {e.distance.value, e.distance.se}}});
    proxy.push_back(e.proxy_items);
    gold.push_back(e.gold_items);
  }
  checkpoint.state["monitor"] = {{"evaluations", evaluations}, {"warned", warned_}};
  if (history_.empty())
    return;
  if (has_proxy())
    checkpoint.tensors.emplace_back("monitor/proxy", at::stack(proxy));
  if (has_gold())
    checkpoint.tensors.emplace_back("monitor/gold", at::stack(gold));
}

void Monitor::restore(const nn::Checkpoint& checkpoint) {
  const io::Json& state = checkpoint.state.at("monitor");
  const auto estimate = [](const io::Json& pair) {
    return Estimate{pair.at(0).get<double>(), pair.at(1).get<double>()};
  };
  history_.clear();
  points_.clear();
  gold_scores_.clear();
  drops_.clear();
  best_ = 0;
  for (const io::Json& row : state.at("evaluations")) {
    const int64_t index = static_cast<int64_t>(history_.size());
    Evaluation e;
    e.step = row.at("step").get<int64_t>();
    e.proxy = estimate(row.at("proxy"));
    for (const io::Json& g : row.at("gold"))
      e.gold.push_back(estimate(g));
    e.kl = estimate(row.at("kl"));
    e.kl_plain = estimate(row.at("kl_plain"));
    e.vendi = estimate(row.at("vendi"));
    e.distance = estimate(row.at("distance"));
    e.proxy_items = has_proxy() ? checkpoint.tensor("monitor/proxy")[index] : at::empty({0}, at::kDouble);
    e.gold_items =
        has_gold() ? checkpoint.tensor("monitor/gold")[index] : at::empty({0, context_.options.monitor_n}, at::kDouble);
    add(e);
  }
  warned_ = state.at("warned").get<std::vector<bool>>();
}

}  // namespace plumb::align
