// A table of results as figures: what a script measured, a row a run, drawn with intervals over the runs.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <vector>

#include "report/front.h"
#include "report/report.h"

namespace plumb::report {

/// A tab-separated file with a line of column names first. Lines that are empty or start with '#' are left out.
struct ResultTable {
  std::string path;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
  /// Index of a column. Throws Error(kUsage, option) with the nearest name.
  size_t column(const std::string& name, const std::string& option) const;
  /// The number in a cell; an empty cell, "-", "nan" or "na": NaN. Throws Error(kBadInput, path) naming the line otherwise.
  double number(size_t row, size_t column) const;
};
/// Throws Error(kBadInput) for a file that is gone, without rows, or with a line of another length.
ResultTable read_result_table(const std::string& path);
/// The tables below one another; all must have the columns of the first, in any order.
ResultTable read_result_tables(const std::vector<std::string>& paths);

struct TableFigureOptions {
  std::string x;               ///< column
  std::vector<std::string> y;  ///< columns, a panel each
  std::string by;              ///< column that tells series apart; "": one series
  bool marks = false;          ///< a mark for each value of `by` at its mean x and mean y; else a line along x
  bool log_x = false;
};

/// One place of a series: all rows with the same value of `by` and, for lines, of x. NaN cells do not count.
struct TablePoint {
  std::string by;
  Estimate x;               ///< lines: no interval
  std::vector<Estimate> y;  ///< in the order of options.y
};
/// Series in the order in which they come in the table; lines by ascending x. Throws Error(kUsage) for unknown columns, Error(kBadInput)
/// for cells that are no numbers.
std::vector<TablePoint> table_points(const ResultTable& table, const TableFigureOptions& options);

/// One section: the figure, and the means with half of their 95 % t-intervals as a table.
Report build_table_report(const ResultTable& table, const TableFigureOptions& options, const std::string& title);

}  // namespace plumb::report
