// SPDX-License-Identifier: Apache-2.0
#include "report/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "report/chart_series.h"

namespace plumb::report {
namespace {

constexpr double kWidth = 720, kCellWidth = 344, kTickSize = 11, kLabelSize = 12, kTitleHeight = 24;
constexpr double kAxisHeight = 36, kMaxLabel = 170, kMarkRow = 17;

bool named(const Series& series) { return series.style != Style::kRaw && !series.name.empty(); }

/// Lines get their names at the right end when there is more than one to tell apart.
bool named_at_end(const Panel& panel, const Series& series) {
  const auto lines = std::count_if(panel.series.begin(), panel.series.end(), named);
  return named(series) && series.style == Style::kLine && lines > 1;
}

bool needs_legend(const Panel& panel) {
  if (!panel.legend) return false;
  return std::count_if(panel.series.begin(), panel.series.end(),
                       [](const Series& s) { return named(s) && s.style != Style::kLine; }) > 1;
}

/// Adds the ends of bars to the values that an axis must hold, but none further out than half of the values' range: a bar
/// over few seeds may be many times longer, and is cut at the edge. Values that are all the same have no range: all ends count.
void add_bars(std::vector<double>& values, std::vector<double> ends) {
  double lo = std::numeric_limits<double>::infinity(), hi = -lo;
  for (const double v : values)
    if (std::isfinite(v)) lo = std::min(lo, v), hi = std::max(hi, v);
  if (lo > hi) return;
  const bool same = hi - lo <= 1e-12 * std::max(std::fabs(lo), std::fabs(hi));
  const double reach = same ? std::numeric_limits<double>::infinity() : (hi - lo) / 2;
  for (const double end : ends)
    if (std::isfinite(end)) values.push_back(std::clamp(end, lo - reach, hi + reach));
}

/// The logarithms of what has one.
std::vector<double> logarithms(const std::vector<double>& values) {
  std::vector<double> logs;
  for (const double v : values)
    if (v > 0 && std::isfinite(v)) logs.push_back(std::log(v));
  return logs;
}

Scale x_scale(const Figure& figure, const std::vector<const Panel*>& panels) {
  std::vector<double> values, bars;
  bool margin = false;
  for (const Panel* panel : panels) {
    for (const Series& series : panel->series) {
      values.insert(values.end(), series.x.begin(), series.x.end());
      bars.insert(bars.end(), series.x_low.begin(), series.x_low.end());
      bars.insert(bars.end(), series.x_high.begin(), series.x_high.end());
      margin |= series.style == Style::kPath || series.style == Style::kScatter;
    }
  }
  if (figure.log_x) {  // the range of values is that of their logarithms, which what is not above 0 has no part in
    values = logarithms(values);
    add_bars(values, logarithms(bars));
    for (double& v : values) v = std::exp(v);
  } else {
    add_bars(values, bars);
  }
  return fit_scale(values, figure.log_x, false, margin ? 0.06 : 0.0);
}

Scale y_scale(const Panel& panel) {
  std::vector<double> values, bars;
  for (const Series& series : panel.series) {
    std::vector<double>& ends = series.style == Style::kScatter ? bars : values;
    values.insert(values.end(), series.y.begin(), series.y.end());
    ends.insert(ends.end(), series.low.begin(), series.low.end());
    ends.insert(ends.end(), series.high.begin(), series.high.end());
  }
  add_bars(values, bars);
  if (panel.reference) values.push_back(*panel.reference);
  return fit_scale(values, panel.log_y, panel.from_zero);
}

int y_tick_count(double height) { return std::max(3, static_cast<int>(height / 32)); }

double tick_room(const Panel& panel, double height) {
  double room = 0;
  for (const Tick& tick : nice_ticks(y_scale(panel), y_tick_count(height)))
    room = std::max(room, text_width(tick.label, kTickSize));
  return room + 10;
}

double label_room(const Panel& panel) {
  double room = 0;
  for (const Series& series : panel.series) {
    if (named_at_end(panel, series)) room = std::max(room, text_width(series.name, kLabelSize));
  }
  return room > 0 ? std::min(room, kMaxLabel) + 16 : 14;
}

/// Names of the lines at their right ends, moved apart, with a thin leader where a name stands away from its line.
void draw_end_names(Svg& svg, const Box& box, const Panel& panel, double room) {
  std::vector<const Series*> lines;
  std::vector<double> ends_x, ends_y;
  for (const Series& s : panel.series) {
    if (!named_at_end(panel, s)) continue;
    size_t last = s.y.size();
    while (last > 0 && !drawable(box, s, last - 1)) --last;
    if (last == 0) continue;
    lines.push_back(&s);
    ends_x.push_back(box.at_x(s.x[last - 1]));
    ends_y.push_back(box.at_y(s.y[last - 1]));
  }
  const std::vector<double> rows = spread(ends_y, 14, box.y + 4, box.y + box.h);
  for (size_t i = 0; i < lines.size(); ++i) {
    const double left = box.x + box.w + 10;
    svg.open(ink_of(*lines[i]));
    if (std::fabs(rows[i] - ends_y[i]) > 2 || ends_x[i] < box.x + box.w - 8) {
      svg.path("M" + px(ends_x[i] + 2) + " " + px(ends_y[i]) + "L" + px(left - 2) + " " + px(rows[i]), 0.7, "1.5 2.5");
    }
    const std::string shown = fit_text(lines[i]->name, kLabelSize, room - 14);
    svg.text(left, rows[i] + 4, shown, kLabelSize, "start", false, shown == lines[i]->name ? "" : lines[i]->name);
    svg.close();
  }
}

/// Height of the legend above a histogram or a scatter, drawing it if svg is given. Entries wrap; none is wider than the row.
double legend(Svg* svg, const Panel& panel, double x, double y, double width) {
  if (!needs_legend(panel)) return 0;
  double at = x;
  int row = 0;
  for (const Series& s : panel.series) {
    if (!named(s)) continue;
    const std::string shown = fit_text(s.name, kLabelSize, width - 20);
    const double size = 18 + text_width(shown, kLabelSize) + 14;
    if (at > x && at + size - 14 > x + width) at = x, ++row;
    if (svg) {
      svg->open(ink_of(s));
      if (s.style == Style::kScatter)
        draw_marker(*svg, s, at + 6, y + row * 17 - 4, true);
      else
        svg->rect(at, y + row * 17 - 8, 12, 9, 0.3, 2, true);
      svg->text(at + 18, y + row * 17, shown, kLabelSize, "start", false, shown == s.name ? "" : s.name);
      svg->close();
    }
    at += size;
  }
  return (row + 1) * 17;
}

void draw_title(Svg& svg, const Panel& panel, double x, double y, double width) {
  const std::string title = fit_text(panel.title, 14, width);
  const double room = width - text_width(title, 14) - 10;
  svg.open("ink");
  svg.title(x, y, title, room > 50 ? fit_text(panel.note, kLabelSize, room) : "");
  svg.close();
}

void draw_axes(Svg& svg, const Box& box, const Figure& figure, bool x_labels) {
  const std::vector<Tick> rows = nice_ticks(box.sy, y_tick_count(box.h));
  const int most = std::max(3, static_cast<int>(box.w / 62));
  const std::vector<Tick> columns = nice_ticks(box.sx, most, figure.whole_x);
  svg.open("faint");
  for (const Tick& tick : rows) {
    if (!tick.label.empty()) svg.line(box.x, box.at_y(tick.value), box.x + box.w, box.at_y(tick.value));
  }
  svg.close();
  svg.open("muted");
  for (const Tick& tick : rows) {
    if (!tick.label.empty()) svg.text(box.x - 8, box.at_y(tick.value) + 4, tick.label, kTickSize, "end");
  }
  svg.line(box.x, box.y + box.h, box.x + box.w, box.y + box.h);
  double right = -1e9;  // of the last label drawn: labels keep clear of each other
  for (const Tick& tick : columns) {
    const double x = box.at_x(tick.value);
    svg.line(x, box.y + box.h, x, box.y + box.h + (tick.label.empty() ? 2 : 4));
    const double half = text_width(tick.label, kTickSize) / 2;
    if (!x_labels || tick.label.empty() || x - half < right + 8) continue;
    svg.text(x, box.y + box.h + 17, tick.label, kTickSize, "middle");
    right = x + half;
  }
  if (x_labels) svg.text(box.x + box.w, box.y + box.h + 33, figure.x_label, kTickSize, "end");
  svg.close();
}

/// One panel at (x, y): title, legend, axes, series, names. Returns the box of its plot.
Box draw_panel(Svg& svg, const Figure& figure, const Panel& panel, double x, double y, double width, double left,
               double right, double height, const Scale& sx, bool x_labels) {
  draw_title(svg, panel, x, y + 14, width);
  const double keys = legend(&svg, panel, x, y + 14 + 19, width);
  const Box box{x + left, y + kTitleHeight + keys, width - left - right, height, x + width, sx, y_scale(panel)};
  draw_axes(svg, box, figure, x_labels);
  for (const Mark& mark : figure.marks) {
    const double a = std::clamp(box.sx.position(mark.low), 0.0, 1.0),
                 b = std::clamp(box.sx.position(mark.high), 0.0, 1.0);
    svg.open(mark.colour);
    if (std::isfinite(mark.low) && std::isfinite(mark.high) && b > a)
      svg.rect(box.x + a * box.w, box.y, (b - a) * box.w, box.h, 0.1);
    const double at = box.sx.position(mark.at);
    if (at >= -1e-9 && at <= 1 + 1e-9)
      svg.line(box.at_x(mark.at), box.y, box.at_x(mark.at), box.y + box.h, 1.5, mark.dashed ? "4 3" : "");
    svg.close();
  }
  if (panel.reference) {
    svg.open("muted");
    svg.line(box.x, box.at_y(*panel.reference), box.x + box.w, box.at_y(*panel.reference), 1, "2 3");
    svg.close();
  }
  bool any = false;
  for (const Style style : {Style::kRaw, Style::kSteps, Style::kPath, Style::kLine, Style::kScatter}) {
    for (const Series& s : panel.series) {
      if (s.style != style) continue;
      draw_series(svg, box, s);
      for (size_t i = 0; i < s.y.size() && !any; ++i) any = std::isfinite(s.y[i]);
    }
  }
  if (!any) {
    svg.open("muted");
    svg.text(box.x + box.w / 2, box.y + box.h / 2 + 4, "no finite value", kLabelSize, "middle");
    svg.close();
  }
  draw_end_names(svg, box, panel, right);
  return box;
}

/// The marks' words, one row each above the first plot, and the line from the words down to the plot where it crosses
/// none.
void draw_mark_names(Svg& svg, const Figure& figure, const Box& box, double top) {
  struct Name {
    const Mark* mark;
    double x, from, to;  // of the line; the words' ends
  };
  std::vector<Name> names;
  for (const Mark& mark : figure.marks) {
    const double at = box.sx.position(mark.at);
    if (!(at >= -1e-9 && at <= 1 + 1e-9)) continue;
    const double x = box.at_x(mark.at), size = text_width(mark.text, kLabelSize), edge = box.right;
    double from = x + 6;                                                    // to the right of the line,
    if (from + size > edge) from = x - 6 - size;                            // else to its left,
    if (from < edge - kWidth) from = std::max(edge - kWidth, edge - size);  // else wherever it fits
    names.push_back({&mark, x, from, from + size});
  }
  // Rows from the top: a line should pass no words below its own row.
  std::stable_sort(names.begin(), names.end(), [](const Name& a, const Name& b) { return a.x < b.x; });
  std::stable_partition(names.begin(), names.end(), [](const Name& n) { return n.from > n.x; });
  std::reverse(std::find_if(names.begin(), names.end(), [](const Name& n) { return n.from < n.x; }), names.end());
  for (size_t row = 0; row < names.size(); ++row) {
    const Name& name = names[row];
    const double y = top + static_cast<double>(row) * kMarkRow + 11;
    bool crosses = name.from < name.x && name.to > name.x;  // its own words, where nothing else was possible
    for (size_t below = row + 1; below < names.size(); ++below) {
      crosses |= name.x > names[below].from - 3 && name.x < names[below].to + 3;
    }
    svg.open(name.mark->colour);
    svg.line(name.x, crosses ? box.y - 5 : y - 9, name.x, box.y, 1.5, name.mark->dashed ? "4 3" : "");
    svg.text(name.from, y, name.mark->text, kLabelSize);
    svg.close();
  }
}

std::string render_stack(const Figure& figure, bool standalone) {
  std::vector<const Panel*> panels;
  double left = 0, right = 0;
  for (const Panel& panel : figure.panels) {
    panels.push_back(&panel);
    left = std::max(left, tick_room(panel, panel.height));
    right = std::max(right, label_room(panel));
  }
  const Scale sx = x_scale(figure, panels);
  const double edge = standalone ? 16 : 0,
               strip = static_cast<double>(figure.marks.size()) * kMarkRow + (figure.marks.empty() ? 0 : 6);
  double height = edge * 2 + strip + kAxisHeight;
  for (const Panel& panel : figure.panels)
    height += kTitleHeight + legend(nullptr, panel, 0, 0, kWidth) + panel.height + 14;
  Svg svg(kWidth + 2 * edge, height, figure.description.empty() ? figure.title : figure.description, standalone);
  double y = edge;
  for (size_t i = 0; i < panels.size(); ++i) {
    // The marks' words stand between the first panel's title and its plot.
    Panel panel = *panels[i];
    const double shift = i == 0 ? strip : 0;
    const bool last = i + 1 == panels.size();
    Box box{};
    if (shift > 0) {
      draw_title(svg, panel, edge, y + 14, kWidth);
      panel.title.clear(), panel.note.clear();
    }
    box = draw_panel(svg, figure, panel, edge, y + shift, kWidth, left, right, panel.height, sx, last);
    if (shift > 0) draw_mark_names(svg, figure, box, y + kTitleHeight);
    y = box.y + box.h + 14;
  }
  return svg.finish();
}

double cell_height(const Figure& figure, const Panel& panel) {
  return kTitleHeight + legend(nullptr, panel, 0, 0, kCellWidth) + figure.cell_plot + kAxisHeight;
}

void draw_cell(Svg& svg, const Figure& figure, const Panel& panel, double x, double y) {
  draw_panel(svg, figure, panel, x, y, kCellWidth, std::max(44.0, tick_room(panel, figure.cell_plot)), label_room(panel),
             figure.cell_plot, x_scale(figure, {&panel}), true);
}

std::string panel_label(const Figure& figure, const Panel& panel) {
  return (figure.description.empty() ? figure.title : figure.description) + ": " + panel.title;
}

}  // namespace

std::vector<double> spread(const std::vector<double>& wanted, double gap, double lo, double hi) {
  std::vector<size_t> order(wanted.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return wanted[a] < wanted[b]; });
  // Groups of touching neighbours, each centred on the mean of what its members want, merged until none overlap.
  struct Group {
    double sum;  // of wanted - rank*gap
    size_t size;
    double start;  // position of the first member
  };
  std::vector<Group> groups;
  const auto place = [&](Group& g) {
    const double length = gap * static_cast<double>(g.size - 1);
    g.start = std::max(lo, std::min(g.sum / static_cast<double>(g.size), hi - length));
  };
  for (const size_t i : order) {
    groups.push_back({wanted[i], 1, 0});
    place(groups.back());
    while (groups.size() > 1) {
      Group& a = groups[groups.size() - 2];
      const Group& b = groups.back();
      if (a.start + gap * static_cast<double>(a.size) <= b.start + 1e-9) break;
      a.sum += b.sum - static_cast<double>(b.size) * gap * static_cast<double>(a.size);
      a.size += b.size;
      groups.pop_back();
      place(groups.back());
    }
  }
  std::vector<double> placed(wanted.size());
  size_t next = 0;
  for (const Group& group : groups) {
    for (size_t k = 0; k < group.size; ++k) placed[order[next++]] = group.start + gap * static_cast<double>(k);
  }
  return placed;
}

bool cuts_bars(const Figure& figure) {
  std::vector<const Panel*> all;
  for (const Panel& panel : figure.panels) all.push_back(&panel);
  const auto leaves = [](const Scale& scale, const std::vector<double>& ends, size_t i) {
    if (i >= ends.size() || !std::isfinite(ends[i])) return false;
    const double at = scale.position(ends[i]);
    return !(at >= -1e-9 && at <= 1 + 1e-9);
  };
  for (const Panel* panel : all) {
    const Scale sx = x_scale(figure, figure.grid ? std::vector<const Panel*>{panel} : all), sy = y_scale(*panel);
    for (const Series& s : panel->series) {
      if (s.style != Style::kScatter) continue;
      for (size_t i = 0; i < s.y.size() && i < s.x.size(); ++i) {
        if (!std::isfinite(sx.position(s.x[i])) || !std::isfinite(sy.position(s.y[i]))) continue;
        if (leaves(sx, s.x_low, i) || leaves(sx, s.x_high, i) || leaves(sy, s.low, i) || leaves(sy, s.high, i)) return true;
      }
    }
  }
  return false;
}

std::vector<std::string> render_panels(const Figure& figure) {
  std::vector<std::string> pictures;
  for (const Panel& panel : figure.panels) {
    Svg svg(kCellWidth, cell_height(figure, panel), panel_label(figure, panel), false);
    draw_cell(svg, figure, panel, 0, 0);
    pictures.push_back(svg.finish());
  }
  return pictures;
}

std::string render_figure(const Figure& figure, bool standalone) {
  if (!figure.grid) return render_stack(figure, standalone);
  const size_t columns = std::min<size_t>(2, std::max<size_t>(1, figure.panels.size()));
  double row_height = 0;
  for (const Panel& panel : figure.panels) row_height = std::max(row_height, cell_height(figure, panel) + 16);
  const size_t rows = (figure.panels.size() + columns - 1) / columns;
  const double edge = standalone ? 16 : 0;
  Svg svg(static_cast<double>(columns) * (kCellWidth + 32) - 32 + 2 * edge,
          static_cast<double>(rows) * row_height + 2 * edge,
          figure.description.empty() ? figure.title : figure.description, standalone);
  for (size_t i = 0; i < figure.panels.size(); ++i) {
    draw_cell(svg, figure, figure.panels[i], edge + static_cast<double>(i % columns) * (kCellWidth + 32),
              edge + static_cast<double>(i / columns) * row_height);
  }
  return svg.finish();
}

}  // namespace plumb::report
