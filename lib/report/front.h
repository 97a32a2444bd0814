// The plane of reward and diversity: Pareto sets, hypervolumes, fronts at equal reward, means over seeds. Pure functions
// of numbers; front_study.h applies them to artefacts.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <vector>

namespace plumb::report {

/// A point of the plane, raw units. Both are better when higher: of a distance, which is better when lower, the negative
/// is taken.
struct PlanePoint {
  double reward = 0, diversity = 0;
};

/// Indices of the points that no other point dominates, by increasing reward, at equal reward in the order given.
/// p dominates q if it is at least as good in both coordinates and better in one; so equal points are all in the set or
/// all out of it. A point with a coordinate that is not finite is never in it and dominates nothing.
/// Source: Zitzler & Thiele 1999, IEEE Trans. Evol. Comput. 3(4), definition 1 (maximisation).
std::vector<size_t> pareto_set(const std::vector<PlanePoint>& points);

/// Area of the union of the boxes [0,x] x [0,y] of all points (x,y) with x > 0 and y > 0; 0 if there is none.
/// Source: the size of the space covered, Zitzler & Thiele 1998 (PPSN V, LNCS 1498, p. 292), with (0,0) as reference
/// point. By a sweep from the largest x down, exact up to rounding.
double hypervolume(const std::vector<PlanePoint>& points);

/// Coordinates without units, so that areas of different rewards and measures can be compared:
///   x = (r - reward_base) / (reward_max - reward_base),   y = (d - diversity_worst) / (diversity_base - diversity_worst).
/// The base model is at (0,1). Area 1: the largest reward of all points at the diversity of the base model; a front that is
/// more diverse than the base model exceeds 1. Area 0: no point has both more reward than the base model and more diversity
/// than the worst point.
struct PlaneScale {
  double reward_base = 0, reward_max = 0, diversity_worst = 0, diversity_base = 0;
  /// Whether both units are above 0: some point has more reward than the base model, and some less diversity.
  bool usable() const { return reward_max > reward_base && diversity_base > diversity_worst; }
  PlanePoint operator()(const PlanePoint& p) const {
    return {(p.reward - reward_base) / (reward_max - reward_base),
            (p.diversity - diversity_worst) / (diversity_base - diversity_worst)};
  }
};

/// Diversity of the front at a reward: linear between the neighbouring members of the points' Pareto set. Below the set's
/// least reward it is the diversity of that member, which offers as much at a higher reward; above its greatest reward,
/// and without points, NaN.
double diversity_at(const std::vector<PlanePoint>& points, double reward);

/// Mean of n values and half of its 95 % confidence interval by Student's t, t95(n) s / sqrt(n). n = 1: half is NaN;
/// n = 0: both are.
struct Estimate {
  double mean = std::numeric_limits<double>::quiet_NaN(), half = mean;
  size_t n = 0;
  double low() const { return mean - half; }
  double high() const { return mean + half; }
};
/// Of the finite values.
Estimate estimate(const std::vector<double>& values);

/// One finite or missing (NaN) value a seed.
using BySeed = std::map<uint64_t, double>;
Estimate estimate(const BySeed& values);
/// Of a - b over the seeds that both have.
Estimate paired_difference(const BySeed& a, const BySeed& b);

/// What intervals of differences say about "the difference is not below 0".
enum class Claim {
  kHolds,    ///< every interval lies at or above 0
  kFails,    ///< some interval lies below 0
  kUnknown,  ///< else, and without any interval: nothing was compared, or with one seed
};
Claim judge(const std::vector<Estimate>& differences);

}  // namespace plumb::report
