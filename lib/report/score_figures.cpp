// SPDX-License-Identifier: Apache-2.0
#include "report/score_figures.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "report/axis.h"
#include "report/number.h"
#include "report/svg.h"

namespace plumb::report {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr double kZ95 = 1.959963984540054;

std::vector<double> sorted_finite(const std::vector<float>& values) {
  std::vector<double> finite;
  for (const float v : values) {
    if (std::isfinite(v)) finite.push_back(v);
  }
  std::sort(finite.begin(), finite.end());
  return finite;
}

double quantile(const std::vector<double>& sorted, double level) {
  if (sorted.empty()) return kNone;
  const double at = level * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(at), above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

/// Share of the set's finite values in each bin, in per cent. The last bin holds its upper edge.
std::vector<double> shares(const std::vector<float>& values, const std::vector<double>& edges) {
  std::vector<double> bins(edges.size() - 1, 0);
  double n = 0;
  for (const float v : values) {
    if (!std::isfinite(v)) continue;
    const auto above = std::upper_bound(edges.begin(), edges.end(), static_cast<double>(v));
    const auto bin = std::clamp<int64_t>(above - edges.begin() - 1, 0, static_cast<int64_t>(bins.size()) - 1);
    bins[static_cast<size_t>(bin)] += 1;
    n += 1;
  }
  for (double& b : bins)
    b *= n > 0 ? 100 / n : 0;
  return bins;
}

}  // namespace

std::string file_part(const std::string& name) {
  std::string out;
  for (const char c : name) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    if (plain)
      out += c;
    else if (!out.empty() && out.back() != '_')
      out += '_';
  }
  return out.substr(0, 60);
}

const std::vector<double> kQuantiles{0, 0.05, 0.25, 0.5, 0.75, 0.95, 1};

Summary summarise(const std::vector<float>& values) {
  const std::vector<double> sorted = sorted_finite(values);
  Summary s;
  s.n = static_cast<int64_t>(sorted.size());
  s.not_finite = static_cast<int64_t>(values.size()) - s.n;
  const double n = static_cast<double>(s.n);
  double sum = 0, squares = 0;
  for (const double v : sorted)
    sum += v;
  s.mean = s.n > 0 ? sum / n : kNone;
  for (const double v : sorted)
    squares += (v - s.mean) * (v - s.mean);
  s.standard_deviation = s.n > 1 ? std::sqrt(squares / (n - 1)) : kNone;
  s.standard_error = s.n > 1 ? s.standard_deviation / std::sqrt(n) : kNone;
  for (const double level : kQuantiles)
    s.quantiles.push_back(quantile(sorted, level));
  return s;
}

std::vector<double> histogram_edges(const std::vector<const std::vector<float>*>& sets) {
  double lo = std::numeric_limits<double>::infinity(), hi = -lo, width = lo;
  for (const auto* values : sets) {
    const std::vector<double> sorted = sorted_finite(*values);
    if (sorted.empty()) continue;
    lo = std::min(lo, sorted.front());
    hi = std::max(hi, sorted.back());
    const double spread = quantile(sorted, 0.75) - quantile(sorted, 0.25);
    if (spread > 0) width = std::min(width, 2 * spread / std::cbrt(static_cast<double>(sorted.size())));
  }
  if (lo > hi) return {};
  const double range = hi - lo;
  if (!(range > 1e-12 * std::max(std::fabs(lo), std::fabs(hi)))) {
    const double half = lo == 0 ? 0.5 : std::fabs(lo) * 0.05;
    return {lo - half, lo + half};
  }
  const double bins = std::isfinite(width) ? std::clamp(range / width, 8.0, 40.0) : 20;
  const double step = nice_step(lo, hi, static_cast<int>(bins));
  std::vector<double> edges;
  const double first = std::floor(lo / step + 1e-9), last = std::ceil(hi / step - 1e-9);
  for (double k = first; k <= last; ++k)
    edges.push_back(k * step);
  if (edges.size() < 2) edges.push_back(edges.back() + step);
  return edges;
}

std::vector<Figure> score_figures(const std::vector<ScoreSet>& sets) {
  std::map<std::string, std::vector<const ScoreSet*>> by_reward;
  std::vector<std::string> order;
  for (const ScoreSet& set : sets) {
    if (by_reward[set.reward].empty()) order.push_back(set.reward);
    by_reward[set.reward].push_back(&set);
  }
  std::vector<Figure> figures;
  for (const std::string& reward : order) {
    const auto& group = by_reward[reward];
    std::vector<const std::vector<float>*> values;
    for (const ScoreSet* set : group)
      values.push_back(&set->values);
    const std::vector<double> edges = histogram_edges(values);
    if (edges.empty()) continue;
    Figure figure;
    figure.id = "reward-" + file_part(reward);
    figure.title = "Rewards of the samples: " + reward;
    figure.x_label = reward + " (higher is better)";
    Panel panel{reward, "% of samples in each bin", {}, false, true, {}, 130, group.size() > 3};
    for (size_t i = 0; i < group.size(); ++i) {
      const Summary s = summarise(group[i]->values);
      if (s.n == 0) continue;
      Series series;
      series.name = group[i]->samples;
      series.style = Style::kSteps;
      series.colour = static_cast<int>(i);
      series.x = edges;
      series.y = shares(group[i]->values, edges);
      panel.series.push_back(std::move(series));
      const std::string words =
          (group.size() > 1 ? group[i]->samples + ": mean " : "mean ") + readable_with_error(s.mean, s.standard_error);
      const double reach = std::isfinite(s.standard_error) ? kZ95 * s.standard_error : 0;
      if (group.size() <= 3)
        figure.marks.push_back({s.mean, s.mean - reach, s.mean + reach, words, Svg::colour(static_cast<int>(i)), true});
      figure.description += (i ? "; " : "Histogram of " + reward + ": ") + words;
    }
    figure.panels.push_back(std::move(panel));
    figures.push_back(std::move(figure));
  }
  return figures;
}

Table score_table(const std::vector<ScoreSet>& sets) {
  Table table{"rewards",
              "Rewards in numbers",
              "mean ± standard error, and quantiles; higher is better",
              {{"reward", "Reward"},
               {"samples", "Samples"},
               {"n", "n", Align::kNumber},
               {"mean", "Mean", Align::kNumber},
               {"stderr", "", Align::kNumber},
               {"sd", "", Align::kNumber},
               {"min", "Min", Align::kNumber},
               {"q05", "5 %", Align::kNumber},
               {"q25", "25 %", Align::kNumber},
               {"median", "Median", Align::kNumber},
               {"q75", "75 %", Align::kNumber},
               {"q95", "95 %", Align::kNumber},
               {"max", "Max", Align::kNumber}},
              {}};
  bool bad = false;
  for (const ScoreSet& set : sets)
    bad |= summarise(set.values).not_finite > 0;
  table.columns.push_back({"not_finite", bad ? "Not finite" : "", Align::kNumber});
  for (const ScoreSet& set : sets) {
    const Summary s = summarise(set.values);
    std::vector<Cell> row{
        cell(set.reward),       cell(set.samples),         cell(s.n), cell_with_error(s.mean, s.standard_error),
        cell(s.standard_error), cell(s.standard_deviation)};
    for (const double q : s.quantiles)
      row.push_back({readable(q, 3, true), exact(q)});
    row.push_back(cell(s.not_finite));
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace plumb::report
