// Charts: panels over a shared x axis, drawn as SVG. Lines are named where they end, so there is no legend to match
// colours with; histograms and scatters, which have no end, carry their legend above the plot.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "report/axis.h"

namespace plumb::report {

enum class Style {
  kLine,   ///< a line, with its interval shaded where low and high are given
  kRaw,    ///< unsmoothed values behind a kLine of the same colour: thin, pale, without a name
  kSteps,  ///< a histogram: x holds the n+1 edges of n bars
  kPath,   ///< points joined in order, a ring on the first, a disc on the last
  kScatter,  ///< marks with bars over their intervals; some may be joined
};

/// Not finite y: a gap. low and high are empty or as long as y.
struct Series {
  std::string name;
  std::vector<double> x, y, low, high;
  int colour = 0;  ///< -1: the colour of text
  Style style = Style::kLine;
  bool dashed = false;
  // Of a kScatter only. Each is empty or as long as y.
  std::vector<double> x_low = {}, x_high = {};  ///< intervals along x; not finite: none
  std::vector<bool> joined = {};                ///< filled and joined in order, others hollow; empty: all filled, none joined
  std::vector<std::string> tips = {};           ///< shown when a mark is pointed at
  bool square = false;                          ///< squares, not discs
};

/// A place on the x axis that all panels show: a line, and a band if low and high are finite.
struct Mark {
  double at = 0, low = 0, high = 0;
  std::string text;
  std::string colour = "ink";
  bool dashed = true;
};

struct Panel {
  std::string title, note;  ///< what is drawn; its unit or how to read it
  std::vector<Series> series;
  bool log_y = false, from_zero = false;
  std::optional<double> reference = {};  ///< a horizontal rule
  double height = 100;                   ///< of the plot, px, in a stack
  bool legend = true;                    ///< false: marks name the series already
};

struct Figure {
  std::string id;              ///< file name without suffix; unique in a report
  std::string title, caption;  ///< caption: how to read it, one or two sentences
  std::string description;     ///< what a reader who cannot see it should know
  std::string x_label;
  std::vector<Panel> panels;
  std::vector<Mark> marks;
  bool grid = false;  ///< small panels side by side, each with its x axis; else one below the other
  bool log_x = false, whole_x = false;  ///< log_x: fits what is above 0; the rest has no place and is not drawn
  double cell_plot = 118;  ///< height of the plots of a grid, px
};

/// The whole figure as one picture.
std::string render_figure(const Figure& figure, bool standalone);
/// Whether a bar of a kScatter leaves the plot, where it is cut: a caption should say so.
bool cuts_bars(const Figure& figure);
/// A grid's panels as pictures of their own, so that a page can wrap them.
std::vector<std::string> render_panels(const Figure& figure);

/// Moves positions (any order) so that neighbours are at least `gap` apart within [lo, hi] where that is possible,
/// moving each as little as needed; the order of values is kept.
std::vector<double> spread(const std::vector<double>& wanted, double gap, double lo, double hi);

}  // namespace plumb::report
