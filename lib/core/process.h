// Runs a user's program and makes sure that nothing of it is left behind.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

namespace plumb {

/// One file in a fresh private folder below $TMPDIR (else /tmp). Removed by the destructor, and by SIGTERM, SIGINT, SIGHUP or SIGUSR1
/// while the object lives if the process has no handlers of its own for them. One object at a time.
class ScratchFile {
 public:
  /// Throws Error(kFailed) if the folder cannot be made.
  explicit ScratchFile(const std::string& name);
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string folder_, path_;
};

struct ProgramResult {
  enum class End { kExit, kSignal, kTimeOut, kStopped, kTooMuchOutput };
  End end = End::kExit;
  int code = 0;         ///< exit status or signal number
  std::string output;   ///< its standard output
};

/// Runs `/bin/sh -c command sh arguments...` in a process group of its own, with standard input empty and standard error ours,
/// and collects its standard output (at most max_output bytes). After timeout_s seconds (0: none), or 20 s after a stop was
/// asked for (core/signals.h), the whole group is killed; it is killed too when a signal ends us.
/// Throws Error(kFailed) only if no process could be started.
ProgramResult run_program(const std::string& command, const std::vector<std::string>& arguments, double timeout_s,
                          size_t max_output = size_t{64} << 20);

}  // namespace plumb
