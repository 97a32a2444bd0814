// SPDX-License-Identifier: Apache-2.0
#include "report/run_figures.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "report/number.h"
#include "report/svg.h"

namespace plumb::report {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr double kZ95 = 1.959963984540054;  // the normal distribution's 97.5 % point
constexpr size_t kMostPoints = 1000;

/// A curve as a line with its 95 % interval, after y -> (y - origin) / unit.
Series line_of(const Curve& curve, const std::string& name, int colour, double origin = 0, double unit = 1) {
  const Curve c = thin(curve, kMostPoints);
  Series s;
  s.name = name;
  s.colour = colour;
  s.x = c.x;
  bool errors = false;
  for (size_t i = 0; i < c.y.size(); ++i) {
    s.y.push_back((c.y[i] - origin) / unit);
    s.low.push_back(s.y[i] - kZ95 * c.se[i] / unit);
    s.high.push_back(s.y[i] + kZ95 * c.se[i] / unit);
    errors |= std::isfinite(c.se[i]) && c.se[i] > 0;
  }
  if (!errors) s.low.clear(), s.high.clear();
  return s;
}

/// A quantity of every run that has it, one line each.
Panel panel_of(const std::vector<RunLog>& runs, const std::string& curve, const std::string& title,
               const std::string& note, int single_colour) {
  Panel panel{title, note, {}, false, false, {}, 84};
  for (size_t i = 0; i < runs.size(); ++i) {
    if (const Curve* c = runs[i].find(curve))
      panel.series.push_back(line_of(*c, runs[i].name, runs.size() > 1 ? static_cast<int>(i) : single_colour));
  }
  return panel;
}

/// Scale on which two rewards can share an axis: the spread of the first evaluation.
struct Unit {
  double origin = 0, size = 0;
};
Unit unit_of(const RunLog& run, const Curve& curve) {
  for (size_t i = 0; i < curve.y.size(); ++i) {
    if (!std::isfinite(curve.y[i])) continue;
    return {curve.y[i], curve.se[i] * (run.monitor_n > 1 ? std::sqrt(run.monitor_n) : 1)};
  }
  return {};
}

/// Trained reward and gold on one axis: the picture in which over-optimisation shows.
void add_common_axis(Figure& figure, const RunLog& run) {
  Panel panel;
  panel.title = run.golds().empty() ? "Trained reward" : "Trained reward and gold";
  panel.note = run.monitor_n > 1 ? "change from the start, in standard deviations of the first samples"
                                 : "change from the start, in standard errors of the first evaluation";
  panel.height = 190;
  panel.reference = 0;
  const auto add = [&](const std::string& curve, const std::string& name, int colour) {
    const Curve* c = run.find(curve);
    if (!c) return;
    const Unit unit = unit_of(run, *c);
    if (unit.size > 0 && std::isfinite(unit.size))
      panel.series.push_back(line_of(*c, name, colour, unit.origin, unit.size));
  };
  add("proxy", "trained reward", 0);
  int colour = 1;
  for (const std::string& gold : run.golds()) {
    add("reward/" + gold, "gold: " + gold, colour);
    colour = colour == 1 ? 3 : colour + 1;
  }
  if (!panel.series.empty()) figure.panels.push_back(std::move(panel));
}

std::string step_text(double step) { return readable(step); }

void add_marks(Figure& figure, const RunLog& run, int colour, bool several) {
  if (!run.verdict) return;
  const Verdict& v = *run.verdict;
  const std::string who = several ? run.name + ": " : "";
  const std::string ink = several ? Svg::colour(colour) : "ink";
  if (v.parted && std::isfinite(v.step)) {
    const std::string interval =
        std::isfinite(v.low) ? " (95 % interval " + step_text(v.low) + " to " + step_text(v.high) + ")" : "";
    const std::string what = run.lacks_reward() ? "gold falls from " : "reward and gold part at ";
    figure.marks.push_back({v.step, v.low, v.high, who + what + place(run, v.step) + interval, several ? ink : "c1", true});
  }
  if (std::isfinite(v.kept_step)) {
    const std::string which = v.kept == "best-gold" ? "kept: best gold, " : "kept: ";
    figure.marks.push_back({v.kept_step, kNone, kNone, who + which + place(run, v.kept_step), ink, false});
  }
}

std::vector<RunLog> monitored(const std::vector<RunLog>& runs) {
  std::vector<RunLog> some;
  for (const RunLog& run : runs) {
    if (run.monitored()) some.push_back(run);
  }
  return some;
}

bool spans_decades(const Curve& c) {
  double lo = std::numeric_limits<double>::infinity(), hi = 0;
  for (const double y : c.y) {
    if (!std::isfinite(y)) continue;
    lo = std::min(lo, y);
    hi = std::max(hi, y);
  }
  return lo > 0 && hi / lo > 8;
}

/// Values as they are, pale, and their running mean.
void add_smoothed(Panel& panel, const Curve& curve, const std::string& name, int colour) {
  const size_t n = curve.y.size();
  if (n < 40) {
    panel.series.push_back(line_of(curve, name, colour));
    return;
  }
  Series raw = line_of(thin(curve, kMostPoints), name, colour);
  raw.style = Style::kRaw;
  panel.series.push_back(std::move(raw));
  const Curve mean{curve.name, curve.x, smooth(curve.y, n / 25 | 1), std::vector<double>(n, kNone)};
  panel.series.push_back(line_of(thin(mean, 400), name, colour));
}

/// Mean of an epoch's rewards with the spread of its samples.
void add_reward(Panel& panel, const RunLog& run, const std::string& name, int colour) {
  const Curve* reward = run.find("reward");
  if (!reward) return;
  Series s = line_of(*reward, name, colour);
  const Curve* spread_curve = run.find("reward_std");
  if (spread_curve && spread_curve->y.size() == s.y.size()) {
    s.low.clear(), s.high.clear();
    for (size_t i = 0; i < s.y.size(); ++i) {
      s.low.push_back(s.y[i] - spread_curve->y[i]);
      s.high.push_back(s.y[i] + spread_curve->y[i]);
    }
  }
  panel.series.push_back(std::move(s));
}

struct Health {
  const char *curve, *title, *note;
  bool smoothed, from_zero;
};
constexpr Health kHealth[] = {{"loss", "Loss", "", true, false},
                              {"held_out_loss", "Held-out loss", "", false, false},
                              {"ratio_dev", "Largest ratio deviation", "|ratio − 1|", false, true},
                              {"clip_fraction", "Clipped ratios", "share", false, true},
                              {"approx_kl", "KL of an update", "approximate", false, true},
                              {"grad_norm", "Gradient norm", "", true, true},
                              {"path_log_ratio", "Log-ratio to the base", "", false, false},
                              {"kl_penalty", "KL penalty", "weight", false, false},
                              {"lr", "Learning rate", "", false, true}};

bool constant(const Curve& c) {
  return std::all_of(c.y.begin(), c.y.end(), [&](double y) { return y == c.y.front(); });
}

void add_health(Figure& figure, const std::vector<RunLog>& runs, bool finetuning) {
  for (const Health& h : kHealth) {
    Panel panel{h.title, h.note, {}, false, h.from_zero, {}, 118};
    bool flat = true, decades = true;
    for (size_t i = 0; i < runs.size(); ++i) {
      const Curve* c = runs[i].find(h.curve);
      if (!c) continue;
      flat &= constant(*c);
      decades &= spans_decades(*c);
      const int colour = runs.size() > 1 ? static_cast<int>(i) : 0;
      if (h.smoothed)
        add_smoothed(panel, *c, runs[i].name, colour);
      else
        panel.series.push_back(line_of(*c, runs[i].name, colour));
    }
    if (panel.series.empty() || (flat && std::string(h.curve) == "lr")) continue;  // a constant rate says nothing
    panel.log_y = !finetuning && std::string(h.curve) == "loss" && decades;
    if (std::any_of(panel.series.begin(), panel.series.end(), [](const Series& s) { return s.style == Style::kRaw; })) {
      panel.note = panel.log_y ? "running mean; log scale" : "running mean; pale: each step";
    }
    figure.panels.push_back(std::move(panel));
  }
}

double first_of(const Curve& c) {
  for (const double y : c.y) {
    if (std::isfinite(y)) return y;
  }
  return kNone;
}

/// "rose from a to b", "fell from a to b", "stayed near a": a change of two standard errors or more counts.
std::string change_text(const Curve& c) {
  const double a = first_of(c), b = c.y.back(), sa = c.se.front(), sb = c.se.back();
  if (!std::isfinite(a) || !std::isfinite(b)) return "was not a number at times";
  const double error = std::isfinite(sa) && std::isfinite(sb) ? std::hypot(sa, sb) : 0;
  const std::string ends = readable_with_error(a, sa) + " to " + readable_with_error(b, sb);
  if (std::fabs(b - a) <= 2 * error || a == b) return "stayed within its error, " + ends;
  return (b > a ? "rose from " : "fell from ") + ends;
}

}  // namespace

Figure monitor_figure(const std::vector<RunLog>& all) {
  const std::vector<RunLog> runs = monitored(all);
  Figure figure;
  figure.id = "monitor";
  figure.title = "Is the reward being over-optimised?";
  figure.caption =
      "Each evaluation draws the same samples from the same noise. Shaded: 95 % intervals. Gold rewards are watched "
      "and "
      "never trained on; if one falls while the trained reward rises, the run learns to please the reward rather than "
      "to "
      "do what the reward stands for.";
  if (std::any_of(runs.begin(), runs.end(), [](const RunLog& r) { return r.lacks_reward(); }))
    figure.caption += " A run that learns from answers has no trained reward: there, a gold that falls is enough.";
  figure.x_label = runs.empty() ? "updates" : runs.front().x_unit;
  figure.whole_x = true;
  if (runs.empty()) return figure;
  const bool several = runs.size() > 1;
  std::vector<std::string> golds;
  for (const RunLog& run : runs) {
    for (const std::string& gold : run.golds()) {
      if (std::find(golds.begin(), golds.end(), gold) == golds.end()) golds.push_back(gold);
    }
  }
  if (!several && !golds.empty() && runs[0].find("proxy")) add_common_axis(figure, runs[0]);
  std::set<std::string> rewards;
  for (const RunLog& run : runs)
    if (run.find("proxy")) rewards.insert(run.reward);
  figure.panels.push_back(
      panel_of(runs, "proxy", "Trained reward", rewards.size() == 1 ? *rewards.begin() : "each run's own", 0));
  int colour = 1;
  for (const std::string& gold : golds) {
    figure.panels.push_back(panel_of(runs, "reward/" + gold, "Gold", gold, colour));
    colour = colour == 1 ? 3 : colour + 1;
  }
  figure.panels.push_back(panel_of(runs, "kl", "Distance to the base model", "path KL, nats", 5));
  figure.panels.push_back(
      panel_of(runs, "diversity", "Diversity", "Vendi score: effective number of different samples", 2));
  figure.panels.push_back(panel_of(runs, "distance", "Pairwise distance", "mean 1 − cosine of features", 2));
  std::erase_if(figure.panels, [](const Panel& p) { return p.series.empty(); });
  if (several) figure.panels.front().height = 140;
  for (size_t i = 0; i < runs.size(); ++i) add_marks(figure, runs[i], static_cast<int>(i), several);
  for (const RunLog& run : runs) {
    for (const std::string& sentence : describe_run(run, several))
      figure.description += (figure.description.empty() ? "" : " ") + sentence;
  }
  return figure;
}

Figure reward_paths_figure(const std::vector<RunLog>& all) {
  const std::vector<RunLog> runs = monitored(all);
  Figure figure;
  figure.id = "fronts";
  figure.title = "What the reward cost";
  figure.caption = "One point an evaluation, from the base model (ring) to the end (disc).";
  figure.x_label = "trained reward";
  figure.grid = true;
  figure.description = "Paths of the runs in the plane of trained reward and another quantity";
  const auto add = [&](const std::string& curve, const std::string& title, const std::string& note, int colour) {
    Panel panel{title, note, {}, false, false, {}, 118};
    for (size_t i = 0; i < runs.size(); ++i) {
      const Curve *x = runs[i].find("proxy"), *y = runs[i].find(curve);
      if (!x || !y || x->x != y->x || y->y.size() < 2) continue;
      Series s = line_of(*y, runs[i].name, runs.size() > 1 ? static_cast<int>(i) : colour);
      const Curve reward{"proxy", x->x, x->y, x->se};
      if (s.y.size() != reward.y.size()) continue;
      s.x = reward.y;
      s.low.clear(), s.high.clear();
      s.style = Style::kPath;
      panel.series.push_back(std::move(s));
    }
    if (!panel.series.empty()) figure.panels.push_back(std::move(panel));
  };
  std::set<std::string> golds;
  for (const RunLog& run : runs) {
    for (const std::string& gold : run.golds()) golds.insert(gold);
  }
  for (const std::string& gold : golds) add("reward/" + gold, "Gold", gold, 1);
  add("diversity", "Diversity", "Vendi score", 2);
  add("kl", "Distance to the base model", "path KL, nats", 5);
  return figure;
}

Figure finetuning_figure(const std::vector<RunLog>& all) {
  Figure figure;
  figure.id = "finetuning";
  figure.title = "Fine-tuning, step by step";
  figure.caption =
      "Figures of the training samples and the optimiser. Shaded: one standard deviation of the epoch's rewards.";
  figure.description = "Small charts of the fine-tuning run";
  figure.grid = figure.whole_x = true;
  std::vector<RunLog> runs;
  for (const RunLog& run : all) {
    if (run.tuned()) runs.push_back(run);
  }
  figure.x_label = runs.empty() ? "updates" : runs.front().x_unit;
  Panel reward{"Reward of training samples", "", {}, false, false, {}, 118};
  for (size_t i = 0; i < runs.size(); ++i) add_reward(reward, runs[i], runs[i].name, static_cast<int>(i));
  if (!reward.series.empty()) figure.panels.push_back(std::move(reward));
  add_health(figure, runs, true);
  return figure;
}

std::vector<Figure> training_figures(const std::vector<RunLog>& all) {
  std::vector<Figure> figures;
  std::set<std::string> tools;
  for (const RunLog& run : all) tools.insert(run.tool);
  for (const std::string& tool : tools) {  // losses of different commands have no common scale
    std::vector<RunLog> runs;
    for (const RunLog& run : all) {
      if (run.tool == tool && run.find("loss") && !run.tuned()) runs.push_back(run);
    }
    Figure figure;
    figure.id = tool == "reward-train"               ? "reward-training"
                : tool == "pretrain" || tool.empty() ? "training"
                                                     : "training-" + tool;
    figure.title = tool == "reward-train" ? "Training the reward"
                   : tool == "pretrain"   ? "Training the model"
                                          : "Training";
    figure.description = "Small charts of the training run";
    figure.x_label = "steps";
    figure.grid = figure.whole_x = true;
    add_health(figure, runs, false);
    if (!figure.panels.empty()) figures.push_back(std::move(figure));
  }
  return figures;
}

std::string place(const RunLog& run, double x) {
  return run.x_unit == "updates" ? "step " + step_text(x) : step_text(x) + " " + run.x_unit;
}

std::vector<std::string> describe_run(const RunLog& run, bool name_it) {
  std::vector<std::string> sentences;
  const std::string who = name_it ? run.name + ": " : "";
  // " over 20 updates of ddpo-is", once, in the first sentence
  const auto length = [&](const Curve& c) {
    return !sentences.empty() ? "" : " over " + step_text(c.x.back()) + " " + run.x_unit + (run.method.empty() ? "" : " of " + run.method);
  };
  if (run.monitored()) {
    if (const Curve* proxy = run.find("proxy"))
      sentences.push_back("The trained reward" + (run.reward.empty() ? "" : ", " + run.reward + ",") + " " + change_text(*proxy) + length(*proxy) + ".");
    for (const std::string& name : run.golds()) {
      const Curve& gold = *run.find("reward/" + name);
      const size_t best = static_cast<size_t>(
          std::max_element(gold.y.begin(), gold.y.end(), [](double a, double b) { return std::isnan(a) || a < b; }) -
          gold.y.begin());
      std::string text = "Gold " + name + " " + change_text(gold) + length(gold);
      if (best > 0 && best + 1 < gold.y.size())
        text += "; its best was " + readable_with_error(gold.y[best], gold.se[best]) + " at " +
                place(run, gold.x[best]);
      sentences.push_back(text + ".");
    }
    std::string rest;
    if (const Curve* vendi = run.find("diversity")) {
      rest = "Diversity (Vendi score) " + change_text(*vendi) + length(*vendi);
      const double ratio = vendi->y.back() / first_of(*vendi);
      if (std::isfinite(ratio) && ratio > 0) rest += ", " + readable(100 * ratio, 2) + " % of where it began";
    }
    if (const Curve* kl = run.find("kl"))
      rest += (rest.empty() ? "P" : "; p") + std::string("ath KL to the base model ended at ") +
              readable_with_error(kl->y.back(), kl->se.back()) + " nats";
    if (!rest.empty()) sentences.push_back(rest + ".");
    if (name_it) sentences[0] = who + static_cast<char>(sentences[0][0] - 'A' + 'a') + sentences[0].substr(1);
  } else if (const Curve* reward = run.find("reward")) {
    sentences.push_back(who + (who.empty() ? "T" : "t") + "he reward of the training samples " + change_text(*reward) +
                        "; the run was not monitored.");
  } else if (const Curve* loss = run.find("loss")) {
    const std::vector<double> mean = smooth(loss->y, loss->y.size() / 25 | 1);
    const size_t early = std::min<size_t>(loss->y.size() / 50, mean.size() - 1);
    const Curve ends{"loss", {0, 1}, {mean[early], mean[mean.size() - 1 - early]}, {kNone, kNone}};
    sentences.push_back((name_it ? "The training loss of " + run.name + " " : "The training loss ") +
                        change_text(ends) + " over " + step_text(loss->x.back()) + " steps.");
  }
  return sentences;
}

}  // namespace plumb::report
