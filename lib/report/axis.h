// Where an axis begins and ends, and which values it names.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

namespace plumb::report {

/// A map from values to [0,1], linear or logarithmic (lo > 0 then).
struct Scale {
  double lo = 0, hi = 1;
  bool log = false;
  double position(double value) const;  ///< not finite if the value has no place on the scale
};

struct Tick {
  double value;
  std::string label;  ///< "" for a minor tick
};

/// The smallest of 1, 2, 2.5, 5 x 10^k that cuts [lo, hi] into at most `most` steps. whole: at least 1, and never 2.5.
double nice_step(double lo, double hi, int most, bool whole = false);

/// Ticks inside the scale, at most about `most` labelled. All labels of one axis have the same number of decimals;
/// thousands are written 5k, 1.5M; logarithmic scales name powers of ten, and 2 and 5 between them if there are few.
std::vector<Tick> nice_ticks(const Scale& scale, int most, bool whole = false);

/// A scale that holds all finite values with a margin of `pad` of their range on both sides. No finite value: [0,1].
/// All equal: a range around the value. from_zero: begins (or ends) at 0. log is dropped if a value is not positive:
/// the caller leaves out what has no place on such an axis, and says so.
Scale fit_scale(const std::vector<double>& values, bool log = false, bool from_zero = false, double pad = 0.06);

}  // namespace plumb::report
