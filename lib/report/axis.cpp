// SPDX-License-Identifier: Apache-2.0
#include "report/axis.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "report/number.h"

namespace plumb::report {
namespace {

/// Decimals needed to write multiples of `step` exactly.
int decimals_of(double step) {
  for (int decimals = 0; decimals < 12; ++decimals) {
    const double shifted = step * std::pow(10.0, decimals);
    if (std::fabs(shifted - std::round(shifted)) < 1e-6 * shifted) return decimals;
  }
  return 12;
}

std::string power_label(double value) {
  if (value >= 0.0099 && value < 9999) return readable(value, 1);
  if (value >= 9999 && value < 9.99e6)
    return value < 9.99e5 ? readable(value / 1e3, 3) + "k" : readable(value / 1e6, 3) + "M";
  const std::string text = scientific(value, 1), one = "1×";
  return text.rfind(one, 0) == 0 ? text.substr(one.size()) : text;
}

std::vector<Tick> log_ticks(const Scale& scale, int most) {
  const int first = static_cast<int>(std::floor(std::log10(scale.lo) + 1e-9));
  const int last = static_cast<int>(std::ceil(std::log10(scale.hi) - 1e-9));
  const int decades = std::max(1, last - first);
  const int every = (decades + most) / (most + 1);
  std::vector<Tick> ticks;
  for (int exponent = first; exponent <= last; ++exponent) {
    for (int mantissa = 1; mantissa < 10; ++mantissa) {
      const double value = mantissa * std::pow(10.0, exponent);
      if (value < scale.lo * (1 - 1e-9) || value > scale.hi * (1 + 1e-9)) continue;
      const bool power = mantissa == 1 && (exponent - first) % every == 0;
      const bool between = (mantissa == 2 || mantissa == 5) && decades * 3 <= most + 3;
      if (power || between)
        ticks.push_back({value, power_label(value)});
      else if (decades <= 6)
        ticks.push_back({value, ""});
    }
  }
  return ticks;
}

std::vector<Tick> linear_ticks(const Scale& scale, int most, bool whole) {
  const double step = nice_step(scale.lo, scale.hi, most, whole);
  const double largest = std::max(std::fabs(scale.lo), std::fabs(scale.hi));
  const char* suffix = "";
  double unit = 1;
  if (largest >= 1e6 && largest < 1e10)
    unit = 1e6, suffix = "M";
  else if (largest >= 1e4 && largest < 1e6)
    unit = 1e3, suffix = "k";
  const bool powers = largest < 5e-3 || largest >= 1e10;
  const int decimals = decimals_of(step / unit);
  std::vector<Tick> ticks;
  const double first = std::ceil(scale.lo / step - 1e-9);
  for (int i = 0; i <= most + 2; ++i) {
    const double value = (first + i) * step;
    if (value > scale.hi + 1e-9 * step) break;
    std::string label = "0";
    if (std::fabs(value) > 1e-9 * step)
      label = powers ? scientific(value, 3) : fixed_text(value / unit, decimals) + suffix;
    else if (decimals > 0 && !powers && unit == 1)
      label = fixed_text(0, decimals);
    ticks.push_back({std::fabs(value) > 1e-9 * step ? value : 0, label});
  }
  return ticks;
}

}  // namespace

double Scale::position(double value) const {
  if (log)
    return value > 0 ? (std::log(value) - std::log(lo)) / (std::log(hi) - std::log(lo))
                     : std::numeric_limits<double>::quiet_NaN();
  return (value - lo) / (hi - lo);
}

double nice_step(double lo, double hi, int most, bool whole) {
  const double raw = (hi - lo) / std::max(1, most);
  if (!(raw > 0) || !std::isfinite(raw)) return 1;
  const double base = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * base;
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (whole && factor == 2.5 && base < 10) continue;
    if (factor * base >= raw * (1 - 1e-9)) {
      step = factor * base;
      break;
    }
  }
  return whole ? std::max(1.0, step) : step;
}

std::vector<Tick> nice_ticks(const Scale& scale, int most, bool whole) {
  if (scale.log) return log_ticks(scale, most);
  std::vector<Tick> ticks = linear_ticks(scale, most, whole);
  for (int more = most + 1; ticks.size() < 2 && more < most + 6; ++more) ticks = linear_ticks(scale, more, whole);
  return ticks;
}

Scale fit_scale(const std::vector<double>& values, bool log, bool from_zero, double pad) {
  double lo = std::numeric_limits<double>::infinity(), hi = -lo;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    lo = std::min(lo, value);
    hi = std::max(hi, value);
  }
  if (lo > hi) return {0, 1, false};
  if (log && lo > 0) {
    const double margin = hi > lo ? std::pow(hi / lo, pad) : 2;
    return {lo / margin, hi * margin, true};
  }
  if (from_zero && lo > 0) lo = 0;
  if (from_zero && hi < 0) hi = 0;
  if (hi - lo <= 1e-12 * std::max(std::fabs(lo), std::fabs(hi))) {
    const double around = lo == 0 ? 1 : std::fabs(lo) * 0.1;
    return from_zero && lo == 0 ? Scale{0, 1, false} : Scale{lo - around, hi + around, false};
  }
  const double margin = pad * (hi - lo);
  return {from_zero && lo == 0 ? 0 : lo - margin, from_zero && hi == 0 ? 0 : hi + margin, false};
}

}  // namespace plumb::report
