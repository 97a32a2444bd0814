// Small string helpers.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

namespace plumb {

/// Concatenates anything with operator<<, locale-independent. Doubles print with 9 significant digits.
template <typename... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out.precision(9);
  (out << ... << parts);
  return out.str();
}

/// "0007" from (7, 4).
std::string zero_padded(int64_t number, size_t width);

/// "[2,3,28]" from {2,3,28}.
std::string shape_text(const std::vector<int64_t>& shape);

std::vector<std::string> split(const std::string& text, char separator);
std::string join(const std::vector<std::string>& parts, const std::string& separator);
std::string trim(const std::string& text);

/// The candidate nearest to `word` by edit distance, or "" if none is near (more than a third of its letters differ).
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

/// Strict parsing: the whole text must be one finite number. Throws Error(kUsage, subject, ...) otherwise.
double parse_double(const std::string& text, const std::string& subject);
int64_t parse_int(const std::string& text, const std::string& subject);

}  // namespace plumb
