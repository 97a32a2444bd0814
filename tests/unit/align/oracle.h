// The DDPO cases of tests/numeric/policy-gradient.json.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <doctest/doctest.h>

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "unit/cases.h"

namespace plumb::align {

/// One case by id: {"inputs", "expected"}.
inline nlohmann::json oracle(const std::string& id) { return test::numeric_case("policy-gradient.json", id); }

inline at::Tensor vector_of(const nlohmann::json& values) {
  return at::tensor(values.get<std::vector<double>>(), at::kDouble);
}

inline at::Tensor matrix_of(const nlohmann::json& rows) {
  std::vector<at::Tensor> all;
  for (const auto& row : rows)
    all.push_back(vector_of(row));
  return at::stack(all);
}

inline double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

}  // namespace plumb::align
