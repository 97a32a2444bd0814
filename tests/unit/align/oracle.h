// The DDPO cases of tests/numeric/policy-gradient.json.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <doctest/doctest.h>

#include <ATen/ATen.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace plumb::align {

/// One case by id: {"inputs", "expected"}.
inline nlohmann::json oracle(const std::string& id) {
  const char* root = std::getenv("PLUMB_SOURCE_DIR");
  std::ifstream file(std::string(root ? root : ".") + "/tests/numeric/policy-gradient.json");
  REQUIRE_MESSAGE(file.good(), "run from the repository's root or set PLUMB_SOURCE_DIR");
  const nlohmann::json all = nlohmann::json::parse(file);
  for (const auto& entry : all.at("cases"))
    if (entry.at("id") == id)
      return entry;
  FAIL("no case " << id);
  return {};
}

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
