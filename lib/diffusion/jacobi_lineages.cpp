// Jacobi diffusion from an end as a mixture over lineages.   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "diffusion/jacobi.h"

namespace plumb::diffusion {
namespace {

constexpr double kHalfPi = 1.5707963267948966;
constexpr double kNothing = 1e-290;   // shares below are 0: no sum can tell, and denormal numbers are slow

/// The law of lineages at a small time tau: normal. Source: Griffiths 1984, "Asymptotic line-of-descent distributions", theorem 4.
std::vector<double> normal_law(double theta, double tau) {
  const double x = (theta - 1) * tau / 2, eta = x / std::expm1(x);
  const double mean = 2 * eta / tau;
  const double variance = x < 1e-3 ? mean / 3 : mean * (eta + x) * (eta + x) * (1 + eta / (eta + x) - 2 * eta) / (x * x);
  std::vector<double> law(static_cast<size_t>(mean + 8 * std::sqrt(variance)) + 2);
  double sum = 0;
  for (size_t l = 0; l < law.size(); ++l) {
    const double z = static_cast<double>(l) - mean;
    sum += law[l] = std::exp(-z * z / (2 * variance));
  }
  for (double& share : law) share = share / sum < kNothing ? 0 : share / sum;
  return law;
}

/// Lets the lineages die for a time: from l to l - 1 at rate l (l + theta - 1) / 2. By uniformisation: jumps of a Poisson process at the
/// largest rate, which either kill or do nothing, so that no term is negative.
void evolve(std::vector<double>& law, double theta, double time) {
  while (time > 0) {
    while (law.size() > 1 && law.back() < 1e-30) law.pop_back();
    const auto rate = [&](size_t l) { return static_cast<double>(l) * (static_cast<double>(l) + theta - 1) / 2; };
    const double largest = rate(law.size() - 1);
    if (largest == 0) return;
    const double step = std::min(time, 100 / largest), jumps = largest * step;
    std::vector<double> now = law, sum(law.size(), 0.0);
    double weight = std::exp(-jumps);
    const int64_t most = static_cast<int64_t>(jumps + 10 * std::sqrt(jumps) + 30);
    for (int64_t k = 0; k <= most; ++k) {
      for (size_t l = 0; l < now.size(); ++l) {
        sum[l] += weight * now[l];
        const double coming = l + 1 < now.size() ? now[l + 1] * (rate(l + 1) / largest) : 0;
        const double share = now[l] * (1 - rate(l) / largest) + coming;
        now[l] = share < kNothing ? 0 : share;
      }
      weight *= jumps / static_cast<double>(k + 1);
    }
    law = std::move(sum);
    time -= step;
  }
}

}  // namespace

LineageLaw::LineageLaw(int64_t b, const std::vector<double>& times) : b_(b) {
  if (b < 1 || times.empty() || !(times.front() > 0) || !std::is_sorted(times.begin(), times.end())) {
    throw Error(Exit::kUsage, "LineageLaw", "needs b >= 1 and ascending times above 0");
  }
  const double theta = 1 + static_cast<double>(b), s = 2 / theta;
  double tau = std::min(s * times.front() / 4, 0.004);
  std::vector<double> law = normal_law(theta, tau);
  for (const double t : times) {
    evolve(law, theta, s * t - tau);
    tau = s * t;
    laws_.push_back(law);
    std::vector<double>& sums = cumulative_.emplace_back();
    double sum = 0;
    for (const double share : law) sums.push_back(sum += share);
  }
}

int64_t LineageLaw::draw(size_t time, double u) const {
  const std::vector<double>& sums = cumulative_.at(time);
  const auto found = std::upper_bound(sums.begin(), sums.end(), u * sums.back());
  return std::min<int64_t>(found - sums.begin(), static_cast<int64_t>(sums.size()) - 1);
}

double LineageLaw::node(int64_t i) {
  const double sine = std::sin(kHalfPi * static_cast<double>(i) / static_cast<double>(kNodes - 1));
  return sine * sine;
}

LineageLaw::Nodes LineageLaw::at_nodes(size_t time, int end) const {
  // ratio = sum_l d_l c_l x^l with x = v, c_l = B(1,b) / B(1 + l, b) from 1, and x = 1 - v, c_l = B(1,b) / B(1, b + l) from 0. The terms rise to
  // one peak, which moves up with x; they are taken outwards from there, by their quotients, until they no longer count.
  const std::vector<double>& law = laws_.at(time);
  const double b = static_cast<double>(b_);
  const auto log_c = [&](int64_t l) {
    const double n = static_cast<double>(l);
    return end == 1 ? std::lgamma(1 + n + b) - std::lgamma(1 + n) - std::lgamma(1 + b) : std::log1p(n / b);
  };
  int64_t first = 0, last = static_cast<int64_t>(law.size()) - 1;
  while (law[static_cast<size_t>(first)] == 0) ++first;
  while (law[static_cast<size_t>(last)] == 0) --last;
  std::vector<double> log_term, up;   // log d_l c_l, and d_{l+1} c_{l+1} / (d_l c_l), from `first` on
  for (int64_t l = first; l <= last; ++l) log_term.push_back(std::log(law[static_cast<size_t>(l)]) + log_c(l));
  for (size_t i = 0; i + 1 < log_term.size(); ++i) up.push_back(std::exp(log_term[i + 1] - log_term[i]));
  Nodes nodes{std::vector<double>(kNodes), std::vector<double>(kNodes)};
  const int64_t count = last - first + 1;
  int64_t peak = 0;
  for (int64_t k = 0; k < kNodes; ++k) {
    const int64_t i = end == 1 ? k : kNodes - 1 - k;   // so that x = node(k) rises
    const double x = std::max(node(k), 1e-12);
    while (peak + 1 < count && x * up[static_cast<size_t>(peak)] > 1) ++peak;
    double sum = 1, moment = 0;
    double term = 1;
    for (int64_t l = peak + 1; l < count && term > 1e-17; ++l) {
      sum += term *= x * up[static_cast<size_t>(l - 1)];
      moment += term * static_cast<double>(l - peak);
    }
    term = 1;
    for (int64_t l = peak - 1; l >= 0 && term > 1e-17; --l) {
      sum += term /= x * up[static_cast<size_t>(l)];
      moment -= term * static_cast<double>(peak - l);
    }
    nodes.log_ratio[static_cast<size_t>(i)] = log_term[static_cast<size_t>(peak)] + static_cast<double>(first + peak) * std::log(x) + std::log(sum);
    nodes.lineages[static_cast<size_t>(i)] = static_cast<double>(first + peak) + moment / sum;
  }
  return nodes;
}

LineageTable::LineageTable(const std::vector<LineageLaw>& coordinates, size_t time) {
  std::vector<double> values;
  for (const int end : {0, 1}) {
    for (const LineageLaw& law : coordinates) {
      const LineageLaw::Nodes nodes = law.at_nodes(time, end);
      values.insert(values.end(), nodes.lineages.begin(), nodes.lineages.end());
    }
  }
  lineages_ = at::tensor(values, at::kDouble).reshape({2, static_cast<int64_t>(coordinates.size()), LineageLaw::kNodes});
}

Tensor LineageTable::slope(const Tensor& v, int end) const {
  const Tensor inside = v.clamp(kStickMargin, 1 - kStickMargin);
  const Tensor position = inside.sqrt().asin() * (static_cast<double>(LineageLaw::kNodes - 1) / kHalfPi);
  const Tensor left = position.detach().floor().clamp(0, static_cast<double>(LineageLaw::kNodes - 2)).to(at::kLong);
  const Tensor index = left + at::arange(v.size(1), left.options()).reshape({1, -1, 1}) * LineageLaw::kNodes;
  const Tensor table = lineages_.select(0, end).flatten().to(v.options());
  const Tensor low = table.take(index), high = table.take(index + 1);
  const Tensor lineages = low + (position - left) * (high - low);
  return end == 1 ? lineages / inside : -lineages / (1 - inside);
}

Tensor LineageTable::letters(const Tensor& score_x, const Tensor& v) const {
  const Tensor gradient = stick_gradient(score_x, v), from_one = slope(v, 1), from_zero = slope(v, 0);
  std::vector<Tensor> shares;
  Tensor rest = at::ones_like(v.select(1, 0));
  for (int64_t i = 0; i < v.size(1); ++i) {
    const Tensor g1 = from_one.select(1, i), g0 = from_zero.select(1, i);
    const Tensor next = ((rest * g1 - gradient.select(1, i)) / (g1 - g0)).clamp_min(0).minimum(rest);
    shares.push_back(rest - next);
    rest = next;
  }
  shares.push_back(rest);
  return at::stack(shares, 1);
}

}  // namespace plumb::diffusion
