// SPDX-License-Identifier: Apache-2.0
#include "report/chart_series.h"

#include <algorithm>
#include <cmath>

namespace plumb::report {
namespace {

constexpr double kMarker = 4;  // radius, px

std::string point(const Box& box, double x, double y) { return px(box.at_x(x)) + " " + px(box.at_y(y)); }

std::string line_data(const Box& box, const Series& s) {
  std::string data;
  bool pen_down = false;
  for (size_t i = 0; i < s.y.size(); ++i) {
    const bool good = drawable(box, s, i);
    if (good) data += (pen_down ? "L" : "M") + point(box, s.x[i], s.y[i]);
    pen_down = good;
  }
  return data;
}

/// The shaded interval, one closed outline for each stretch without a gap.
std::string band_data(const Box& box, const Series& s) {
  if (s.low.size() != s.y.size() || s.high.size() != s.y.size()) return "";
  std::string data;
  const auto good = [&](size_t i) {
    return drawable(box, s, i) && std::isfinite(box.sy.position(s.low[i])) && std::isfinite(box.sy.position(s.high[i]));
  };
  for (size_t i = 0; i < s.y.size();) {
    if (!good(i)) {
      ++i;
      continue;
    }
    size_t end = i;
    std::string upper, lower;
    for (; end < s.y.size() && good(end); ++end) {
      upper += (end == i ? "M" : "L") + point(box, s.x[end], s.high[end]);
      lower = "L" + point(box, s.x[end], s.low[end]) + lower;
    }
    if (end - i > 1) data += upper + lower + "Z";
    i = end;
  }
  return data;
}

std::string steps_data(const Box& box, const Series& s) {
  if (s.y.empty() || s.x.size() != s.y.size() + 1) return "";
  std::string data = "M" + point(box, s.x[0], 0);
  for (size_t i = 0; i < s.y.size(); ++i)
    data += "L" + point(box, s.x[i], s.y[i]) + "L" + point(box, s.x[i + 1], s.y[i]);
  return data + "L" + point(box, s.x.back(), 0);
}

/// Bars of the points' intervals, cut at the plot's edges.
void draw_bars(Svg& svg, const Box& box, const Series& s) {
  const auto has = [&](const std::vector<double>& low, const std::vector<double>& high, size_t i) {
    return i < low.size() && i < high.size() && std::isfinite(low[i]) && std::isfinite(high[i]);
  };
  const auto inside = [](double at, double lo, double hi, double otherwise) {  // no place on a logarithmic axis: its low end
    return std::isfinite(at) ? std::clamp(at, lo, hi) : otherwise;
  };
  const auto x_in = [&](double value) { return inside(box.at_x(value), box.x, box.x + box.w, box.x); };
  const auto y_in = [&](double value) { return inside(box.at_y(value), box.y, box.y + box.h, box.y + box.h); };
  svg.open(ink_of(s), "opacity=\"0.45\"");
  for (size_t i = 0; i < s.y.size(); ++i) {
    if (!drawable(box, s, i)) continue;
    const double x = box.at_x(s.x[i]), y = box.at_y(s.y[i]);
    if (has(s.x_low, s.x_high, i)) svg.line(x_in(s.x_low[i]), y, x_in(s.x_high[i]), y);
    if (has(s.low, s.high, i)) svg.line(x, y_in(s.low[i]), x, y_in(s.high[i]));
  }
  svg.close();
}

void draw_scatter(Svg& svg, const Box& box, const Series& s) {
  draw_bars(svg, box, s);
  const auto joined = [&](size_t i) { return i < s.joined.size() && s.joined[i]; };
  std::string line;
  for (size_t i = 0; i < s.y.size(); ++i)
    if (joined(i) && drawable(box, s, i)) line += (line.empty() ? "M" : "L") + point(box, s.x[i], s.y[i]);
  svg.path(line, 1.5, s.dashed ? "5 4" : "");
  for (size_t i = 0; i < s.y.size(); ++i) {
    if (!drawable(box, s, i)) continue;
    const bool tip = i < s.tips.size() && !s.tips[i].empty();
    if (tip) svg.open(ink_of(s), "", s.tips[i]);
    draw_marker(svg, s, box.at_x(s.x[i]), box.at_y(s.y[i]), s.joined.empty() || joined(i));
    if (tip) svg.close();
  }
}

}  // namespace

std::string ink_of(const Series& s) { return s.colour < 0 ? "ink" : Svg::colour(s.colour); }

bool drawable(const Box& box, const Series& s, size_t i) {
  return i < s.x.size() && i < s.y.size() && std::isfinite(box.sx.position(s.x[i])) &&
         std::isfinite(box.sy.position(s.y[i]));
}

void draw_marker(Svg& svg, const Series& s, double x, double y, bool filled) {
  if (s.square)
    svg.rect(x - kMarker, y - kMarker, 2 * kMarker, 2 * kMarker, filled ? 1 : 0, 0, true);
  else
    svg.circle(x, y, kMarker - (filled ? 0 : 0.5), !filled);
}

void draw_series(Svg& svg, const Box& box, const Series& s) {
  const std::string dash = s.dashed ? "5 4" : "";
  svg.open(ink_of(s));
  if (s.style == Style::kSteps) {
    const std::string data = steps_data(box, s);
    if (!data.empty()) svg.area(data + "Z", 0.16);
    svg.path(data, 1.5, dash);
  } else if (s.style == Style::kRaw) {
    svg.open(ink_of(s), "opacity=\"0.3\"");
    svg.path(line_data(box, s), 1);
    svg.close();
  } else if (s.style == Style::kScatter) {
    draw_scatter(svg, box, s);
  } else {
    svg.area(band_data(box, s), 0.16);
    svg.path(line_data(box, s), s.style == Style::kPath ? 1.5 : 2, dash);
    std::vector<size_t> points;
    for (size_t i = 0; i < s.y.size(); ++i) {
      if (drawable(box, s, i)) points.push_back(i);
    }
    const bool few = s.style == Style::kPath || points.size() == 1;
    for (const size_t i : points) {
      const bool end = i == points.front() || i == points.back();
      if (few)
        svg.circle(box.at_x(s.x[i]), box.at_y(s.y[i]), end ? 4 : 2, end && i == points.front() && points.size() > 1);
    }
  }
  svg.close();
}

}  // namespace plumb::report
