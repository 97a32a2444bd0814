// Rewards of samples: histograms and quantiles.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "io/manifest.h"
#include "report/chart.h"
#include "report/table.h"

namespace plumb::report {

/// One reward of one scores artefact.
struct ScoreSet {
  std::string reward;   ///< dataset name below /reward
  std::string samples;  ///< which samples: short name
  std::vector<float> values;
  std::optional<io::Manifest> items;  ///< the samples artefact
};

struct Summary {
  int64_t n = 0, not_finite = 0;  ///< n: finite values
  double mean = 0, standard_error = 0, standard_deviation = 0;
  std::vector<double> quantiles;  ///< at kQuantiles
};
/// Levels of the table: minimum, 5 %, 25 %, median, 75 %, 95 %, maximum.
extern const std::vector<double> kQuantiles;
/// In float64. Quantiles by linear interpolation between order statistics (type 7 of Hyndman & Fan 1996, as R and
/// NumPy). n = 0: all NaN; n = 1: error and deviation NaN.
Summary summarise(const std::vector<float>& values);

/// Edges of equal bins with round ends that hold all finite values; the bin width follows Freedman & Diaconis 1981, 8
/// to 48 bins.
std::vector<double> histogram_edges(const std::vector<const std::vector<float>*>& sets);

/// A dataset name as part of a file name.
std::string file_part(const std::string& name);

/// One histogram a reward name, sets of that name over one another.
std::vector<Figure> score_figures(const std::vector<ScoreSet>& sets);
Table score_table(const std::vector<ScoreSet>& sets);

}  // namespace plumb::report
