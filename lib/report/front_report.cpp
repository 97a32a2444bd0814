// SPDX-License-Identifier: Apache-2.0
#include "report/front_report.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include "core/log.h"
#include "core/text.h"
#include "io/artefact.h"
#include "report/front_figures.h"
#include "report/number.h"
#include "report/provenance.h"
#include "report/score_figures.h"

namespace plumb::report {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kMostRows = 4;  // of a grid without classes: these pictures are many

/// The point of a regulariser and seed whose reward is nearest to a level; nullptr if there is none.
const FrontPoint* nearest_point(const std::vector<FrontPoint>& points, const std::string& regulariser, uint64_t seed,
                                const std::string& reward, double level) {
  const FrontPoint* best = nullptr;
  double least = std::numeric_limits<double>::infinity();
  for (const FrontPoint& p : points) {
    if (p.regularisation.name != regulariser || (!p.is_base() && p.seed.value_or(0) != seed)) continue;
    const double away = std::fabs(p.reward(reward) - level);
    if (!(away < least)) continue;
    best = &p;
    least = away;
  }
  return best;
}

class Page {
 public:
  explicit Page(const ReportOptions& options) : options_(options) {}

  void add(const FrontStudy& study) {
    Section section{"front-" + file_part(study.reward), "Reward and diversity: " + study.reward, overview(study), {}, {}, {}, {}};
    Figure figure = front_figure(study);
    if (!figure.panels.empty()) section.figures.push_back(std::move(figure));
    for (auto tables : {point_tables(study), equal_reward_tables(study), hypervolume_tables(study)})
      section.tables.insert(section.tables.end(), tables.begin(), tables.end());
    report_.sections.push_back(std::move(section));
    for (std::string& sentence : sentences(study)) report_.summary.push_back(std::move(sentence));
    if (study.measures.empty())
      note(study.reward + ": no figure of diversity was found in any point; add diversity(1) or evaluate-fid(1) to the pipe.");
    add_samples(study);
  }

  Report finish(const std::vector<io::Manifest>& inputs, std::vector<std::string> notes) {
    for (std::string& text : notes) note(text);
    if (!report_.sections.empty()) {  // hundreds of lines: for programs only
      Table provenance = provenance_table(trace(inputs), options_.folder);
      provenance.use = Table::Use::kFile;
      report_.sections.back().tables.push_back(std::move(provenance));
      note("Digests and command lines of everything behind the points: provenance.tsv, with --tsv.");
    }
    report_.title = options_.title.empty() ? "Reward and diversity" : options_.title;
    return std::move(report_);
  }

 private:
  void note(const std::string& text) {
    if (std::find(report_.notes.begin(), report_.notes.end(), text) == report_.notes.end()) report_.notes.push_back(text);
  }

  static std::string overview(const FrontStudy& study) {
    const auto count = [](size_t n, const std::string& one, const std::string& many) { return cat(n, " ", n == 1 ? one : many); };
    return cat(count(study.tuned.size(), "point", "points"), " of ", count(study.regularisers.size(), "regulariser", "regularisers"), " (",
               join(study.regularisers, ", "), "), ", count(study.seeds.size(), "seed", "seeds"), ", and ",
               count(study.base.size(), "point", "points"), " of the base model.");
  }

  static std::vector<std::string> sentences(const FrontStudy& study) {
    std::vector<std::string> all = claim_sentences(study);
    if (!all.empty()) return all;
    const bool aig = std::find(study.regularisers.begin(), study.regularisers.end(), "AIG") != study.regularisers.end();
    return {study.reward + ": " + overview(study) +
            (aig ? " AIG has nothing to be compared with at equal reward." : " No point uses AIG alone, so it is not compared.")};
  }

  /// The base model, then of each regulariser the point of the lowest seed that is nearest to the middle level.
  void add_samples(const FrontStudy& study) {
    const BySeed levels = reward_levels(study, kLevelShares[kLevelShares.size() / 2]);
    std::string unleveled;
    for (const auto& [seed, level] : levels)
      if (!std::isfinite(level)) unleveled += (unleveled.empty() ? "" : ", ") + std::to_string(seed);
    if (!unleveled.empty() && !study.base.empty() && !study.measures.empty())
      note(study.reward + ": no common level of reward for seed " + unleveled +
           ", where some regulariser never exceeds the base model; it is left out of the comparison at equal reward.");
    const auto first = std::find_if(levels.begin(), levels.end(), [](const auto& l) { return std::isfinite(l.second); });
    if (first == levels.end()) return;
    Section section{"samples-" + file_part(study.reward), "Samples at equal reward: " + study.reward,
                    cat("Half way from the base model to the largest reward that every regulariser reaches with seed ", first->first,
                        ", which is ", readable(first->second), ": the point of each regulariser with that seed that is nearest."),
                    {}, {}, {}, {}};
    const auto show = [&](const std::vector<FrontPoint>& points, const std::string& regulariser) {
      const FrontPoint* p = nearest_point(points, regulariser, first->first, study.reward, first->second);
      if (p) add_grid(section, study, *p);
    };
    show(study.base, "base");
    for (const std::string& r : study.regularisers) show(study.tuned, r);
    if (!section.empty()) report_.sections.push_back(std::move(section));
  }

  void add_grid(Section& section, const FrontStudy& study, const FrontPoint& point) {
    std::error_code ignored;
    const std::string path = point.samples.path();
    if (path.empty() || !fs::exists(path, ignored)) {
      const std::string text = path.empty() ? "A samples manifest names no file."
                                            : shown_path(path, options_.folder) + " (samples) is gone: it is not drawn.";
      log::warn(text);
      note(text);
      return;
    }
    if (!point.samples.has_space() || point.samples.space().type != "image") return;
    const io::H5Reader file = io::open_artefact(point.samples);
    ImageGrid grid = samples_grid(file, point.samples, class_names(point.samples), std::min(options_.rows, kMostRows),
                                  std::max<int64_t>(options_.rows, 10), options_.columns);
    if (grid.image.pixels.empty()) return;
    grid.id = "front-samples-" + file_part(study.reward) + "-" + std::to_string(section.grids.size() + 1);
    grid.title = point.is_base() ? "Base model" : point.regularisation.name + ", " + point.regularisation.strength;
    grid.caption = study.reward + " " + readable(point.reward(study.reward));
    for (const Measure& m : study.measures)
      if (m.key == "vendi") grid.caption += ", " + m.title + " " + readable(point.measure(m));
    grid.caption += ".";
    grid.description = "Grid of images: " + grid.title + ". " + grid.caption + (grid.row_names.empty() ? "" : " A row for each class.");
    section.grids.push_back(std::move(grid));
  }

  const ReportOptions& options_;
  Report report_;
};

}  // namespace

Report build_front_report(const std::vector<io::Manifest>& inputs, const std::string& reward, const ReportOptions& options) {
  std::vector<FrontPoint> points;
  for (const io::Manifest& input : inputs) points.push_back(read_front_point(input));
  std::vector<std::string> notes;
  Page page(options);
  for (const FrontStudy& study : front_studies(points, reward, notes)) page.add(study);
  return page.finish(inputs, notes);
}

}  // namespace plumb::report
