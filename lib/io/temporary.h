// The names under which files and folders are written until they are whole.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace plumb::io {

/// Claims `.NAME.tmp.PID` beside `path`: what is written there, a file or a folder, is removed by a signal that ends the process. What
/// dead processes left under such a name of this `path` is removed first. Throws Error(kFailed, path) if this process has the name already.
std::string claim_temporary(const std::string& path);

/// The name is in use no longer: it was renamed, or removed.
void release_temporary(const std::string& temporary);

}  // namespace plumb::io
