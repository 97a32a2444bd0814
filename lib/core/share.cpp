// SPDX-License-Identifier: Apache-2.0
#include "core/share.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace plumb {

namespace fs = std::filesystem;

std::string share_path(const std::string& relative) {
  std::error_code ignored;
  if (const char* folder = std::getenv("PLUMB_SHARE"); folder && *folder) {
    const fs::path path = fs::path(folder) / relative;
    return fs::exists(path, ignored) ? path.string() : "";
  }
  const fs::path here = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  // libexec/plumb/NAME and bin/NAME of an installation, build/bin/NAME of a source tree.
  for (const char* share : {"../../share/plumb", "../share/plumb", "../../share"}) {
    const fs::path path = (here / share / relative).lexically_normal();
    if (fs::exists(path, ignored)) return path.string();
  }
  return "";
}

std::vector<std::string> share_names(const std::string& folder, const std::string& extension) {
  std::vector<std::string> names;
  const std::string path = share_path(folder);
  std::error_code ignored;
  if (path.empty()) return names;
  for (const auto& entry : fs::directory_iterator(path, ignored)) {
    if (entry.path().extension() == extension) names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace plumb
