// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plumb {
inline constexpr const char* kVersion = "0.1.0";  // also in CMakeLists.txt; tests/lint compares them
inline constexpr int kFormatVersion = 1;          // the integer in "format":"plumb/1"
}  // namespace plumb
