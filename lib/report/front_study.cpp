// SPDX-License-Identifier: Apache-2.0
#include "report/front_study.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <tuple>

#include "core/error.h"
#include "core/text.h"
#include "report/number.h"

namespace plumb::report {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// The column of the reward that the point's model was tuned on. "" for a base model.
std::string trained_column(const FrontPoint& point, const std::string& wanted, std::vector<std::string>& notes) {
  if (!wanted.empty()) {
    std::vector<std::string> there;
    for (const auto& r : point.rewards) there.push_back(r.column);
    if (!point.find(wanted))
      throw Error(Exit::kBadInput, point.source, "has no scores '" + wanted + "', which --front-reward names",
                  "it has " + join(there, ", "));
    return wanted;
  }
  if (point.trained.empty()) return "";
  for (const auto& r : point.rewards)
    if (r.expression == point.trained || r.column == point.trained || r.column + "=" + r.expression == point.trained) return r.column;
  const std::string first = point.rewards.front().column;
  const std::string note = "No score was computed with '" + point.trained + "', which models were tuned on: '" + first +
                           "' stands for it (choose another with --front-reward).";
  if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(note);
  return first;
}

/// What decides, besides the model, what is sampled: options of the samples that compared points must share.
io::Json sampling_of(const FrontPoint& point) {
  io::Json shared = io::Json::object();
  const auto config = point.samples.json().find("config");
  if (config == point.samples.json().end() || !config->is_object()) return shared;
  for (const char* key : {"class", "sampler", "steps", "eta", "guidance_scale"})
    if (config->contains(key)) shared[key] = config->at(key);
  return shared;
}

/// AIG, KL, LoRA scaling, then combinations, then plain.
int rank_of(const std::string& regulariser) {
  if (regulariser == "plain") return 2;
  return regulariser.find(" + ") == std::string::npos ? 0 : 1;
}

/// Completes the strengths of one regulariser's points, so that what differs in more than its seed is told apart.
void complete_strengths(std::vector<FrontPoint>& points, const std::string& regulariser, bool several_methods) {
  std::set<double> lengths;
  for (const FrontPoint& p : points)
    if (p.regularisation.name == regulariser && std::isfinite(p.steps)) lengths.insert(p.steps);
  for (FrontPoint& p : points) {
    if (p.regularisation.name != regulariser) continue;
    std::vector<std::string> parts;
    if (!p.regularisation.strength.empty()) parts.push_back(p.regularisation.strength);
    if (std::isfinite(p.steps) && (regulariser == "plain" || lengths.size() > 1)) parts.push_back(readable(p.steps, 15) + " steps");
    if (several_methods && !p.method.empty()) parts.push_back(p.method);
    p.regularisation.strength = join(parts, ", ");
  }
}

/// Measures that some point has; one that several feature networks took is listed once for each.
std::vector<Measure> measures_of(const FrontStudy& study) {
  std::vector<Measure> found;
  for (const Measure& known : known_measures()) {
    std::vector<std::pair<std::string, std::string>> networks;  // digest, name
    for (const auto* points : {&study.base, &study.tuned})
      for (const FrontPoint& p : *points)
        for (const MetricRow& row : p.metrics)
          if (row.metric == known.row && std::isfinite(row.value) &&
              std::none_of(networks.begin(), networks.end(), [&](const auto& n) { return n.first == row.digest; }))
            networks.emplace_back(row.digest, row.features);
    for (size_t i = 0; i < networks.size(); ++i) {
      Measure m = known;
      m.digest = networks[i].first;
      if (i > 0) m.key += "_" + std::to_string(i + 1);
      if (networks.size() > 1) m.title += " (" + networks[i].second + ")";
      found.push_back(std::move(m));
    }
  }
  return found;
}

void complete(FrontStudy& study, std::vector<std::string>& notes) {
  std::set<std::string> regularisers, methods;
  std::set<uint64_t> seeds;
  for (const FrontPoint& p : study.tuned) {
    regularisers.insert(p.regularisation.name);
    methods.insert(p.method);
    seeds.insert(p.seed.value_or(0));
  }
  study.regularisers.assign(regularisers.begin(), regularisers.end());
  std::stable_sort(study.regularisers.begin(), study.regularisers.end(),
                   [](const std::string& a, const std::string& b) { return rank_of(a) < rank_of(b); });
  study.seeds.assign(seeds.begin(), seeds.end());
  for (const std::string& r : study.regularisers) complete_strengths(study.tuned, r, methods.size() > 1);
  const auto place = [&](const FrontPoint& p) {
    return std::find(study.regularisers.begin(), study.regularisers.end(), p.regularisation.name);
  };
  std::stable_sort(study.tuned.begin(), study.tuned.end(),
                   [&](const FrontPoint& a, const FrontPoint& b) { return place(a) < place(b); });
  study.measures = measures_of(study);
  for (const auto* points : {&study.base, &study.tuned})
    for (const FrontPoint& p : *points)
      for (const auto& r : p.rewards)
        if (r.column != study.reward && std::find(study.golds.begin(), study.golds.end(), r.column) == study.golds.end())
          study.golds.push_back(r.column);
  if (study.base.empty())
    notes.push_back(study.reward + ": no point is the base model, so there are no hypervolumes and no comparison at equal reward. "
                    "Score samples of it too.");
  std::set<std::tuple<std::string, std::string, uint64_t>> seen;
  size_t repeated = 0;
  for (const FrontPoint& p : study.tuned)
    repeated += seen.emplace(p.regularisation.name, p.regularisation.strength, p.seed.value_or(0)).second ? 0 : 1;
  if (repeated > 0)
    notes.push_back(cat(study.reward, ": ", repeated, repeated == 1 ? " point has" : " points have",
                        " the regulariser, strength and seed of another; they are averaged."));
}

/// The mean of a number over points, which is averaged within a seed first.
template <typename Value>
Estimate mean_over_seeds(const std::vector<const FrontPoint*>& points, const Value& value) {
  std::map<uint64_t, std::vector<double>> by_seed;
  std::vector<double> means;
  for (const FrontPoint* p : points) {
    if (!std::isfinite(value(*p))) continue;
    if (p->seed)
      by_seed[*p->seed].push_back(value(*p));
    else
      means.push_back(value(*p));
  }
  for (const auto& [seed, values] : by_seed) means.push_back(estimate(values).mean);
  return estimate(means);
}

StrengthMean mean_of_points(const FrontStudy& study, const std::vector<const FrontPoint*>& points) {
  StrengthMean m;
  m.regulariser = points.front()->regularisation.name;
  m.strength = points.front()->regularisation.strength;
  m.reward = mean_over_seeds(points, [&](const FrontPoint& p) { return p.reward(study.reward); });
  for (const Measure& measure : study.measures)
    m.measures.push_back(mean_over_seeds(points, [&](const FrontPoint& p) { return p.measure(measure); }));
  for (const std::string& gold : study.golds)
    m.golds.push_back(mean_over_seeds(points, [&](const FrontPoint& p) { return p.reward(gold); }));
  return m;
}

}  // namespace

std::vector<FrontStudy> front_studies(const std::vector<FrontPoint>& points, const std::string& reward,
                                      std::vector<std::string>& notes) {
  std::vector<FrontStudy> studies;
  const auto study_of = [&](const std::string& column) -> FrontStudy& {
    for (FrontStudy& s : studies)
      if (s.reward == column) return s;
    studies.emplace_back();
    studies.back().reward = column;
    return studies.back();
  };
  for (const FrontPoint& p : points) {
    const std::string column = trained_column(p, reward, notes);
    if (!p.is_base()) study_of(column).tuned.push_back(p);
  }
  if (studies.empty() && !points.empty()) study_of(reward.empty() ? points.front().rewards.front().column : reward);
  for (FrontStudy& study : studies) {
    std::vector<FrontPoint> otherwise;  // base points that were sampled in another way
    for (const FrontPoint& p : points) {
      if (!p.is_base() || !p.find(study.reward)) continue;
      const bool alike = study.tuned.empty() || std::any_of(study.tuned.begin(), study.tuned.end(), [&](const FrontPoint& t) {
                           return sampling_of(t) == sampling_of(p);
                         });
      (alike ? study.base : otherwise).push_back(p);
    }
    if (study.base.empty() && !otherwise.empty()) {
      notes.push_back(study.reward + ": the base model was sampled with other options (class, sampler, steps, eta or guidance) than the tuned "
                      "models, so part of the difference between them is not the tuning's.");
      study.base = std::move(otherwise);
    }
    complete(study, notes);
  }
  return studies;
}

double diversity_of(const FrontPoint& point, const Measure& measure) {
  return measure.lower_is_better ? -point.measure(measure) : point.measure(measure);
}

std::vector<StrengthMean> strength_means(const FrontStudy& study) {
  std::vector<StrengthMean> means;
  const auto all = [](const std::vector<FrontPoint>& points, const auto& wanted) {
    std::vector<const FrontPoint*> found;
    for (const FrontPoint& p : points)
      if (wanted(p)) found.push_back(&p);
    return found;
  };
  if (!study.base.empty()) means.push_back(mean_of_points(study, all(study.base, [](const FrontPoint&) { return true; })));
  for (const std::string& regulariser : study.regularisers) {
    const size_t first = means.size();
    std::set<std::string> strengths;
    for (const FrontPoint& p : study.tuned)
      if (p.regularisation.name == regulariser) strengths.insert(p.regularisation.strength);
    for (const std::string& strength : strengths)
      means.push_back(mean_of_points(study, all(study.tuned, [&](const FrontPoint& p) {
        return p.regularisation.name == regulariser && p.regularisation.strength == strength;
      })));
    std::stable_sort(means.begin() + static_cast<std::ptrdiff_t>(first), means.end(),
                     [](const StrengthMean& a, const StrengthMean& b) { return a.reward.mean < b.reward.mean; });
  }
  return means;
}

std::vector<bool> on_front(const FrontStudy& study, const std::vector<StrengthMean>& means, size_t measure,
                           const std::string& regulariser) {
  std::vector<PlanePoint> points;
  for (const StrengthMean& m : means) {
    const bool counts = regulariser.empty() || m.regulariser == regulariser || m.regulariser == "base";
    const double value = m.measures.at(measure).mean;
    points.push_back({counts ? m.reward.mean : kNone, study.measures[measure].lower_is_better ? -value : value});
  }
  std::vector<bool> on(means.size(), false);
  for (const size_t i : pareto_set(points)) on[i] = true;
  return on;
}

PlanePoint base_point(const FrontStudy& study, uint64_t seed, const Measure& measure) {
  std::string expression;
  for (const FrontPoint& p : study.tuned)
    if (p.seed.value_or(0) == seed && p.find(study.reward)) expression = p.find(study.reward)->expression;
  const auto mean = [&](const auto& wanted) {
    std::vector<double> rewards, values;
    for (const FrontPoint& p : study.base) {
      if (!wanted(p)) continue;
      rewards.push_back(p.reward(study.reward));
      values.push_back(diversity_of(p, measure));
    }
    return PlanePoint{estimate(rewards).mean, estimate(values).mean};
  };
  const auto own = [&](const FrontPoint& p) { return p.seed == seed; };
  const auto same = [&](const FrontPoint& p) { return p.find(study.reward)->expression == expression; };
  if (std::any_of(study.base.begin(), study.base.end(), own)) return mean(own);
  if (std::any_of(study.base.begin(), study.base.end(), same)) return mean(same);
  return mean([](const FrontPoint&) { return true; });
}

std::vector<PlanePoint> seed_points(const FrontStudy& study, const std::string& regulariser, uint64_t seed,
                                    const Measure& measure) {
  std::vector<PlanePoint> points;
  if (!study.base.empty()) points.push_back(base_point(study, seed, measure));
  std::map<std::string, std::pair<std::vector<double>, std::vector<double>>> by_strength;  // rewards, diversities
  for (const FrontPoint& p : study.tuned) {
    if (p.regularisation.name != regulariser || p.seed.value_or(0) != seed) continue;
    auto& [rewards, diversities] = by_strength[p.regularisation.strength];
    rewards.push_back(p.reward(study.reward));
    diversities.push_back(diversity_of(p, measure));
  }
  for (const auto& [strength, values] : by_strength)
    points.push_back({estimate(values.first).mean, estimate(values.second).mean});
  return points;
}

ByRegulariser hypervolumes(const FrontStudy& study, const Measure& measure) {
  PlaneScale scale;
  scale.reward_max = -std::numeric_limits<double>::infinity();
  scale.diversity_worst = std::numeric_limits<double>::infinity();
  for (const auto* points : {&study.base, &study.tuned})
    for (const FrontPoint& p : *points) {
      const double d = diversity_of(p, measure);
      if (!std::isfinite(d)) continue;
      scale.reward_max = std::max(scale.reward_max, p.reward(study.reward));
      scale.diversity_worst = std::min(scale.diversity_worst, d);
    }
  ByRegulariser volumes;
  for (const std::string& regulariser : study.regularisers)
    for (const uint64_t seed : study.seeds) {
      const std::vector<PlanePoint> points = seed_points(study, regulariser, seed, measure);
      const PlanePoint base = base_point(study, seed, measure);
      scale.reward_base = base.reward;
      scale.diversity_base = base.diversity;
      const size_t own = points.size() - (study.base.empty() ? 0 : 1);
      if (own == 0) continue;
      std::vector<PlanePoint> scaled;
      for (const PlanePoint& p : points) scaled.push_back(scale(p));
      volumes[regulariser][seed] = scale.usable() ? hypervolume(scaled) : kNone;  // NaN base: not usable
    }
  return volumes;
}

std::map<uint64_t, CommonReward> common_rewards(const FrontStudy& study) {
  std::map<uint64_t, CommonReward> rewards;
  if (study.base.empty() || study.measures.empty()) return rewards;
  for (const uint64_t seed : study.seeds) {
    CommonReward common{base_point(study, seed, study.measures.front()).reward, std::numeric_limits<double>::infinity(), ""};
    for (const std::string& regulariser : study.regularisers) {
      const std::vector<PlanePoint> points = seed_points(study, regulariser, seed, study.measures.front());
      double most = common.base;
      for (const PlanePoint& p : points) most = std::max(most, p.reward);
      if (points.size() > 1 && most < common.most) common.most = most, common.set_by = regulariser;
    }
    if (std::isfinite(common.most) && common.most > common.base) rewards[seed] = common;
  }
  return rewards;
}

BySeed reward_levels(const FrontStudy& study, double share) {
  BySeed levels;
  const std::map<uint64_t, CommonReward> rewards = common_rewards(study);
  for (const uint64_t seed : study.seeds) {
    const auto common = rewards.find(seed);
    levels[seed] = common == rewards.end() ? kNone : common->second.base + share * (common->second.most - common->second.base);
  }
  return levels;
}

ByRegulariser diversity_at_levels(const FrontStudy& study, const Measure& measure, const BySeed& levels) {
  ByRegulariser values;
  for (const std::string& regulariser : study.regularisers)
    for (const auto& [seed, level] : levels) {
      const std::vector<PlanePoint> points = seed_points(study, regulariser, seed, measure);
      if (points.size() > (study.base.empty() ? 0u : 1u)) values[regulariser][seed] = diversity_at(points, level);
    }
  return values;
}

}  // namespace plumb::report
