// Arrays of numbers by name, from NPZ archives or from tables.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace plumb::io {

struct NamedArray {
  std::vector<int64_t> shape;
  std::vector<double> values;   // row-major
};

/// The array of this name in an NPZ archive, or in a table: comma-separated lines of numbers under a line of column names, where the
/// column NAME is a vector [lines], and the columns NAME1, NAME2, ..., NAMEk are a matrix [lines,k]; both kinds may stand in one table.
/// Throws Error(kBadInput) for a file without it, a line of another number of fields, or a field that is not a finite number.
NamedArray read_named_array(const std::string& file, const std::string& name);

}  // namespace plumb::io
