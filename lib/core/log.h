// Messages for people, on stderr, one line each.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "core/text.h"

namespace plumb::log {

enum class Level { kQuiet = 0, kNormal = 1, kVerbose = 2, kDebug = 3 };

/// Sets the program name that starts each line, and how much is said.
void configure(const std::string& program, Level level);
const std::string& program();
Level level();

/// Writes `program: text` to stderr if the level admits it. Errors always print.
void write(Level at, const std::string& text);

template <typename... P> void info(const P&... parts) { write(Level::kNormal, cat(parts...)); }
template <typename... P> void warn(const P&... parts) { write(Level::kNormal, cat("warning: ", parts...)); }
template <typename... P> void verbose(const P&... parts) { write(Level::kVerbose, cat(parts...)); }
template <typename... P> void debug(const P&... parts) { write(Level::kDebug, cat(parts...)); }
void error(const std::string& text);

}  // namespace plumb::log
