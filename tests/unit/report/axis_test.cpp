// Ticks and scales.   SPDX-License-Identifier: Apache-2.0
#include "report/axis.h"

#include <cmath>

#include <doctest/doctest.h>

using namespace plumb::report;

namespace {
std::string labels(const Scale& scale, int most, bool whole = false) {
  std::string text;
  for (const Tick& tick : nice_ticks(scale, most, whole)) text += tick.label + " ";
  return text;
}
}  // namespace

TEST_SUITE("axis") {
  TEST_CASE("steps are 1, 2, 2.5 or 5 times a power of ten") {
    CHECK(nice_step(0, 10, 5) == doctest::Approx(2));
    CHECK(nice_step(0, 1, 4) == doctest::Approx(0.25));
    CHECK(nice_step(0, 0.0007, 3) == doctest::Approx(0.00025));
    CHECK(nice_step(0, 9, 4, true) == doctest::Approx(5));  // not 2.5 updates
    CHECK(nice_step(0, 2, 10, true) == 1);
    CHECK(nice_step(3, 3, 5) == 1);
  }

  TEST_CASE("labels share their decimals, and say k and M for thousands and millions") {
    CHECK(labels({0, 1, false}, 4) == "0.00 0.25 0.50 0.75 1.00 ");
    CHECK(labels({-2.2, 2.2, false}, 4) == "−2 0 2 ");
    CHECK(labels({0, 20000, false}, 4) == "0 5k 10k 15k 20k ");
    CHECK(labels({0, 3.2e6, false}, 4) == "0 1M 2M 3M ");
    CHECK(labels({0, 7e-4, false}, 3) == "0 2.5×10⁻⁴ 5×10⁻⁴ ");
  }

  TEST_CASE("logarithmic ticks: decades, with 2 and 5 when there is room; minor ticks carry no words") {
    const auto ticks = nice_ticks({0.01, 100, true}, 4);
    std::string text;
    size_t minor = 0;
    for (const Tick& tick : ticks) {
      if (tick.label.empty())
        ++minor;
      else
        text += tick.label + " ";
    }
    CHECK(text == "0.01 0.1 1 10 100 ");
    CHECK(minor == 4 * 8);
    CHECK(labels({1, 9, true}, 6).find("2 ") != std::string::npos);
    CHECK(labels({1e-6, 1e-5, true}, 1).find("10⁻⁶") != std::string::npos);
  }

  TEST_CASE("there are at least two labels however the range lies") {
    for (double lo = -3; lo < 3; lo += 0.37) {
      for (double range = 0.011; range < 1e5; range *= 2.3) CHECK(nice_ticks({lo, lo + range, false}, 3).size() >= 2);
    }
  }

  TEST_CASE("scales of nothing, of one value, of values that have no logarithm") {
    CHECK(fit_scale({}).hi == 1);
    CHECK(fit_scale({std::nan(""), INFINITY}).hi == 1);
    const Scale one = fit_scale({5, 5});
    CHECK(one.lo < 5);
    CHECK(one.hi > 5);
    CHECK(fit_scale({0, 0}, false, true).lo == 0);
    CHECK_FALSE(fit_scale({0, 10}, true).log);
    CHECK(fit_scale({1, 100}, true).log);
    CHECK(fit_scale({2, 3}, false, true).lo == 0);
    CHECK(fit_scale({1, 2}, false, false, 0).position(1.5) == doctest::Approx(0.5));
    CHECK(Scale{1, 100, true}.position(10) == doctest::Approx(0.5));
    CHECK_FALSE(std::isfinite(Scale{1, 100, true}.position(0)));
  }
}
