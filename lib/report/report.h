// A report: what artefacts and logs say, as text, figures, pictures and tables, before any file format.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "io/manifest.h"
#include "report/chart.h"
#include "report/image_grid.h"
#include "report/table.h"

namespace plumb::report {

/// A drawing that is no chart: as it stands in a page, and as a file of its own.
struct Drawing {
  std::string id, title, inline_svg, file_svg;
};

struct Section {
  std::string id, title, text;
  std::vector<Figure> figures;
  std::vector<ImageGrid> grids;
  std::vector<Drawing> drawings;
  std::vector<Table> tables;
  bool empty() const { return figures.empty() && grids.empty() && drawings.empty() && tables.empty(); }
};

/// The box on top: what the monitor concluded about a run.
struct Alert {
  enum class Level { kGood, kUnknown, kBad } level = Level::kUnknown;
  std::string title, text;
};

struct Report {
  std::string title;
  std::vector<std::string> summary;  ///< paragraphs
  std::vector<Alert> alerts;
  std::vector<Section> sections;   ///< none empty
  std::vector<std::string> notes;  ///< what could not be drawn, and why
};

struct ReportOptions {
  std::string title;              ///< "": made from what is there
  std::string folder;             ///< absolute; paths are shown as seen from here
  int64_t rows = 8, columns = 8;  ///< of image grids; with labels, rows are classes
  bool pool_seeds = false;        ///< runs NAME-1, NAME-2, ... are one: run_comparison.h
};

/// Walks the lineages of the inputs, and reads the logs given and those beside model artefacts. A file that is gone is
/// noted; one that changed since it was used, or is damaged, is an Error(kBadInput).
Report build_report(const std::vector<io::Manifest>& inputs, const std::vector<std::string>& logs,
                    const ReportOptions& options);

}  // namespace plumb::report
