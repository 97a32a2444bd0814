// SPDX-License-Identifier: Apache-2.0
#include "report/front_figures.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/text.h"
#include "report/number.h"
#include "report/score_figures.h"

namespace plumb::report {
namespace {

const char* const kAig = "AIG";
const char* const kNothing = "–";

/// The same colour on every page for what most studies compare.
int colour_of(const FrontStudy& study, const std::string& regulariser) {
  static const std::vector<std::string> fixed{kAig, "LoRA scaling", "KL", "plain"};
  if (const auto at = std::find(fixed.begin(), fixed.end(), regulariser); at != fixed.end()) return static_cast<int>(at - fixed.begin());
  int next = static_cast<int>(fixed.size());
  for (const std::string& r : study.regularisers) {
    if (r == regulariser) break;
    next += std::find(fixed.begin(), fixed.end(), r) == fixed.end() ? 1 : 0;
  }
  return next;
}

std::string id_of(const char* what, const FrontStudy& study) { return std::string(what) + "-" + file_part(study.reward); }

/// The marks of one regulariser, from the base model on, in the plane of reward and `value`.
template <typename Value>
Series series_of(const FrontStudy& study, const std::vector<StrengthMean>& means, const std::string& regulariser,
                 const std::vector<bool>& joined, const Value& value) {
  Series s;
  s.name = regulariser == "base" ? "base model" : regulariser;
  s.style = Style::kScatter;
  s.square = regulariser == "base";
  s.colour = s.square ? -1 : colour_of(study, regulariser);
  std::vector<size_t> order;
  for (size_t i = 0; i < means.size(); ++i) {
    const bool start = means[i].regulariser == "base" && !joined.empty() && joined[i];  // where the line begins
    if (means[i].regulariser == regulariser || start) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return means[a].reward.mean < means[b].reward.mean; });
  for (const size_t i : order) {
    const Estimate r = means[i].reward, v = value(means[i]);
    s.x.push_back(r.mean);
    s.x_low.push_back(r.low());
    s.x_high.push_back(r.high());
    s.y.push_back(v.mean);
    s.low.push_back(v.low());
    s.high.push_back(v.high());
    if (!joined.empty()) s.joined.push_back(joined[i]);
    s.tips.push_back((means[i].regulariser == "base" ? "base model" : means[i].regulariser + " " + means[i].strength) + ": " +
                     readable_with_error(r.mean, r.half) + ", " + readable_with_error(v.mean, v.half));
  }
  return s;
}

/// A panel: each regulariser's marks, the base model's on top.
template <typename Value, typename Joined>
Panel panel_of(const FrontStudy& study, const std::vector<StrengthMean>& means, const std::string& title, const std::string& note,
               const Value& value, const Joined& joined) {
  Panel panel{title, note, {}};
  for (const std::string& r : study.regularisers) panel.series.push_back(series_of(study, means, r, joined(r), value));
  if (!study.base.empty()) panel.series.push_back(series_of(study, means, "base", {}, value));
  return panel;
}

std::string side(const Measure& m) { return m.lower_is_better ? "lower is better" : "higher is better"; }

/// Mean and half of the interval, if that is more than rounding.
Cell shown(const Estimate& e, const std::string& mark = "") {
  if (e.n == 0) return cell(std::string(kNothing));
  return cell(readable_with_error(e.mean, e.half > 1e-12 * std::fabs(e.mean) ? e.half : 0) + mark);
}

/// A cell that a wide table does not break into lines.
Cell unbroken(std::string text) {
  for (size_t at = text.find(' '); at != std::string::npos; at = text.find(' ', at)) text.replace(at, 1, "\u00a0");
  return cell(text);
}
Cell number_or_empty(double value) { return std::isfinite(value) ? cell(value) : Cell{}; }

void add_numbers(std::vector<Cell>& row, const Estimate& e) {
  row.push_back(number_or_empty(e.mean));
  row.push_back(number_or_empty(e.half));
}

/// Regularisers that AIG is compared with; none if there is no AIG.
std::vector<std::string> others(const FrontStudy& study) {
  std::vector<std::string> names;
  if (std::find(study.regularisers.begin(), study.regularisers.end(), kAig) == study.regularisers.end()) return names;
  for (const std::string& r : study.regularisers)
    if (r != kAig) names.push_back(r);
  return names;
}

std::string measures_note(const FrontStudy& study) {
  std::vector<std::string> notes;
  for (const Measure& m : study.measures)
    if (!m.note.empty()) notes.push_back(m.title + ": " + m.note);
  return notes.empty() ? "" : " " + join(notes, "; ") + ".";
}

std::string digests_note(const FrontStudy& study) {
  std::set<std::string> networks;
  for (const auto* points : {&study.base, &study.tuned})
    for (const FrontPoint& p : *points)
      for (const MetricRow& row : p.metrics)
        if (!row.features.empty())
          networks.insert(row.features + (row.digest.empty() ? "" : " (weights " + short_digest(row.digest) + ")"));
  return networks.empty() ? "" : " Features: " + join({networks.begin(), networks.end()}, "; ") + ".";
}

/// Values by regulariser as tables: a line a comparison to read, the differences to AIG likewise in a table of their own, and
/// all for programs, a line a regulariser.
class Comparison {
 public:
  /// page: the columns that say what a line is about; value_key: the column of values in the file.
  Comparison(const FrontStudy& study, const std::string& id, const std::string& title, const std::vector<Column>& page,
             const std::vector<std::string>& file, const std::string& value_key)
      : study_(study), others_(others(study)) {
    values_ = {id, title, "", page, {}, Table::Use::kPage};
    differences_ = {id, title + ": AIG minus each other", "", page, {}, Table::Use::kPage};
    file_ = {id, title, "", {}, {}, Table::Use::kFile};
    for (const std::string& r : study.regularisers) values_.columns.push_back({r, r, Align::kNumber});
    for (const std::string& r : others_) differences_.columns.push_back({r, "AIG − " + r, Align::kNumber});
    for (const std::string& key : file) file_.columns.push_back({key, key});
    const std::vector<std::string> figures{"regulariser", "n", value_key, value_key + "_ci95", "aig_minus_this", "aig_minus_this_ci95", "pairs"};
    for (const std::string& key : figures) file_.columns.push_back({key, key});
  }

  /// sign: of the values shown, -1 for a distance; differences are better where positive.
  void add(const std::vector<Cell>& page, const std::vector<Cell>& file, const ByRegulariser& values, double sign) {
    const auto of = [&](const std::string& regulariser) {
      const auto found = values.find(regulariser);
      return found == values.end() ? BySeed() : found->second;
    };
    std::vector<Cell> shown_values = page, shown_differences = page;
    for (const std::string& r : study_.regularisers) {
      Estimate e = estimate(of(r));
      e.mean *= sign;
      shown_values.push_back(shown(e));
      std::vector<Cell> row = file;
      row.push_back(cell(r));
      row.push_back(cell(static_cast<int64_t>(e.n)));
      add_numbers(row, e);
      const Estimate d = r == kAig ? Estimate{} : paired_difference(of(kAig), of(r));
      add_numbers(row, d);
      row.push_back(d.n > 0 ? cell(static_cast<int64_t>(d.n)) : Cell{});
      file_.rows.push_back(std::move(row));
    }
    for (const std::string& r : others_) shown_differences.push_back(shown(paired_difference(of(kAig), of(r))));
    values_.rows.push_back(std::move(shown_values));
    differences_.rows.push_back(std::move(shown_differences));
  }

  std::vector<Table> tables(const std::string& note, const std::string& note_on_differences) && {
    values_.note = note + " ± is half of the 95 % t-interval of the mean over seeds.";
    differences_.note = "Paired by seed; intervals as above, not corrected for the number of comparisons. " + note_on_differences;
    std::vector<Table> all{std::move(values_)};
    if (!others_.empty()) all.push_back(std::move(differences_));
    all.push_back(std::move(file_));
    return all;
  }

 private:
  const FrontStudy& study_;
  std::vector<std::string> others_;
  Table values_, differences_, file_;
};

/// "a", "a and b", "a, b and c".
std::string list_text(const std::vector<std::string>& parts) {
  if (parts.size() < 2) return join(parts, "");
  return join({parts.begin(), parts.end() - 1}, ", ") + " and " + parts.back();
}

}  // namespace

const std::vector<double> kLevelShares{0.25, 0.5, 0.75};

std::string heading(const Measure& measure) { return measure.title + (measure.lower_is_better ? " ↓" : " ↑"); }

Figure front_figure(const FrontStudy& study) {
  Figure figure;
  figure.id = id_of("front", study);
  figure.x_label = study.reward + ", mean";
  figure.grid = true;
  figure.cell_plot = 190;
  figure.caption =
      "A mark a strength: mean over seeds, with 95 % t-intervals where there are two seeds or more (bars that leave the plot are "
      "cut). Filled and joined: on the Pareto front of its regulariser, which starts at the base model (square); hollow: off it. "
      "In the panels of other rewards nothing is joined." + measures_note(study) + digests_note(study);
  figure.description = "Reward " + study.reward + " against diversity and other rewards, by regulariser";
  const std::vector<StrengthMean> means = strength_means(study);
  for (size_t k = 0; k < study.measures.size(); ++k) {
    const Measure& m = study.measures[k];
    Panel panel = panel_of(
        study, means, m.title, side(m), [&](const StrengthMean& s) { return s.measures[k]; },
        [&](const std::string& r) { return on_front(study, means, k, r); });
    figure.panels.push_back(std::move(panel));
  }
  for (size_t k = 0; k < study.golds.size(); ++k)
    figure.panels.push_back(panel_of(
        study, means, study.golds[k], "not trained on; higher is better", [&](const StrengthMean& s) { return s.golds[k]; },
        [](const std::string&) { return std::vector<bool>(); }));
  return figure;
}

std::vector<Table> point_tables(const FrontStudy& study) {
  const std::vector<StrengthMean> means = strength_means(study);
  Table page{id_of("front-points", study),
             "Points",
             "",
             {{"regulariser", "Regulariser"}, {"strength", "Strength"}, {"n", "Seeds", Align::kNumber}},
             {},
             Table::Use::kPage};
  Table file = page;
  file.use = Table::Use::kFile;
  page.note =
      "Mean over seeds ± half of its 95 % t-interval. • on the Pareto front of its regulariser and the base model, ★ also on the "
      "front of all. ↑ higher is better, ↓ lower is better.";
  const auto column = [&](const std::string& key, const std::string& title) {
    page.columns.push_back({key, title, Align::kNumber});
    file.columns.push_back({key, key});
    file.columns.push_back({key + "_ci95", key + "_ci95"});
  };
  column("reward", study.reward + " ↑");
  for (const Measure& m : study.measures) {
    column(m.key, heading(m));
    file.columns.push_back({m.key + "_front", m.key + "_front"});
  }
  for (const std::string& gold : study.golds) column("reward/" + gold, gold + " ↑");
  std::vector<std::vector<bool>> on_own(study.measures.size(), std::vector<bool>(means.size(), false)), on_all = on_own;
  for (size_t k = 0; k < study.measures.size(); ++k) {
    on_all[k] = on_front(study, means, k, "");
    for (const std::string& r : study.regularisers) {
      const std::vector<bool> on = on_front(study, means, k, r);
      for (size_t i = 0; i < means.size(); ++i)
        if (means[i].regulariser == r) on_own[k][i] = on[i];
    }
  }
  for (size_t i = 0; i < means.size(); ++i) {
    const StrengthMean& m = means[i];
    const Cell n = cell(static_cast<int64_t>(m.reward.n));
    std::vector<Cell> row{unbroken(m.regulariser), unbroken(m.strength), n}, numbers{cell(m.regulariser), cell(m.strength), n};
    row.push_back(shown(m.reward));
    add_numbers(numbers, m.reward);
    for (size_t k = 0; k < study.measures.size(); ++k) {
      row.push_back(shown(m.measures[k], on_all[k][i] ? " ★" : on_own[k][i] ? " •" : ""));
      add_numbers(numbers, m.measures[k]);
      numbers.push_back(cell(std::string(on_all[k][i] ? "all" : on_own[k][i] ? "own" : "")));
    }
    for (const Estimate& gold : m.golds) {
      row.push_back(shown(gold));
      add_numbers(numbers, gold);
    }
    page.rows.push_back(std::move(row));
    file.rows.push_back(std::move(numbers));
  }

  Table each{id_of("front-seeds", study), "Points, seed by seed", "", {}, {}, Table::Use::kFile};
  for (const char* key : {"point", "regulariser", "strength", "seed", "method", "steps", "reward"}) each.columns.push_back({key, key});
  for (const Measure& m : study.measures) each.columns.push_back({m.key, m.key});
  for (const std::string& gold : study.golds) each.columns.push_back({"reward/" + gold, "reward/" + gold});
  for (const auto* points : {&study.base, &study.tuned})
    for (const FrontPoint& p : *points) {
      std::vector<Cell> row{cell(p.source), cell(p.regularisation.name), cell(p.regularisation.strength),
                            cell(p.seed ? std::to_string(*p.seed) : ""), cell(p.method), number_or_empty(p.steps),
                            cell(p.reward(study.reward))};
      for (const Measure& m : study.measures) row.push_back(number_or_empty(p.measure(m)));
      for (const std::string& gold : study.golds) row.push_back(number_or_empty(p.reward(gold)));
      each.rows.push_back(std::move(row));
    }
  return {std::move(page), std::move(file), std::move(each)};
}

std::vector<Table> hypervolume_tables(const FrontStudy& study) {
  if (study.base.empty() || study.tuned.empty() || study.measures.empty()) return {};
  Comparison table(study, id_of("hypervolume", study), "Hypervolume of each front", {{"measure", "Measure"}}, {"measure"}, "hypervolume");
  for (const Measure& m : study.measures) table.add({unbroken(heading(m))}, {cell(m.key)}, hypervolumes(study, m), 1);
  return std::move(table).tables(
      "Area below the front, a seed at a time, in units of the study: 1 is the largest reward of all points at the diversity of the "
      "base model, 0 is no point with both more reward than the base model and more diversity than the worst point of all. "
      "A front more diverse than the base model can exceed 1. More strengths give a front more area.",
      "");
}

std::vector<Table> equal_reward_tables(const FrontStudy& study) {
  if (study.base.empty() || study.tuned.empty() || study.measures.empty()) return {};
  Comparison table(study, id_of("equal-reward", study), "Diversity at equal reward",
                   {{"measure", "Measure"}, {"level", "Level", Align::kNumber}, {"reward", study.reward, Align::kNumber}},
                   {"measure", "level", "reward", "reward_ci95"}, "value");
  for (const Measure& m : study.measures)
    for (const double share : kLevelShares) {
      const BySeed levels = reward_levels(study, share);
      const Estimate reward = estimate(levels);
      std::vector<Cell> numbers{cell(m.key), cell(share)};
      add_numbers(numbers, reward);
      table.add({unbroken(heading(m)), cell(readable(100 * share, 3) + " %"), shown(reward)}, numbers,
                diversity_at_levels(study, m, levels), m.lower_is_better ? -1 : 1);
    }
  std::set<std::string> set_by;
  for (const auto& [seed, common] : common_rewards(study)) set_by.insert(common.set_by);
  return std::move(table).tables(
      "Levels lie between the base model (0 %) and the largest reward that every regulariser reaches (100 %), a seed at a time; the one "
      "that reaches least is " + list_text({set_by.begin(), set_by.end()}) + ". Between the points of a front, straight lines.",
      "Positive where AIG is better, also for a distance. Of a measure it is said on top that AIG is at least as diverse as another if "
      "the intervals at all levels lie at or above 0, that it is not if one lies below, and else that it cannot be told.");
}

std::vector<std::string> claim_sentences(const FrontStudy& study) {
  std::vector<std::string> sentences;
  const std::vector<std::string> compared = others(study);
  for (const std::string& other : {std::string("LoRA scaling"), std::string("KL")}) {
    if (study.base.empty() || study.measures.empty() || std::find(compared.begin(), compared.end(), other) == compared.end()) continue;
    std::vector<std::string> holds, fails, open;
    std::string first;
    for (const Measure& m : study.measures) {
      std::vector<Estimate> differences;
      for (const double share : kLevelShares) {
        ByRegulariser values = diversity_at_levels(study, m, reward_levels(study, share));
        differences.push_back(paired_difference(values[kAig], values[other]));
      }
      const Claim claim = judge(differences);
      (claim == Claim::kHolds ? holds : claim == Claim::kFails ? fails : open).push_back(m.title);
      const Estimate& middle = differences[differences.size() / 2];
      if (first.empty() && middle.n > 0)
        first = " " + m.title + ", half way: AIG − " + other + " = " + readable_with_error(middle.mean, middle.half) +
                (middle.n == 1 ? " (one seed)." : " (" + std::to_string(middle.n) + " seeds).");
    }
    const size_t all = study.measures.size();
    const auto part = [&](const std::vector<std::string>& titles, const char* what, const char* of_all) {
      if (titles.empty()) return std::string();
      return std::string(what) + " for " + (titles.size() == all && all > 2 ? cat(of_all, all, " measures") : list_text(titles));
    };
    std::vector<std::string> parts{part(holds, "holds", "all "), part(fails, "does not hold", "any of "),
                                   part(open, "cannot be told", "any of ")};
    std::erase(parts, "");
    sentences.push_back("AIG at least as diverse as " + other + " at equal " + study.reward + ": " + join(parts, "; ") + "." + first);
  }
  return sentences;
}

}  // namespace plumb::report
