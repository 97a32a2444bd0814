// SPDX-License-Identifier: Apache-2.0
#include "report/table_study.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "io/atomic_file.h"
#include "report/number.h"
#include "report/score_figures.h"
#include "report/svg.h"

namespace plumb::report {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

bool is_missing(const std::string& cell) { return cell.empty() || cell == "-" || cell == "nan" || cell == "na" || cell == "NA" || cell == "NaN"; }

std::string file_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

/// The columns that a figure is made of.
struct Chosen {
  size_t x;
  std::vector<size_t> y;
  size_t by = 0;
  bool has_by = false;
};

Chosen choose(const ResultTable& table, const TableFigureOptions& o) {
  Chosen chosen{table.column(o.x, "--x"), {}};
  if (o.y.empty()) throw Error(Exit::kUsage, "--y", "is needed with --table", "one of " + join(table.columns, ", "));
  for (const std::string& y : o.y) chosen.y.push_back(table.column(y, "--y"));
  chosen.has_by = !o.by.empty();
  if (chosen.has_by) chosen.by = table.column(o.by, "--by");
  return chosen;
}

Cell shown(const Estimate& e) {
  if (e.n == 0) return cell(std::string("–"));
  return cell(readable_with_error(e.mean, std::isfinite(e.half) && e.half > 1e-12 * std::fabs(e.mean) ? e.half : 0));
}

}  // namespace

size_t ResultTable::column(const std::string& name, const std::string& option) const {
  if (name.empty()) throw Error(Exit::kUsage, option, "is needed with --table", "one of " + join(columns, ", "));
  if (const auto at = std::find(columns.begin(), columns.end(), name); at != columns.end()) return static_cast<size_t>(at - columns.begin());
  const std::string near = nearest(name, columns);
  throw Error(Exit::kUsage, option, file_name(path) + " has no column '" + name + "'",
              near.empty() ? "it has " + join(columns, ", ") : "did you mean '" + near + "'?");
}

double ResultTable::number(size_t row, size_t column) const {
  const std::string& text = rows[row][column];
  if (is_missing(text)) return kNaN;
  try {
    return parse_double(text, columns[column]);
  } catch (const Error&) {
    throw Error(Exit::kBadInput, path, cat("row ", row + 1, ", column '", columns[column], "': '", text, "' is no number"), "leave it empty if it is missing");
  }
}

ResultTable read_result_table(const std::string& path) {
  ResultTable table{path, {}, {}};
  int64_t line_number = 0;
  for (std::string line : split(io::read_file(path), '\n')) {
    ++line_number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line[0] == '#') continue;
    std::vector<std::string> cells = split(line, '\t');
    for (std::string& one : cells) one = trim(one);
    if (table.columns.empty()) {
      table.columns = std::move(cells);
    } else if (cells.size() != table.columns.size()) {
      throw Error(Exit::kBadInput, path, cat("line ", line_number, " has ", cells.size(), " cells, the first line ", table.columns.size()),
                  "separate cells by tabs");
    } else {
      table.rows.push_back(std::move(cells));
    }
  }
  if (table.rows.empty()) throw Error(Exit::kBadInput, path, "holds no rows of results");
  return table;
}

ResultTable read_result_tables(const std::vector<std::string>& paths) {
  ResultTable all = read_result_table(paths.front());
  for (size_t i = 1; i < paths.size(); ++i) {
    const ResultTable next = read_result_table(paths[i]);
    std::vector<size_t> from;
    for (const std::string& name : all.columns) {
      const auto at = std::find(next.columns.begin(), next.columns.end(), name);
      if (at == next.columns.end() || next.columns.size() != all.columns.size()) {
        throw Error(Exit::kBadInput, paths[i], "its columns are not those of " + file_name(paths.front()), "draw them one by one");
      }
      from.push_back(static_cast<size_t>(at - next.columns.begin()));
    }
    for (const std::vector<std::string>& row : next.rows) {
      std::vector<std::string> ordered;
      for (const size_t k : from) ordered.push_back(row[k]);
      all.rows.push_back(std::move(ordered));
    }
  }
  return all;
}

std::vector<TablePoint> table_points(const ResultTable& table, const TableFigureOptions& o) {
  const Chosen chosen = choose(table, o);
  struct Gathered {
    std::string by;
    double at;
    std::vector<double> x;
    std::vector<std::vector<double>> y;
  };
  std::vector<Gathered> groups;
  std::vector<std::string> order;  // of `by`
  for (size_t r = 0; r < table.rows.size(); ++r) {
    const std::string by = chosen.has_by ? table.rows[r][chosen.by] : "";
    const double x = table.number(r, chosen.x);
    if (!std::isfinite(x) && !o.marks) continue;
    if (std::find(order.begin(), order.end(), by) == order.end()) order.push_back(by);
    const double at = o.marks ? 0 : x;
    auto group = std::find_if(groups.begin(), groups.end(), [&](const Gathered& g) { return g.by == by && g.at == at; });
    if (group == groups.end()) group = groups.insert(groups.end(), Gathered{by, at, {}, std::vector<std::vector<double>>(chosen.y.size())});
    group->x.push_back(x);
    for (size_t k = 0; k < chosen.y.size(); ++k) group->y[k].push_back(table.number(r, chosen.y[k]));
  }
  const auto place = [&](const std::string& by) { return std::find(order.begin(), order.end(), by) - order.begin(); };
  std::stable_sort(groups.begin(), groups.end(), [&](const Gathered& a, const Gathered& b) {
    return place(a.by) != place(b.by) ? place(a.by) < place(b.by) : a.at < b.at;
  });
  std::vector<TablePoint> points;
  for (const Gathered& g : groups) {
    TablePoint p{g.by, estimate(g.x), {}};
    if (!o.marks) p.x.half = 0;
    for (const std::vector<double>& values : g.y) p.y.push_back(estimate(values));
    points.push_back(std::move(p));
  }
  return points;
}

Report build_table_report(const ResultTable& table, const TableFigureOptions& o, const std::string& title) {
  const std::vector<TablePoint> points = table_points(table, o);
  std::vector<std::string> names;
  size_t most = 0, left_out = 0;
  const auto has_place = [&](const TablePoint& p) { return std::isfinite(p.x.mean) && (!o.log_x || p.x.mean > 0); };
  for (const TablePoint& p : points) {
    if (std::find(names.begin(), names.end(), p.by) == names.end()) names.push_back(p.by);
    for (const Estimate& y : p.y) most = std::max(most, y.n);
    left_out += std::isfinite(p.x.mean) && !has_place(p) ? 1 : 0;
  }
  Figure figure;
  figure.id = file_part(std::filesystem::path(table.path).stem().string());
  figure.title = join(o.y, ", ") + (o.marks ? " against " : " over ") + o.x;
  figure.caption = most > 1 ? "Means over up to " + std::to_string(most) + " rows of the table, with 95 % t-intervals." : "One row of the table each.";
  figure.description = figure.title;
  figure.x_label = o.x;
  figure.grid = o.y.size() > 1 || o.marks;
  figure.log_x = o.log_x;
  figure.cell_plot = 200;
  for (size_t k = 0; k < o.y.size(); ++k) {
    Panel panel{o.y[k], "", {}};
    panel.height = 220;
    for (size_t n = 0; n < names.size(); ++n) {
      Series s;
      s.name = names[n].empty() ? o.y[k] : names[n];
      s.colour = static_cast<int>(n);
      s.dashed = n >= static_cast<size_t>(kColours);
      s.style = Style::kScatter;
      for (const TablePoint& p : points) {
        if (p.by != names[n] || p.y[k].n == 0 || !has_place(p)) continue;
        const auto half = [](const Estimate& e) { return std::isfinite(e.half) ? e.half : 0.0; };
        s.x.push_back(p.x.mean);
        s.y.push_back(p.y[k].mean);
        s.low.push_back(p.y[k].mean - half(p.y[k]));
        s.high.push_back(p.y[k].mean + half(p.y[k]));
        if (o.marks) {
          s.x_low.push_back(p.x.mean - half(p.x));
          s.x_high.push_back(p.x.mean + half(p.x));
        } else {
          s.joined.push_back(true);
        }
        s.tips.push_back((p.by.empty() ? "" : p.by + ": ") + readable(p.x.mean) + ", " + readable_with_error(p.y[k].mean, half(p.y[k])));
      }
      s.square = n >= static_cast<size_t>(kColours);
      if (!s.x.empty()) panel.series.push_back(std::move(s));
    }
    if (panel.series.empty() && std::any_of(points.begin(), points.end(), [&](const TablePoint& p) { return p.y[k].n > 0 && std::isfinite(p.x.mean); }))
      throw Error(Exit::kUsage, "--log-x", "column '" + o.y[k] + "' has no number where '" + o.x + "' is above 0", "leave it out");
    if (panel.series.empty()) throw Error(Exit::kBadInput, table.path, "column '" + o.y[k] + "' has no number where '" + o.x + "' has one");
    figure.panels.push_back(std::move(panel));
  }
  if (cuts_bars(figure)) figure.caption += " Bars that leave the plot are cut.";
  if (left_out > 0) {
    const std::string note = cat("Not drawn: ", left_out, left_out == 1 ? " mean" : " means", " whose ", o.x,
                                 " is not above 0, for which a logarithmic axis has no place; the table has ", left_out == 1 ? "it." : "them.");
    figure.caption += " " + note;
    log::warn(note);
  }
  Table means{"means-" + figure.id, "Means", "With half of the 95 % t-interval where there are several rows.", {}, {}};
  if (!o.by.empty()) means.columns.push_back({file_part(o.by), o.by, Align::kText});
  means.columns.push_back({file_part(o.x), o.x, Align::kNumber});
  for (const std::string& y : o.y) {
    means.columns.push_back({file_part(y), y, Align::kNumber});
    means.columns.push_back({file_part(y) + "_half", "", Align::kNumber});
  }
  means.columns.push_back({"rows", "rows", Align::kNumber});
  for (const TablePoint& p : points) {
    std::vector<Cell> row;
    if (!o.by.empty()) row.push_back(cell(p.by));
    row.push_back(o.marks ? shown(p.x) : cell(p.x.mean));
    size_t n = 0;
    for (const Estimate& y : p.y) {
      row.push_back(shown(y));
      row.back().raw = exact(y.mean);
      row.push_back(cell(y.half));
      n = std::max(n, y.n);
    }
    row.push_back(cell(static_cast<int64_t>(n)));
    means.rows.push_back(std::move(row));
  }
  Report report;
  report.title = title.empty() ? file_name(table.path) : title;
  Section section{"results", figure.title, "", {}, {}, {}, {}};
  section.figures.push_back(std::move(figure));
  section.tables.push_back(std::move(means));
  report.sections.push_back(std::move(section));
  return report;
}

}  // namespace plumb::report
