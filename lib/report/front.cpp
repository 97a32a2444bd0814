// SPDX-License-Identifier: Apache-2.0
#include "report/front.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "report/run_comparison.h"

namespace plumb::report {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

bool finite(const PlanePoint& p) { return std::isfinite(p.reward) && std::isfinite(p.diversity); }

}  // namespace

std::vector<size_t> pareto_set(const std::vector<PlanePoint>& points) {
  std::vector<size_t> order;
  for (size_t i = 0; i < points.size(); ++i)
    if (finite(points[i])) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return points[a].reward > points[b].reward; });
  // From the largest reward down: in the set is what is most diverse at its reward and more diverse than all before.
  std::vector<size_t> kept;
  double best = -std::numeric_limits<double>::infinity();
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    double here = -std::numeric_limits<double>::infinity();
    for (; end < order.size() && points[order[end]].reward == points[order[begin]].reward; ++end)
      here = std::max(here, points[order[end]].diversity);
    for (size_t k = end; k-- > begin;)  // backwards: the whole is turned round below
      if (here > best && points[order[k]].diversity == here) kept.push_back(order[k]);
    best = std::max(best, here);
    begin = end;
  }
  std::reverse(kept.begin(), kept.end());
  return kept;
}

double hypervolume(const std::vector<PlanePoint>& points) {
  std::vector<PlanePoint> boxes;
  for (const PlanePoint& p : points)
    if (finite(p) && p.reward > 0) boxes.push_back(p);
  std::sort(boxes.begin(), boxes.end(), [](const PlanePoint& a, const PlanePoint& b) { return a.reward > b.reward; });
  double area = 0, height = 0;  // from 0: what lies below adds nothing
  for (const PlanePoint& box : boxes) {  // each adds the strip above the boxes that reach further
    if (box.diversity <= height) continue;
    area += box.reward * (box.diversity - height);
    height = box.diversity;
  }
  return area;
}

double diversity_at(const std::vector<PlanePoint>& points, double reward) {
  const std::vector<size_t> front = pareto_set(points);
  if (front.empty() || !(reward <= points[front.back()].reward)) return kNone;
  size_t above = 0;  // the first member at or beyond the reward
  while (points[front[above]].reward < reward) ++above;
  const PlanePoint& right = points[front[above]];
  if (above == 0) return right.diversity;
  const PlanePoint& left = points[front[above - 1]];
  return left.diversity + (reward - left.reward) / (right.reward - left.reward) * (right.diversity - left.diversity);
}

Estimate estimate(const std::vector<double>& values) {
  std::vector<double> finite_values;
  for (const double v : values)
    if (std::isfinite(v)) finite_values.push_back(v);
  const size_t n = finite_values.size();
  const Mean m = mean_of(finite_values);
  return {m.value, n < 2 ? kNone : m.standard_error * t95(n), n};
}

Estimate estimate(const BySeed& values) {
  std::vector<double> all;
  for (const auto& [seed, value] : values) all.push_back(value);
  return estimate(all);
}

Estimate paired_difference(const BySeed& a, const BySeed& b) {
  std::vector<double> differences;
  for (const auto& [seed, value] : a)
    if (const auto other = b.find(seed); other != b.end()) differences.push_back(value - other->second);
  return estimate(differences);
}

Claim judge(const std::vector<Estimate>& differences) {
  bool all = !differences.empty();
  for (const Estimate& d : differences) {
    if (d.high() < 0) return Claim::kFails;
    all &= d.low() >= 0;  // false for NaN
  }
  return all ? Claim::kHolds : Claim::kUnknown;
}

}  // namespace plumb::report
