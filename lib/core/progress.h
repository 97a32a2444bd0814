// Progress on stderr: a bar on a terminal, one plain line every 30 s elsewhere.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace plumb {

enum class ProgressMode { kAuto, kBar, kPlain, kNone };

/// Parses auto|bar|plain|none. Auto is a bar if stderr is a terminal that is not dumb, plain otherwise.
ProgressMode parse_progress_mode(const std::string& text);

/// Sets the mode for the process (tool_main does, from --progress and -q).
void set_progress_mode(ProgressMode mode);

/// Shows how far a loop is. `note` is free text such as "loss 0.123".
class Progress {
 public:
  Progress(std::string label, int64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void update(int64_t done, const std::string& note = "");

 private:
  std::string label_;
  int64_t total_;
  int64_t first_ = -1;  // the first count seen: a resumed loop's rate counts from here
  std::chrono::steady_clock::time_point start_, last_;
};

/// Removes a half-drawn bar so that a message can be printed.
void clear_progress_line();

}  // namespace plumb
