// The log of a long run, resumable: plumb-log(5).   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <limits>
#include <string>

#include "io/jsonl.h"
#include "io/manifest.h"

namespace plumb::io {

/// A JsonlLog that reads as one uninterrupted run: lines of steps that a resumed run will do again are cut off first.
class JsonLog {
 public:
  /// "" = no log. resumed_step < 0: a new run, the file is emptied (whoever calls has asked is_log). Otherwise lines after (resumed_step, resumed_epoch), and
  /// a torn last line, are cut off (truncate_after). Throws Error(kFailed) if it cannot be written.
  JsonLog(const std::string& path, int64_t resumed_step, int64_t resumed_epoch = std::numeric_limits<int64_t>::max());
  /// One line, written through at once. Throws Error(kBadNumbers) for a NaN or infinity.
  void write(const Json& record) { log_.write(record); }
  /// A line {"event": "start", "step", "time" (UTC), "host", "job" (Slurm's, if any)}: what artefacts never hold.
  void write_start(int64_t step, const std::string& tool);

 private:
  JsonlLog log_;
};

/// Whether a run may empty what is at `path`: there is nothing, or it begins as a log of ours.
bool is_log(const std::string& path);

/// The log's place: the option's, by default OUT.jsonl beside the output.
std::string log_path(const std::string& option, const std::string& output);

}  // namespace plumb::io
