// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"

#include <cmath>

namespace plumb {
namespace {

/// Joins the non-empty parts with ": " and keeps the result on one line.
std::string one_line(const std::string& subject, const std::string& what, const std::string& hint) {
  std::string line;
  for (const std::string* part : {&subject, &what, &hint}) {
    if (part->empty()) continue;
    if (!line.empty()) line += ": ";
    line += *part;
  }
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return line;
}

}  // namespace

Error::Error(Exit exit, const std::string& subject, const std::string& what, const std::string& hint)
    : std::runtime_error(one_line(subject, what, hint)), exit_(exit) {}

double check_finite(double value, const std::string& what) {
  if (!std::isfinite(value)) throw Error(Exit::kBadNumbers, what, "is not finite", "look for NaN or infinity in the input");
  return value;
}

}  // namespace plumb
