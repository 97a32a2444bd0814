// SPDX-License-Identifier: Apache-2.0
#include "report/run_comparison.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "report/number.h"

namespace plumb::report {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr double kZ95 = 1.959963984540054;

struct Group {
  std::string name;
  std::vector<const RunLog*> runs;
};

std::vector<Group> groups_of(const std::vector<RunLog>& runs, bool by_group) {
  std::vector<Group> groups;
  for (const RunLog& run : runs) {
    const std::string name = by_group ? group_name(run.name) : run.name;
    const auto found = std::find_if(groups.begin(), groups.end(), [&](const Group& g) { return g.name == name; });
    Group& group = found == groups.end() ? groups.emplace_back(Group{name, {}}) : *found;
    group.runs.push_back(&run);
  }
  return groups;
}

Curve mean_curve(const Group& group, const Curve& first) {
  Curve out{first.name, {}, {}, {}};
  for (size_t i = 0; i < first.x.size(); ++i) {
    std::vector<double> values;
    for (const RunLog* run : group.runs) {
      const Curve* c = run->find(first.name);
      const auto at = c ? std::lower_bound(c->x.begin(), c->x.end(), first.x[i]) : std::vector<double>::const_iterator();
      if (c && at != c->x.end() && *at == first.x[i]) values.push_back(c->y[static_cast<size_t>(at - c->x.begin())]);
    }
    if (values.size() != group.runs.size()) continue;
    const Mean m = mean_of(values);
    out.x.push_back(first.x[i]);
    out.y.push_back(m.value);
    out.se.push_back(m.standard_error * t95(values.size()) / kZ95);
  }
  return out;
}

double last_of(const Curve* c) { return c ? c->y.back() : kNone; }
double best_of(const Curve* c) { return c ? *std::max_element(c->y.begin(), c->y.end()) : kNone; }

/// The value of `curve` where the run's trained reward first reaches `level`.
double at_proxy(const RunLog& run, const Curve* curve, double level) {
  const Curve* proxy = run.find("proxy");
  if (!proxy || !curve || curve->x != proxy->x) return kNone;
  for (size_t i = 0; i < proxy->y.size(); ++i) {
    if (proxy->y[i] < level) continue;
    if (i == 0) return curve->y[0];
    const double share = (level - proxy->y[i - 1]) / (proxy->y[i] - proxy->y[i - 1]);
    return curve->y[i - 1] + share * (curve->y[i] - curve->y[i - 1]);
  }
  return kNone;
}

/// The mean over a group's runs of what `figure` says of each, as shown and as the two columns of the file.
template <typename Figure>
std::array<Cell, 2> figure_cells(const Group& group, const Figure& figure) {
  std::vector<double> values;
  for (const RunLog* run : group.runs) {
    const double v = figure(*run);
    if (std::isfinite(v)) values.push_back(v);
  }
  if (values.empty()) return {Cell{"–", ""}, Cell{}};
  const Mean m = mean_of(values);
  if (values.size() < 2) return {cell(m.value), cell(std::string(""))};
  const double half = m.standard_error * t95(values.size());
  return {cell_with_error(m.value, half), cell(half)};
}

}  // namespace

std::string group_name(const std::string& run_name) {
  size_t end = run_name.size();
  while (end > 0 && run_name[end - 1] >= '0' && run_name[end - 1] <= '9') --end;
  if (end == run_name.size()) return run_name;
  while (end > 0 && std::string("-_ ").find(run_name[end - 1]) != std::string::npos) --end;
  return end == 0 || run_name[end - 1] == '.' ? run_name : run_name.substr(0, end);
}

double t95(size_t n) {
  static constexpr std::array<double, 30> kTable = {
      12.7062, 4.30265, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.30600, 2.26216, 2.22814,
      2.20099, 2.17881, 2.16037, 2.14479, 2.13145, 2.11991, 2.10982, 2.10092, 2.09302, 2.08596,
      2.07961, 2.07387, 2.06866, 2.06390, 2.05954, 2.05553, 2.05183, 2.04841, 2.04523, 2.04227};
  if (n < 2) return std::numeric_limits<double>::infinity();
  if (n - 2 < kTable.size()) return kTable[n - 2];
  const double df = static_cast<double>(n - 1), z = kZ95;  // Cornish and Fisher's expansion
  return z + (z * z * z + z) / (4 * df) + (5 * std::pow(z, 5) + 16 * z * z * z + 3 * z) / (96 * df * df);
}

Mean mean_of(const std::vector<double>& values) {
  double sum = 0, squares = 0;
  const double n = static_cast<double>(values.size());
  for (const double v : values) sum += v;
  if (values.empty()) return {kNone, kNone};
  for (const double v : values) squares += (v - sum / n) * (v - sum / n);
  return {sum / n, values.size() > 1 ? std::sqrt(squares / (n - 1) / n) : kNone};
}

void count_by_queries(std::vector<RunLog>& runs) {
  double first = kNone;
  bool differ = false;
  for (const RunLog& run : runs) {
    if (!run.tuned()) continue;
    if (!(run.updates_per_epoch > 0 && run.samples_per_epoch > 0)) return;
    if (std::isnan(first)) first = run.updates_per_epoch;
    differ |= run.updates_per_epoch != first;
  }
  if (!differ) return;
  for (RunLog& run : runs) {
    if (!run.tuned()) continue;
    const double factor = run.samples_per_epoch / run.updates_per_epoch;
    run.x_unit = "reward queries";
    for (Curve& c : run.curves)
      for (double& x : c.x) x *= factor;
    if (!run.verdict) continue;
    for (double* step : {&run.verdict->step, &run.verdict->low, &run.verdict->high, &run.verdict->best_gold_step, &run.verdict->kept_step})
      *step *= factor;
  }
}

std::vector<RunLog> pooled(const std::vector<RunLog>& runs) {
  std::vector<RunLog> out;
  for (const Group& group : groups_of(runs, true)) {
    const RunLog& first = *group.runs.front();
    if (group.runs.size() == 1) {
      out.push_back(first);
      continue;
    }
    RunLog run;
    run.name = group.name;
    run.tool = first.tool;
    run.method = first.method;
    const bool same = std::all_of(group.runs.begin(), group.runs.end(), [&](const RunLog* r) { return r->reward == first.reward; });
    run.reward = same ? first.reward : "";
    run.monitor_n = first.monitor_n;
    run.x_unit = first.x_unit;
    for (const Curve& c : first.curves) {
      Curve mean = mean_curve(group, c);
      if (!mean.y.empty()) run.curves.push_back(std::move(mean));
    }
    out.push_back(std::move(run));
  }
  return out;
}

Table comparison_table(const std::vector<RunLog>& all, bool by_group) {
  std::vector<RunLog> runs;
  std::vector<std::string> golds;
  double level = std::numeric_limits<double>::infinity();
  for (const RunLog& run : all) {
    if (!run.monitored()) continue;
    runs.push_back(run);
    if (run.find("proxy")) level = std::min(level, best_of(run.find("proxy")));
    for (const std::string& gold : run.golds())
      if (std::find(golds.begin(), golds.end(), gold) == golds.end()) golds.push_back(gold);
  }
  Table table{"runs", "Runs compared", "", {{"run", "Run"}}, {}};
  if (runs.size() < 2) return table;
  const bool rewarded = std::isfinite(level);  // some run has a trained reward
  const bool all_rewarded = std::none_of(runs.begin(), runs.end(), [](const RunLog& r) { return r.lacks_reward(); });
  if (rewarded)
    table.note = "Equal reward: where the trained reward first reached " + readable(level) + ", the largest value that every run " +
                 (all_rewarded ? "" : "with one ") + "reached; between evaluations by straight lines. ";
  table.note += "The best of a curve is the best of noisy evaluations, so a little too good.";
  if (by_group) table.note += " ± is half of the 95 % t-interval of the mean over runs.";
  const auto column = [&](const std::string& key, const std::string& title) {
    table.columns.push_back({key, title, Align::kNumber});
    if (by_group) table.columns.push_back({key + "_ci95", "", Align::kNumber});
  };
  table.columns.push_back({"runs", "n", Align::kNumber});
  if (rewarded) column("proxy_end", "Trained reward at end");
  for (const std::string& gold : golds) {
    const std::string of = golds.size() > 1 ? gold : "gold";
    column(of + "_start", of + " at start");
    column(of + "_end", of + " at end");
    column(of + "_best", of + " at best");
    if (rewarded) column(of + "_equal_reward", of + " at equal reward");
  }
  table.columns.push_back({"parted", "Parted", Align::kNumber});
  column("diversity_end", "Vendi at end");
  if (rewarded) column("diversity_equal_reward", "Vendi at equal reward");
  column("kl_end", "Path KL at end");
  column("seconds", "Seconds");
  for (const Group& group : groups_of(runs, by_group)) {
    std::vector<Cell> row = {cell(group.name), cell(static_cast<int64_t>(group.runs.size()))};
    const auto add = [&](const auto& figure) {
      const std::array<Cell, 2> cells = figure_cells(group, figure);
      row.insert(row.end(), cells.begin(), cells.begin() + (by_group ? 2 : 1));
    };
    const auto at_end = [&](const std::string& curve) { add([&](const RunLog& r) { return last_of(r.find(curve)); }); };
    if (rewarded) at_end("proxy");
    for (const std::string& gold : golds) {
      const std::string curve = "reward/" + gold;
      add([&](const RunLog& r) { return r.find(curve) ? r.find(curve)->y.front() : kNone; });
      at_end(curve);
      add([&](const RunLog& r) { return best_of(r.find(curve)); });
      if (rewarded) add([&](const RunLog& r) { return at_proxy(r, r.find(curve), level); });
    }
    const auto parted = std::count_if(group.runs.begin(), group.runs.end(),
                                      [](const RunLog* r) { return r->verdict && r->verdict->parted; });
    row.push_back(cell(static_cast<int64_t>(parted)));
    at_end("diversity");
    if (rewarded) add([&](const RunLog& r) { return at_proxy(r, r.find("diversity"), level); });
    at_end("kl");
    add([](const RunLog& r) { return r.seconds; });
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace plumb::report
