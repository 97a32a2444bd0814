// --version. What was found when this was built comes from CMake (lib/rooms.cmake).   SPDX-License-Identifier: Apache-2.0
#include "core/version.h"

#include <hdf5.h>

#include "cli/help.h"
#include "cli/module.h"
#include "core/text.h"
#include "git_commit.h"

namespace plumb::cli {

std::string version_text(const ToolInfo& info) { return info.name + " (plumb) " + kVersion; }

io::Json version_json(const ToolInfo& info) {
  io::Json json{{"tool", info.name}, {"version", kVersion}, {"format", "plumb/" + std::to_string(kFormatVersion)}};
  if (*PLUMB_GIT_COMMIT) json["git"] = PLUMB_GIT_COMMIT;
  json["compiler"] = __VERSION__;
  unsigned major = 0, minor = 0, release = 0;
  if (H5get_libversion(&major, &minor, &release) >= 0) json["hdf5"] = cat(major, ".", minor, ".", release);
  if (const std::string path = module_path(info.name); !path.empty()) {
    if (*PLUMB_TORCH_VERSION) json["libtorch"] = PLUMB_TORCH_VERSION;
    json["module"] = path;
  }
  return json;
}

}  // namespace plumb::cli
