// Tables for pages and for programs: each cell has a text to read and an exact one.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "report/chart.h"

namespace plumb::report {

struct Cell {
  std::string shown;  ///< in the page
  std::string raw;    ///< in the TSV file: exact numbers, whole digests
};
Cell cell(const std::string& text);
Cell cell(double value);
Cell cell(int64_t value);
/// "1.23 ± 0.04" in the page, the value alone in the file.
Cell cell_with_error(double value, double standard_error);

enum class Align { kText, kNumber, kCode };
struct Column {
  std::string key;    ///< in the TSV's first line; snake_case
  std::string title;  ///< in the page; "" = only in the file
  Align align = Align::kText;
};

struct Table {
  enum class Use { kBoth, kPage, kFile };  ///< a table to read and one for programs may differ in their rows
  std::string id, title, note;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
  Use use = Use::kBoth;
};

/// <table> with a caption, column heads with scope; cells escaped.
std::string to_html(const Table& table);
/// Tab-separated, a line of keys first. Tabs and line ends inside cells become spaces.
std::string to_tsv(const Table& table);

/// The numbers behind a figure, one line a point: panel, series, x, y, low, high, x_end (bars of a histogram),
/// x_low, x_high (intervals along x).
std::string figure_tsv(const Figure& figure);

}  // namespace plumb::report
