// Files that come with the program: presets, models, layouts.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

namespace plumb {

/// The path of share/RELATIVE: below $PLUMB_SHARE if that is set, else share/plumb of the prefix that this executable was
/// installed to, else share/ of the source tree it was built in. "" if it is in none of them.
std::string share_path(const std::string& relative);

/// Names (without the extension) of the files of share/FOLDER that end in `extension`, sorted.
std::vector<std::string> share_names(const std::string& folder, const std::string& extension);

}  // namespace plumb
