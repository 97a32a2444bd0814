// SPDX-License-Identifier: Apache-2.0
#include "core/log.h"

#include <unistd.h>

#include "core/progress.h"

namespace plumb::log {
namespace {

std::string g_program = "plumb";
Level g_level = Level::kNormal;

/// One write(2) a line, so lines of several processes never mix.
void put_line(const std::string& text) {
  clear_progress_line();
  const std::string line = g_program + ": " + text + "\n";
  if (::write(STDERR_FILENO, line.data(), line.size()) < 0) return;  // nowhere left to complain
}

}  // namespace

void configure(const std::string& name, Level at) {
  g_program = name;
  g_level = at;
}
const std::string& program() { return g_program; }
Level level() { return g_level; }

void write(Level at, const std::string& text) {
  if (at <= g_level) put_line(text);
}
void error(const std::string& text) { put_line(text); }

}  // namespace plumb::log
