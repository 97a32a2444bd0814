// How one series is drawn inside a plot: part of chart.cpp, which alone includes this.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "report/chart.h"
#include "report/svg.h"

namespace plumb::report {

/// Where one panel's plot lies, and its scales.
struct Box {
  double x, y, w, h, right;  // right: edge of the whole panel
  Scale sx, sy;
  double at_x(double value) const { return x + w * sx.position(value); }
  double at_y(double value) const { return y + h * (1 - sy.position(value)); }
};

/// The series' colour, by Svg's name.
std::string ink_of(const Series& s);

/// Whether point i is there and has a place on both scales.
bool drawable(const Box& box, const Series& s, size_t i);

/// The mark of one point of a scatter.
void draw_marker(Svg& svg, const Series& s, double x, double y, bool filled);

void draw_series(Svg& svg, const Box& box, const Series& s);

}  // namespace plumb::report
