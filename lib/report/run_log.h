// What a run's log (plumb-log(5)) and its model's manifest say: curves, and how it ended.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "io/manifest.h"

namespace plumb::report {

/// One quantity over the run's steps. se: standard errors, NaN where there is none.
struct Curve {
  std::string name;
  std::vector<double> x, y, se;
};

/// How the monitor judged the run (align/trainer.h, Trainer::summary). Absent numbers are NaN.
struct Verdict {
  bool parted = false;     ///< gold fell while the trained reward kept rising
  double step, low, high;  ///< where, and the 95 % interval
  double best_gold_step, kept_step;
  std::string kept, stopped_by, text;  ///< "last" or "best-gold"; the --stop rule; the monitor's own sentence
};

struct RunLog {
  std::string name;            ///< short, to tell runs apart
  std::string path;            ///< of the log; "" if there is only a manifest
  std::string tool;            ///< the command; "" if unknown
  std::string method, reward;  ///< of finetune; "" if unknown
  double monitor_n = 0;        ///< samples of an evaluation; 0 if unknown
  double seconds = std::numeric_limits<double>::quiet_NaN();  ///< wall time, of all processes of the run
  double samples_per_epoch = std::numeric_limits<double>::quiet_NaN();  ///< of finetune's plan
  double updates_per_epoch = std::numeric_limits<double>::quiet_NaN();
  std::string x_unit = "updates";  ///< what curves and verdict count: count_by_queries()
  std::vector<Curve> curves;   ///< in the order in which the log first names them
  std::optional<Verdict> verdict;
  const Curve* find(const std::string& curve) const;
  /// Names of the gold rewards: curves "reward/NAME".
  std::vector<std::string> golds() const;
  /// A run that learns from answers is evaluated as any other, but has no trained reward and so no curve "proxy".
  bool monitored() const { return find("proxy") || find("diversity") || !golds().empty(); }
  bool lacks_reward() const { return monitored() && !find("proxy"); }
  bool tuned() const { return monitored() || find("reward"); }
};

/// Reads a log. Every numeric field of a line with a step is a point; "a_se/b" (or "a_se") is the standard error of
/// "a/b"
/// ("a"). A line whose (step, epoch) is not above that of the line before starts over from there (a run resumed after kill -9);
/// the step alone may repeat, in an epoch that updates nothing. A torn last line and null values are left out. Throws
/// Error(kBadInput) for a bad line elsewhere.
RunLog read_run_log(const std::string& path);

/// The log beside a model artefact, MODEL.h5.jsonl (the default of commands), MODEL.log.jsonl or MODEL.jsonl; else
/// nullopt.
std::optional<std::string> log_beside(const io::Manifest& model);

/// Adds what the model's manifest knows: method, reward, size of evaluations, and the verdict if the log has none.
void add_manifest(RunLog& run, const io::Manifest& model);

/// Makes the runs' names short and different: file stems, with folders or numbers where they repeat.
void name_runs(std::vector<RunLog>& runs);

/// The mean over a window centred on each point. Towards the ends it narrows so as to stay centred, down to a quarter of the
/// window, so that the last value does not stand for itself.
std::vector<double> smooth(const std::vector<double>& values, size_t window);

/// At most about `most` points: the least and the greatest value of each of equal stretches, in their order.
Curve thin(const Curve& curve, size_t most);

}  // namespace plumb::report
