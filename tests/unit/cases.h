// Numeric cases with their source: tests/numeric/*.json.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdlib>
#include <fstream>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

namespace plumb::test {

/// The entry of "cases" in tests/numeric/FILE whose "id" is this: {"inputs", "expected", ...}.
inline nlohmann::json numeric_case(const std::string& file_name, const std::string& id) {
  const char* root = std::getenv("PLUMB_SOURCE_DIR");
  std::ifstream file(std::string(root ? root : ".") + "/tests/numeric/" + file_name);
  REQUIRE_MESSAGE(file.good(), "run from the repository's root or set PLUMB_SOURCE_DIR");
  const nlohmann::json all = nlohmann::json::parse(file);
  for (const auto& entry : all.at("cases")) {
    if (entry.at("id") == id) return entry;
  }
  FAIL("no case " << id);
  return {};
}

}  // namespace plumb::test
