// SPDX-License-Identifier: Apache-2.0
#include "report/run_log.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <set>

#include "io/jsonl.h"

namespace plumb::report {
namespace {

using io::Json;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double number(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : kNone;
}

std::string text(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

const Json& object(const Json& json, const char* key) {
  static const Json none = Json::object();
  const auto found = json.find(key);
  return found != json.end() && found->is_object() ? *found : none;
}

std::optional<Verdict> verdict_of(const Json& json) {
  if (!json.contains("kept") && !json.contains("verdict")) return std::nullopt;
  Verdict v{};
  const auto parted = json.find("parted");
  v.parted = parted != json.end() && parted->is_boolean() && parted->get<bool>();
  v.step = number(json, "parted_step");
  v.low = v.high = kNone;
  const auto interval = json.find("parted_interval");
  if (interval != json.end() && interval->is_array() && interval->size() == 2 && (*interval)[0].is_number() &&
      (*interval)[1].is_number()) {
    v.low = (*interval)[0].get<double>();
    v.high = (*interval)[1].get<double>();
  }
  v.best_gold_step = number(json, "best_gold_step");
  v.kept_step = number(json, "kept_step");
  v.kept = text(json, "kept");
  v.stopped_by = text(json, "stopped_by");
  v.text = text(json, "verdict");
  return v;
}

/// "reward/x" -> "reward_se/x", "kl" -> "kl_se".
std::string error_name(const std::string& name) {
  const size_t slash = std::min(name.find('/'), name.size());
  return name.substr(0, slash) + "_se" + name.substr(slash);
}

bool is_error_name(const std::string& name) {
  const std::string head = name.substr(0, name.find('/'));
  return head.size() > 3 && head.compare(head.size() - 3, 3, "_se") == 0;
}

/// Puts lines together, so that those which a later line takes back can be forgotten.
class LogReader {
 public:
  explicit LogReader(RunLog& run) : run_(run) {}

  /// Epoch: NaN if the line names none.
  void add(const Json& line, double x, double epoch) {
    const Place place{x, std::isfinite(epoch) ? epoch : std::numeric_limits<double>::infinity()};
    if (!places_.empty() && place <= places_.back()) cut_from(place);
    const bool new_epoch = !std::isfinite(epoch) || places_.empty() || places_.back().second != epoch;
    places_.push_back(place);
    add_values(line, x, new_epoch);
  }

 private:
  using Place = std::pair<double, double>;  // step, epoch; the order in which io::truncate_after cuts

  /// Adds one line's numbers. Values that belong to an epoch (reward, reward_std) count once, at its first step.
  void add_values(const Json& line, double x, bool new_epoch) {
    static const std::set<std::string> not_curves{"step", "epoch", "seconds"};
    for (const auto& [name, value] : line.items()) {
      if (not_curves.count(name) || is_error_name(name)) continue;
      if (!value.is_number() && !value.is_null()) continue;
      if (!new_epoch && (name == "reward" || name == "reward_std")) continue;
      const auto found = std::find_if(run_.curves.begin(), run_.curves.end(), [&, &key = name](const Curve& c) { return c.name == key; });
      const size_t at = static_cast<size_t>(found - run_.curves.begin());
      if (found == run_.curves.end()) {
        run_.curves.push_back({name, {}, {}, {}});
        lines_.emplace_back();
      }
      Curve& curve = run_.curves[at];
      curve.x.push_back(x);
      curve.y.push_back(value.is_number() ? value.get<double>() : kNone);
      curve.se.push_back(number(line, error_name(name).c_str()));
      lines_[at].push_back(places_.size());
    }
  }

  /// Forgets what the log says of `place` and later.
  void cut_from(const Place& place) {
    while (!places_.empty() && places_.back() >= place) places_.pop_back();
    for (size_t i = 0; i < lines_.size(); ++i) {
      Curve& curve = run_.curves[i];
      while (!lines_[i].empty() && lines_[i].back() > places_.size()) lines_[i].pop_back();
      for (std::vector<double>* values : {&curve.x, &curve.y, &curve.se}) values->resize(lines_[i].size());
    }
    run_.verdict.reset();
  }

  RunLog& run_;
  std::vector<Place> places_;               // of the lines that count
  std::vector<std::vector<size_t>> lines_;  // of each curve's points: places_.size() once the line was there
};

std::string stem_of(const std::string& path) {
  std::string name = std::filesystem::path(path).filename().string();
  for (const char* suffix : {".jsonl", ".h5", ".log"}) {
    const std::string s = suffix;
    if (name.size() > s.size() && name.compare(name.size() - s.size(), s.size(), s) == 0)
      name.resize(name.size() - s.size());
  }
  return name;
}

}  // namespace

const Curve* RunLog::find(const std::string& wanted) const {
  for (const Curve& c : curves) {
    if (c.name == wanted && !c.y.empty()) return &c;
  }
  return nullptr;
}

std::vector<std::string> RunLog::golds() const {
  std::vector<std::string> names;
  for (const Curve& c : curves) {
    if (c.name.rfind("reward/", 0) == 0 && !c.y.empty()) names.push_back(c.name.substr(7));
  }
  return names;
}

RunLog read_run_log(const std::string& path) {
  RunLog run;
  run.path = path;
  run.name = stem_of(path);
  LogReader reader(run);
  io::for_each_jsonl(path, [&](const Json& line) {
    const std::string event = text(line, "event");
    if (event == "start") run.tool = text(line, "tool");
    if (event == "plan") {
      run.method = text(line, "method");
      run.samples_per_epoch = number(object(line, "plan"), "samples_per_epoch");
      run.updates_per_epoch = number(object(line, "plan"), "updates_per_epoch");
    }
    if (event == "verdict") run.verdict = verdict_of(line);
    if (!event.empty()) return;
    double x = number(line, "step");
    if (!std::isfinite(x)) x = number(line, "epoch");
    if (!std::isfinite(x)) return;
    reader.add(line, x, number(line, "epoch"));
    if (const double seconds = number(line, "seconds"); std::isfinite(seconds)) run.seconds = seconds;
  });
  return run;
}

std::optional<std::string> log_beside(const io::Manifest& model) {
  if (model.path().empty()) return std::nullopt;
  const std::filesystem::path stem = std::filesystem::path(model.path()).replace_extension();
  std::error_code ignored;
  for (const std::string& path : {model.path() + ".jsonl", stem.string() + ".log.jsonl", stem.string() + ".jsonl"}) {
    if (std::filesystem::is_regular_file(path, ignored)) return path;
  }
  return std::nullopt;
}

void add_manifest(RunLog& run, const io::Manifest& model) {
  const Json& config = object(model.json(), "config");
  const Json& finetune = object(model.json(), "finetune");
  if (run.method.empty()) run.method = text(config, "method");
  if (run.tool.empty()) run.tool = text(model.json(), "tool");
  run.reward = text(config, "reward");
  const double n = number(object(finetune, "monitor"), "n");
  if (std::isfinite(n)) run.monitor_n = n;
  if (!run.verdict) run.verdict = verdict_of(object(finetune, "result"));
  if (run.name.empty()) run.name = stem_of(model.path());
}

void name_runs(std::vector<RunLog>& runs) {
  std::vector<std::string> names;
  for (const RunLog& run : runs)
    names.push_back(run.name);
  for (size_t i = 0; i < runs.size(); ++i) {
    if (std::count(names.begin(), names.end(), names[i]) < 2) continue;
    const std::string folder = std::filesystem::path(runs[i].path).parent_path().filename().string();
    runs[i].name = folder.empty() ? names[i] : folder + "/" + names[i];
  }
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string name = runs[i].name;
    for (size_t k = i + 1, copy = 2; k < runs.size(); ++k) {
      if (runs[k].name == name) runs[k].name = name + " (" + std::to_string(copy++) + ")";
    }
  }
}

std::vector<double> smooth(const std::vector<double>& values, size_t window) {
  const size_t half = window / 2, n = values.size();
  std::vector<double> sum(n + 1, 0), count(n + 1, 0), out(n);
  for (size_t i = 0; i < n; ++i) {
    const bool good = std::isfinite(values[i]);
    sum[i + 1] = sum[i] + (good ? values[i] : 0);
    count[i + 1] = count[i] + (good ? 1 : 0);
  }
  for (size_t i = 0; i < n; ++i) {
    const size_t reach = std::max(std::min({half, i, n - 1 - i}), half / 4);
    const size_t begin = i - std::min(i, reach), end = std::min(n, i + reach + 1);
    const double there = count[end] - count[begin];
    out[i] = there > 0 ? (sum[end] - sum[begin]) / there : kNone;
  }
  return out;
}

Curve thin(const Curve& curve, size_t most) {
  const size_t n = curve.y.size();
  if (n <= most || most < 4) return curve;
  Curve out{curve.name, {}, {}, {}};
  const auto keep = [&](size_t i) {
    out.x.push_back(curve.x[i]);
    out.y.push_back(curve.y[i]);
    out.se.push_back(i < curve.se.size() ? curve.se[i] : kNone);
  };
  const size_t stretches = most / 2;
  for (size_t k = 0; k < stretches; ++k) {
    const size_t begin = n * k / stretches, end = n * (k + 1) / stretches;
    size_t least = begin, greatest = begin;
    for (size_t i = begin; i < end; ++i) {
      if (curve.y[i] < curve.y[least] || !std::isfinite(curve.y[least])) least = i;
      if (curve.y[i] > curve.y[greatest] || !std::isfinite(curve.y[greatest])) greatest = i;
    }
    keep(std::min(least, greatest));
    if (least != greatest) keep(std::max(least, greatest));
  }
  return out;
}

}  // namespace plumb::report
