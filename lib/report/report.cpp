// SPDX-License-Identifier: Apache-2.0
#include "report/report.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "core/log.h"
#include "core/text.h"
#include "io/artefact.h"
#include "io/atomic_file.h"
#include "report/metric_table.h"
#include "report/number.h"
#include "report/provenance.h"
#include "report/run_comparison.h"
#include "report/run_figures.h"
#include "report/score_figures.h"
#include "report/sequence_logo.h"

namespace plumb::report {
namespace fs = std::filesystem;
namespace {

using io::Json;

std::string text_at(const io::Manifest& m, const char* group, const char* key) {
  const auto outer = m.json().find(group);
  if (outer == m.json().end() || !outer->is_object()) return "";
  const auto found = outer->find(key);
  if (found == outer->end()) return "";
  return found->is_string()           ? found->get<std::string>()
         : found->is_number_integer() ? std::to_string(found->get<int64_t>())
                                      : "";
}

constexpr size_t kMostStrips = 8, kMostSentences = 5;

/// A samples artefact with its place in the story: how many models stand behind it.
struct SampleSet {
  io::Manifest manifest;
  std::string name;
  size_t models = 0;
  std::vector<std::string> classes;
};

class Builder {
 public:
  Builder(const std::vector<io::Manifest>& inputs, const std::vector<std::string>& logs, const ReportOptions& options)
      : inputs_(inputs), options_(options) {
    collect_samples();
    collect_runs(logs);
  }

  Report build() {
    add_runs();
    add_samples();
    add_scores();
    add_metrics();
    add_provenance();
    if (report_.summary.empty() && !samples_.empty()) say(samples_caption(samples_.back()));
    report_.title = options_.title.empty() ? default_title() : options_.title;
    return std::move(report_);
  }

 private:
  std::vector<io::Manifest> all(const std::string& kind) const {
    std::vector<io::Manifest> found;
    std::set<std::string> seen;
    for (const io::Manifest& input : inputs_) {
      for (io::Manifest& m : input.find_all(kind)) {
        if (seen.insert(m.sha256().empty() ? m.json().dump(-1, ' ', false, Json::error_handler_t::replace) : m.sha256())
                .second) {
          found.push_back(std::move(m));
        }
      }
    }
    return found;
  }

  /// Whether the artefact's file is there. If not, says so once.
  bool present(const io::Manifest& m) {
    std::error_code ignored;
    if (!m.path().empty() && fs::exists(m.path(), ignored)) return true;
    const std::string note = m.path().empty() ? "A " + m.kind() + " manifest names no file."
                                              : shown(m.path()) + " (" + m.kind() + ") is gone: it is not drawn.";
    if (std::find(report_.notes.begin(), report_.notes.end(), note) == report_.notes.end()) {
      log::warn(note);
      report_.notes.push_back(note);
    }
    return false;
  }

  std::string shown(const std::string& path) const { return shown_path(path, options_.folder); }

  void collect_samples() {
    for (const io::Manifest& m : all("samples")) {
      SampleSet set{m, m.path().empty() ? "samples" : fs::path(m.path()).stem().string(), m.find_all("model").size(),
                    class_names(m)};
      samples_.push_back(std::move(set));
    }
    std::stable_sort(samples_.begin(), samples_.end(),
                     [](const SampleSet& a, const SampleSet& b) { return a.models < b.models; });
    std::vector<std::string> names;
    for (const SampleSet& set : samples_) names.push_back(set.name);
    for (size_t i = 0; i < samples_.size(); ++i)
      if (std::count(names.begin(), names.end(), names[i]) > 1) samples_[i].name += " (" + std::to_string(i + 1) + ")";
  }

  std::string samples_name(const io::Manifest& of) const {
    const auto m = of.find("samples");
    for (const SampleSet& set : samples_) {
      if (m && (m->sha256().empty() ? set.manifest.json() == m->json() : set.manifest.sha256() == m->sha256())) return set.name;
    }
    return m && !m->path().empty() ? fs::path(m->path()).stem().string() : "";
  }

  void collect_runs(const std::vector<std::string>& logs) {
    std::vector<io::Manifest> models = all("model");
    for (io::Manifest& reward : all("reward")) models.push_back(std::move(reward));
    std::stable_sort(models.begin(), models.end(), [](const io::Manifest& a, const io::Manifest& b) {
      return a.find_all("model").size() < b.find_all("model").size();
    });
    std::set<std::string> read;
    for (const io::Manifest& model : models) {
      RunLog run;
      if (const auto path = log_beside(model)) {
        run = read_run_log(*path);
        read.insert(io::absolute_path(*path));
      }
      add_manifest(run, model);
      if (!run.curves.empty() || run.verdict) runs_.push_back(std::move(run));
    }
    for (const std::string& path : logs) {
      if (read.insert(io::absolute_path(path)).second) runs_.push_back(read_run_log(path));
    }
    name_runs(runs_);
    count_by_queries(runs_);
    comparison_ = comparison_table(runs_, options_.pool_seeds);
    if (options_.pool_seeds) runs_ = pooled(runs_);
  }

  std::string default_title() const {
    std::string tuned, trained;
    for (const RunLog& run : runs_) {
      std::string& names = run.monitored() || run.verdict ? tuned : trained;
      names += (names.empty() ? "" : ", ") + run.name;
    }
    if (!tuned.empty()) return "Fine-tuning report: " + tuned;
    if (!trained.empty()) return "Training report: " + trained;
    if (!samples_.empty()) return "Report on " + samples_.back().name;
    return "Report";
  }

  /// Adds to the summary's last paragraph, or begins one.
  void say(const std::string& text, bool paragraph = false) {
    if (text.empty()) return;
    if (paragraph || report_.summary.empty())
      report_.summary.push_back(text);
    else
      report_.summary.back() += " " + text;
    ++sentences_;
  }

  void add(Section section) {
    if (!section.empty()) report_.sections.push_back(std::move(section));
  }

  void add_alert(const RunLog& run, bool several) {
    if (!run.verdict) return;
    const Verdict& v = *run.verdict;
    const std::string who = several ? run.name + ": " : "";
    // The monitor's own sentence counts updates, whatever the figures count.
    const std::string unit = run.x_unit == "updates" || v.text.find("step") == std::string::npos ? "" : " (steps are updates)";
    std::string text = v.text.empty() ? "The run had no monitor." : v.text + unit + ".";
    if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
    if (!v.kept.empty()) {
      const std::string step = std::isfinite(v.kept_step) ? " (" + place(run, v.kept_step) + ")" : "";
      text += v.kept == "best-gold" ? " Kept: the model with the best gold reward" + step + "."
                                    : " Kept: the last model" + step + ".";
      if (v.parted && v.kept != "best-gold")
        text += std::string(run.lacks_reward() ? "" : " Its reward is not to be trusted;") +
                " --keep best-gold would have kept the model at " + place(run, v.best_gold_step) + ".";
    }
    if (!v.stopped_by.empty()) text += " The rule " + v.stopped_by + " ended the run.";
    Alert alert{Alert::Level::kGood, who + "No over-optimisation seen", text};
    if (v.parted)
      alert = {Alert::Level::kBad, who + "The reward was over-optimised", text};
    else if (!std::isfinite(v.best_gold_step))
      alert = {Alert::Level::kUnknown, who + "Over-optimisation could not be judged", text};
    report_.alerts.push_back(std::move(alert));
  }

  void add_runs() {
    const auto is_tuning = [](const RunLog& r) { return r.monitored() || r.find("reward") || r.verdict; };
    const auto tuned = std::count_if(runs_.begin(), runs_.end(), is_tuning);
    for (const bool tuning : {true, false}) {  // what the reader came for, first
      for (const RunLog& run : runs_) {
        if (is_tuning(run) != tuning) continue;
        say(join(describe_run(run, tuned > 1 || (!tuning && runs_.size() > 1)), " "), tuning && tuned > 1);
        add_alert(run, tuned > 1);
      }
    }
    const auto section = [&](Figure figure) {
      if (figure.panels.empty()) return;
      Section s{figure.id, figure.title, "", {}, {}, {}, {}};
      figure.title.clear();
      s.figures.push_back(std::move(figure));
      add(std::move(s));
    };
    if (!comparison_.rows.empty()) {
      Section s{"runs", "Runs compared", "", {}, {}, {}, {}};
      s.tables.push_back(comparison_);
      add(std::move(s));
    }
    section(monitor_figure(runs_));
    section(reward_paths_figure(runs_));
    section(finetuning_figure(runs_));
    for (Figure& figure : training_figures(runs_)) section(std::move(figure));
  }

  /// "512 samples from tuned.h5 (finetune, ddpo-is), ddim, 50 steps, seed 7".
  std::string samples_caption(const SampleSet& set) const {
    const io::Manifest& m = set.manifest;
    std::string text = m.count() > 0 ? readable(static_cast<double>(m.count())) + " samples" : "Samples";
    if (const auto model = m.find("model")) {
      const std::string method = text_at(*model, "config", "method");
      text += " from " + (model->path().empty() ? "a model" : fs::path(model->path()).filename().string());
      if (!method.empty()) text += " (" + method + ")";
    }
    const std::string sampler = text_at(m, "config", "sampler"), steps = text_at(m, "config", "steps");
    if (!sampler.empty()) text += ", " + sampler;
    if (!steps.empty()) text += ", " + steps + " steps";
    if (m.json().contains("seed")) text += ", seed " + std::to_string(m.seed());
    return text + ".";
  }

  void add_samples() {
    Section section{"samples", "Samples", "", {}, {}, {}, {}};
    std::vector<SequenceCounts> counts;
    for (size_t i = 0; i < samples_.size(); ++i) {
      const SampleSet& set = samples_[i];
      if (!present(set.manifest) || !set.manifest.has_space()) continue;
      const io::Space space = set.manifest.space();
      const io::H5Reader file = io::open_artefact(set.manifest);
      if (space.type == "sequence") {
        section.tables.push_back(sequences(set, space, file));
        counts.push_back(count_sequences(file, space, set.name));
        if (counts.back().n == 0) continue;
        section.drawings.push_back({"logo-" + std::to_string(i + 1), logo_caption(counts.back()), sequence_logo(counts.back(), false),
                                    sequence_logo(counts.back(), true)});
      }
      if (space.type != "image") continue;
      ImageGrid grid = samples_grid(file, set.manifest, set.classes, options_.rows, std::max<int64_t>(options_.rows, 10), options_.columns);
      if (grid.image.pixels.empty()) continue;
      grid.id = "samples-" + std::to_string(i + 1);
      grid.title = set.name;
      grid.caption = samples_caption(set);
      grid.description = "Grid of images: " + grid.caption + (grid.row_names.empty() ? "" : " A row for each class.");
      section.grids.push_back(std::move(grid));
    }
    for (Table& table : word_tables(counts)) section.tables.push_back(std::move(table));
    bool before_after = samples_.size() == 2 && samples_[0].models < samples_[1].models;
    if (before_after) {
      section.text = "Before and after fine-tuning.";
      if (samples_[0].manifest.json().contains("seed") && samples_[0].manifest.seed() == samples_[1].manifest.seed() &&
          text_at(samples_[0].manifest, "config", "steps") == text_at(samples_[1].manifest, "config", "steps")) {
        section.text += " Both start from the same noise, so equal places can be compared.";
      }
    }
    add(std::move(section));
  }

  Table sequences(const SampleSet& set, const io::Space& space, const io::H5Reader& file) const {
    Table table{"sequences-" + set.name,
                set.name,
                samples_caption(set),
                {{"item", "Item", Align::kNumber}, {"sequence", "Sequence", Align::kCode}},
                {}};
    std::vector<uint8_t> codes(static_cast<size_t>(space.numel()));
    const int64_t there = file.info(space.dataset()).shape.at(0);
    for (int64_t i = 0; i < std::min(there, options_.rows); ++i) {
      file.read(space.dataset(), io::Type::kU8, i, 1, codes.data());
      std::string letters;
      for (const uint8_t code : codes) letters += code < space.alphabet.size() ? space.alphabet[code] : '?';
      table.rows.push_back({cell(i), cell(letters)});
    }
    return table;
  }

  void add_scores() {
    Section section{"rewards", "Rewards", "", {}, {}, {}, {}};
    std::vector<ScoreSet> sets;
    std::vector<io::Manifest> scores = all("scores");
    std::stable_sort(scores.begin(), scores.end(), [](const io::Manifest& a, const io::Manifest& b) {
      return a.find_all("model").size() < b.find_all("model").size();
    });
    for (const io::Manifest& m : scores) {
      if (!present(m)) continue;
      const io::H5Reader file = io::open_artefact(m);
      for (const std::string& reward : file.list("reward"))
        sets.push_back({reward, samples_name(m), file.read_f32("reward/" + reward), m.find("samples")});
    }
    std::stable_sort(sets.begin(), sets.end(),
                     [](const ScoreSet& a, const ScoreSet& b) { return a.reward < b.reward; });
    for (const ScoreSet& set : sets) {
      if (section.grids.size() < kMostStrips) add_extremes(section, set);
      const Summary s = summarise(set.values);
      if (s.n == 0 || sentences_ >= kMostSentences) continue;
      say("Mean " + set.reward + (set.samples.empty() ? "" : " of " + set.samples) + ": " +
          readable_with_error(s.mean, s.standard_error) + ".");
    }
    section.figures = score_figures(sets);
    if (!sets.empty()) section.tables.push_back(score_table(sets));
    add(std::move(section));
  }

  /// The samples themselves from the lowest to the highest reward: what the number sees.
  void add_extremes(Section& section, const ScoreSet& set) {
    const std::optional<io::Manifest>& samples = set.items;
    if (!samples || !present(*samples) || !samples->has_space() || samples->space().type != "image") return;
    const Tiles tiles = tiles_by_value(set.values, std::max<int64_t>(options_.columns, 10));
    if (tiles.empty()) return;
    ImageGrid grid;
    grid.id = "by-reward-" + std::to_string(section.grids.size() + 1);
    grid.title = set.reward + (set.samples.empty() ? "" : ", " + set.samples);
    grid.caption = "From the lowest reward to the highest, at equal steps of rank.";
    for (const int64_t item : tiles[0])
      grid.column_names.push_back(readable(set.values[static_cast<size_t>(item)], 3, true));
    grid.image = draw_tiles(io::open_artefact(*samples), samples->space(), tiles);
    grid.description =
        "Images in order of " + set.reward + ", from " + grid.column_names.front() + " to " + grid.column_names.back();
    section.grids.push_back(std::move(grid));
  }

  void add_metrics() {
    Section section{"metrics", "Metrics", "", {}, {}, {}, {}};
    std::vector<MetricRow> rows;
    std::vector<io::Manifest> metrics = all("metrics");
    std::reverse(metrics.begin(), metrics.end());  // the pipe's order
    std::vector<std::string> names;  // as elsewhere in the page: file names may repeat
    for (const io::Manifest& m : metrics) {
      names.push_back(samples_name(m));
      for (MetricRow& row : metric_rows(m)) {
        row.samples = names.back();
        rows.push_back(std::move(row));
      }
    }
    std::string fid;
    for (const MetricRow& row : rows) {
      if (row.metric == "FID")
        fid += std::string(fid.empty() ? "FID" : ",") + (row.samples.empty() ? "" : " of " + row.samples) + " " +
               readable(row.value);
    }
    if (!fid.empty()) say(fid + ".", !runs_.empty());
    if (!rows.empty()) section.tables = {metric_page_table(rows), metric_file_table(rows)};
    Table classes = class_table(metrics, samples_.empty() ? std::vector<std::string>{} : samples_.back().classes, names);
    if (!classes.rows.empty()) section.tables.push_back(std::move(classes));
    add(std::move(section));
  }

  void add_provenance() {
    if (inputs_.empty()) return;
    const Provenance provenance = trace(inputs_);
    Section section{"provenance", "Where it came from", "", {}, {}, {}, {}};
    section.drawings.push_back({"provenance", "Arrows point from an artefact to what was made of it.",
                                provenance_graph(provenance, false), provenance_graph(provenance, true)});
    section.tables.push_back(provenance_table(provenance, options_.folder));
    add(std::move(section));
  }

  const std::vector<io::Manifest>& inputs_;
  const ReportOptions& options_;
  std::vector<SampleSet> samples_;
  std::vector<RunLog> runs_;
  Table comparison_;
  Report report_;
  size_t sentences_ = 0;
};

}  // namespace

Report build_report(const std::vector<io::Manifest>& inputs, const std::vector<std::string>& logs,
                    const ReportOptions& options) {
  return Builder(inputs, logs, options).build();
}

}  // namespace plumb::report
