// SPDX-License-Identifier: Apache-2.0
#include "io/class_names.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"

namespace plumb::io {

std::vector<std::string> class_names(const Manifest& manifest) {
  std::vector<std::string> names;
  const auto classes = manifest.json().find("classes");
  if (classes == manifest.json().end() || !classes->is_array()) return names;
  for (const Json& name : *classes) names.push_back(name.is_string() ? name.get<std::string>() : name.dump());
  return names;
}

void check_same_classes(const std::vector<std::string>& names, const std::string& subject, const std::vector<std::string>& expected,
                        const std::string& whose) {
  for (size_t k = 0; k < std::min(names.size(), expected.size()); ++k) {
    const std::string number = std::to_string(k);
    if (names[k] == expected[k] || names[k] == number || expected[k] == number) continue;
    throw Error(Exit::kBadInput, subject, cat("calls class ", k, " '", names[k], "', ", whose, " calls it '", expected[k], "'"),
                "labels must count the same classes in the same order");
  }
}

}  // namespace plumb::io
