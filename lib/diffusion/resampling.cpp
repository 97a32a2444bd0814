// SPDX-License-Identifier: Apache-2.0
#include "diffusion/resampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/text.h"

namespace plumb::diffusion {
namespace {

/// The particle whose stretch of the cumulated weights holds p, going on from `at`, where `below` is the sum of the weights before it.
int64_t search(const std::vector<double>& weights, double p, int64_t& at, double& below) {
  const auto last = static_cast<int64_t>(weights.size()) - 1;
  while (at < last && p >= below + weights[static_cast<size_t>(at)]) below += weights[static_cast<size_t>(at++)];
  // Where rounding leaves p above the sum, the last particle that has any weight.
  int64_t found = at;
  while (found > 0 && weights[static_cast<size_t>(found)] == 0.0) --found;
  return found;
}

std::vector<int64_t> inverse_cdf(const std::vector<double>& weights, std::vector<double> points) {
  std::sort(points.begin(), points.end());
  std::vector<int64_t> ancestors;
  int64_t at = 0;
  double below = 0;
  for (const double p : points) ancestors.push_back(search(weights, p, at, below));
  return ancestors;
}

std::vector<int64_t> repeated(const std::vector<int64_t>& children) {
  std::vector<int64_t> ancestors;
  for (size_t j = 0; j < children.size(); ++j) ancestors.insert(ancestors.end(), static_cast<size_t>(children[j]), static_cast<int64_t>(j));
  return ancestors;
}

std::vector<double> draws(Philox& random, int64_t count) {
  std::vector<double> u(static_cast<size_t>(count));
  for (double& one : u) one = random.uniform();
  return u;
}

}  // namespace

double log_sum_exp(const std::vector<double>& log_w) {
  const double most = *std::max_element(log_w.begin(), log_w.end());
  double sum = 0;
  for (const double w : log_w) sum += std::exp(w - most);
  return most + std::log(sum);
}

std::vector<double> normalised_weights(const std::vector<double>& log_w) {
  const double total = log_sum_exp(log_w);
  if (!std::isfinite(total)) throw Error(Exit::kBadNumbers, "--steer", "the weights of a sample's particles are not finite", "a larger --alpha");
  std::vector<double> weights;
  for (const double w : log_w) weights.push_back(std::exp(w - total));
  return weights;
}

double effective_sample_size(const std::vector<double>& weights) {
  double squares = 0;
  for (const double w : weights) squares += w * w;
  return 1.0 / squares;
}

std::vector<int64_t> systematic(const std::vector<double>& weights, int64_t count, double u) {
  return stratified(weights, std::vector<double>(static_cast<size_t>(count), u));
}

std::vector<int64_t> stratified(const std::vector<double>& weights, const std::vector<double>& u) {
  std::vector<double> points;
  for (size_t i = 0; i < u.size(); ++i) points.push_back((u[i] + static_cast<double>(i)) / static_cast<double>(u.size()));
  return inverse_cdf(weights, points);
}

std::vector<int64_t> multinomial(const std::vector<double>& weights, const std::vector<double>& u) { return inverse_cdf(weights, u); }

std::vector<int64_t> residual(const std::vector<double>& weights, const std::vector<double>& u) {
  const double count = static_cast<double>(u.size());
  std::vector<int64_t> children;
  std::vector<double> left;
  int64_t given = 0;
  for (const double w : weights) {
    children.push_back(static_cast<int64_t>(std::floor(count * w)));
    left.push_back(count * w - std::floor(count * w));
    given += children.back();
  }
  const double total = std::accumulate(left.begin(), left.end(), 0.0);
  for (double& w : left) w /= total;
  const auto missing = static_cast<int64_t>(u.size()) - given;
  for (const int64_t j : multinomial(left, {u.begin(), u.begin() + missing})) ++children[static_cast<size_t>(j)];
  return repeated(children);
}

std::vector<int64_t> ssp(const std::vector<double>& weights, int64_t count, const std::vector<double>& u) {
  std::vector<int64_t> children;
  std::vector<double> xi;  // fractional parts: each move brings one of them to 0 or 1
  for (const double w : weights) {
    const double expected = static_cast<double>(count) * w;
    children.push_back(static_cast<int64_t>(std::floor(expected)));
    xi.push_back(expected - std::floor(expected));
  }
  size_t i = 0, j = 1;
  for (size_t k = 0; k + 1 < weights.size(); ++k) {
    double up = std::min(xi[j], 1.0 - xi[i]);          // raise i, lower j by this much
    const double down = std::min(xi[i], 1.0 - xi[j]);  // or the other way round
    if (up + down > 0 && u[k] < up / (up + down)) {    // the chances that keep both expectations
      std::swap(i, j);
      up = down;
    }
    if (xi[j] < 1.0 - xi[i]) {
      xi[i] += up;
      xi[j] = 0.0;
      j = k + 2;
    } else {
      xi[j] -= up;
      xi[i] = 0.0;
      ++children[i];
      i = k + 2;
    }
  }
  // One part is left over, 0 or 1 but for rounding.
  const int64_t missing = count - std::accumulate(children.begin(), children.end(), int64_t{0});
  if (missing == 1) ++children[static_cast<size_t>(std::max_element(xi.begin(), xi.end()) - xi.begin())];
  else if (missing != 0) throw Error(Exit::kBadNumbers, "--steer-resample", cat("weights that do not sum to 1: ", missing, " particles are missing"));
  return repeated(children);
}

std::vector<int64_t> resample(const std::string& scheme, const std::vector<double>& weights, int64_t count, Philox& random) {
  if (scheme == "multinomial") return multinomial(weights, draws(random, count));
  if (scheme == "residual") return residual(weights, draws(random, count));
  if (scheme == "ssp") return ssp(weights, count, draws(random, static_cast<int64_t>(weights.size()) - 1));
  if (scheme == "stratified") return stratified(weights, draws(random, count));
  if (scheme == "systematic") return systematic(weights, count, random.uniform());
  throw Error(Exit::kUsage, "--steer-resample", "unknown value '" + scheme + "'");
}

double tempering(double gamma, int64_t i) { return std::min(std::expm1(static_cast<double>(i) * std::log1p(gamma)), 1.0); }

double default_tempering_gamma(int64_t steps) { return std::expm1(std::log(2.0) / (0.87 * static_cast<double>(steps))); }

double adaptive_tempering(const std::vector<double>& log_w, const std::vector<double>& value, double previous, double target) {
  const auto size_at = [&](double lambda) {
    std::vector<double> tilted(log_w);
    for (size_t j = 0; j < tilted.size(); ++j) tilted[j] += (lambda - previous) * value[j];
    return effective_sample_size(normalised_weights(tilted));
  };
  target *= 1 - 1e-12;  // equal weights have N but for rounding
  if (size_at(1.0) >= target) return 1.0;
  if (size_at(previous) < target) return previous;
  double low = previous, high = 1.0;  // enough particles at low, too few at high
  for (int k = 0; k < 60; ++k) {
    const double middle = 0.5 * (low + high);
    (size_at(middle) >= target ? low : high) = middle;
  }
  return low;
}

}  // namespace plumb::diffusion
