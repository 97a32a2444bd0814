// Numbers for people and for programs.   SPDX-License-Identifier: Apache-2.0
#include "report/number.h"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

using namespace plumb::report;

TEST_SUITE("number") {
  TEST_CASE("readable: significant digits, thousands, powers, a real minus") {
    CHECK(readable(0.123456) == "0.1235");
    CHECK(readable(38.2) == "38.2");
    CHECK(readable(38.2, 4, true) == "38.20");
    CHECK(readable(-2) == "−2");
    CHECK(readable(9999) == "9999");
    CHECK(readable(1234567) == "1\u202f234\u202f567");
    CHECK(readable(1.2e-5) == "1.2×10⁻⁵");
    CHECK(readable(-3e12) == "−3×10¹²");
    CHECK(scientific(9.9999e-5, 2) == "1×10⁻⁴");  // rounds up into the next power
    CHECK(fixed_text(-0.04, 1) == "0.0");
    CHECK(readable(std::nan("")) == "–");
  }

  TEST_CASE("the error has two digits and sets the value's place") {
    CHECK(readable_with_error(12.3456, 0.0478) == "12.346 ± 0.048");
    CHECK(readable_with_error(1234.5, 67.8) == "1234 ± 68");
    CHECK(readable_with_error(-0.41, 0.0043) == "−0.4100 ± 0.0043");
    CHECK(readable_with_error(2.5, 0) == "2.5");
    CHECK(readable_with_error(2.5, std::nan("")) == "2.5");
  }

  TEST_CASE("exact text reads back as the same number") {
    for (const double value : {0.1, 1.0 / 3, -2.5e-300, 1e22, 123456789.0}) CHECK(std::stod(exact(value)) == value);
    CHECK(exact(std::nan("")) == "nan");
    CHECK(exact(-std::numeric_limits<double>::infinity()) == "-inf");
  }
}
