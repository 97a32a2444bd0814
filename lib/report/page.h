// A report as one HTML file that needs nothing else, and as single files.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "report/report.h"

namespace plumb::report {

/// The first bytes of every page of ours: by these an earlier report is known from somebody's own file.
extern const char* const kPageStart;

/// The whole page. No scripts, no links to elsewhere; light and dark; for screens, phones and paper. Same report, same
/// bytes.
std::string render_page(const Report& report);

/// A file to write: name within its folder, contents.
struct SideFile {
  std::string name, contents;
};
std::vector<SideFile> svg_files(const Report& report);  ///< each figure and drawing
std::vector<SideFile> png_files(const Report& report);  ///< each image grid
std::vector<SideFile> tsv_files(const Report& report);  ///< each table, and the numbers of each figure

}  // namespace plumb::report
