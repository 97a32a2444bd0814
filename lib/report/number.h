// Numbers as people read them, in pages and pictures. Files for machines (TSV) use exact().
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

namespace plumb::report {

/// UTF-8 text with at most `digits` significant digits: "0.1234", "12.3", "3000", "1.2×10⁻⁵". A real minus sign; thin
/// spaces between thousands from 10 000. padded: keeps zeros at the end, so that columns line up. Not finite: an en
/// dash.
std::string readable(double value, int digits = 4, bool padded = false);

/// "2.5×10⁻⁴", whatever the size.
std::string scientific(double value, int digits = 3);

/// "12.34 ± 0.05": the error with two significant digits, the value to the same place. Error <= 0 or not finite: value
/// alone.
std::string readable_with_error(double value, double standard_error);

/// The shortest decimal text that reads back as the same double; "nan", "inf", "-inf" as R, pandas and gnuplot read
/// them.
std::string exact(double value);

/// "3 s", "4 min 10 s", "2 h 5 min".
std::string readable_seconds(double seconds);

/// The first 12 hexadecimal digits of a digest.
std::string short_digest(const std::string& sha256);

/// value with a fixed number of decimals and a real minus sign; "-0.0" becomes "0.0".
std::string fixed_text(double value, int decimals);

}  // namespace plumb::report
