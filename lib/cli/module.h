// Where a tool's run() comes from: lib/tool_NAME.so, opened once the options are known to be good.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "cli/tool.h"

namespace plumb::cli {

/// The tool's module: ../lib/tool_NAME.so beside the executable's folder (build tree), or lib/plumb/tool_NAME.so under
/// the prefix it was installed to. "" if there is none (a tool without LibTorch).
std::string module_path(const std::string& tool);

/// Opens the module and returns its run function. Throws Error(kFailed).
detail::RunFunction open_module(const std::string& tool);

}  // namespace plumb::cli
