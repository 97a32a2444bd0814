// SPDX-License-Identifier: Apache-2.0
#include "io/named_array.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "io/atomic_file.h"
#include "io/npy.h"
#include "io/zip.h"

namespace plumb::io {
namespace {

constexpr size_t kNone = SIZE_MAX;

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields = split(line, ',');
  for (std::string& field : fields) field = trim(field);
  return fields;
}

/// Where the array's columns stand: one for a vector, several for a matrix.
std::vector<size_t> columns_of(const std::vector<std::string>& heading, const std::string& name, bool& is_matrix) {
  const auto place = [&](const std::string& column) {
    const auto found = std::find(heading.begin(), heading.end(), column);
    return found == heading.end() ? kNone : static_cast<size_t>(found - heading.begin());
  };
  is_matrix = place(name) == kNone;
  std::vector<size_t> columns;
  if (!is_matrix) columns.push_back(place(name));
  for (size_t k = 1; is_matrix && place(name + std::to_string(k)) != kNone; ++k) columns.push_back(place(name + std::to_string(k)));
  return columns;
}

double number_of(const std::string& text, const std::string& file, int64_t line) {
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    throw Error(Exit::kBadInput, file, cat("line ", line, ": '", text.substr(0, 30), "' is not a finite number"));
  }
  return value;
}

}  // namespace

NamedArray read_named_array(const std::string& file, const std::string& name) {
  NamedArray array;
  if (is_zip(file)) {
    const NpyArray found = read_npz(file, name);
    array.values = found.as_f64();
    array.shape = found.header.shape;
    if (!std::all_of(array.values.begin(), array.values.end(), [](double x) { return std::isfinite(x); })) {
      throw Error(Exit::kBadInput, file, "array '" + name + "' holds values that are not finite");
    }
    return array;
  }
  const std::vector<std::string> lines = split(read_file(file), '\n');
  const std::vector<std::string> heading = fields_of(lines.front());
  bool is_matrix = false;
  const std::vector<size_t> columns = columns_of(heading, name, is_matrix);
  if (columns.empty()) {
    throw Error(Exit::kBadInput, file, "has no array '" + name + "', nor the columns " + name + " or " + name + "1, " + name + "2, ...",
                "an NPZ archive, or comma-separated numbers under column names");
  }
  int64_t rows = 0;
  for (size_t i = 1; i < lines.size(); ++i) {
    if (trim(lines[i]).empty()) continue;
    const std::vector<std::string> fields = fields_of(lines[i]);
    const auto line = static_cast<int64_t>(i + 1);
    if (fields.size() != heading.size()) {
      throw Error(Exit::kBadInput, file, cat("line ", line, " has ", fields.size(), " fields, the first ", heading.size()));
    }
    for (const size_t column : columns) array.values.push_back(number_of(fields[column], file, line));
    ++rows;
  }
  array.shape = {rows};
  if (is_matrix) array.shape.push_back(static_cast<int64_t>(columns.size()));
  return array;
}

}  // namespace plumb::io
