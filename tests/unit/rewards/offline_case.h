// The cases of tests/numeric/offline-design.json.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "helpers.h"

namespace plumb::rewards::test {

/// The case of this name (source of the formulas: each case's own "formula").
inline io::Json offline_case(const std::string& name) {
  const io::Json file = reference("offline-design.json");
  for (const io::Json& one : file.at("cases")) {
    if (one.at("name") == name) return one;
  }
  FAIL("no case " << name);
  return {};
}

/// A JSON number, list or list of lists as a float64 tensor.
inline at::Tensor tensor_of(const io::Json& json) {
  if (!json.is_array()) return at::scalar_tensor(json.get<double>(), at::kDouble);
  std::vector<at::Tensor> rows;
  for (const io::Json& row : json) rows.push_back(tensor_of(row));
  return at::stack(rows);
}

inline double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  REQUIRE(a.sizes() == b.sizes());
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

/// [n,d] float64 standard normal.
inline at::Tensor normal_values(int64_t n, int64_t d, uint64_t seed) {
  at::Tensor values = at::empty({n, d}, at::kFloat);
  Philox(seed, Stream::kSubset).fill_normal(values.mutable_data_ptr<float>(), values.numel());
  return values.to(at::kDouble);
}

}  // namespace plumb::rewards::test
