// Logs of long runs: one JSON object a line.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace plumb::io {

/// Appends lines to a file, each by one write(2) with O_APPEND, so that a killed process leaves at most one torn last
/// line.
class JsonlLog {
 public:
  /// Opens for appending, creating the file; a torn last line is cut off first, so whoever calls knows that the file is a log. "" = log nothing.
  /// Throws Error(kFailed).
  explicit JsonlLog(const std::string& path);
  ~JsonlLog();
  JsonlLog(JsonlLog&& other) noexcept;
  JsonlLog& operator=(JsonlLog&& other) noexcept;
  /// Throws Error(kFailed, path) if it cannot be written, Error(kBadNumbers) for a NaN or infinity.
  void write(const nlohmann::ordered_json& line);

 private:
  std::string path_;
  int descriptor_ = -1;
};

/// Every whole line, in order; a torn last line is left out. Error(kBadInput, path, "line N ...") for a bad line before
/// it.
void for_each_jsonl(const std::string& path, const std::function<void(const nlohmann::ordered_json&)>& visit);
std::vector<nlohmann::ordered_json> read_jsonl(const std::string& path);

/// Whether what is at `path` may be a log that begins so: there is nothing yet, or it is no regular file, or `ours` agrees with the object of its
/// first line, or that line was torn while it was written and is a piece of one that starts with `head`.
bool begins_as(const std::string& path, const std::string& head, const std::function<bool(const nlohmann::ordered_json&)>& ours);
/// Whether the path leads to this process's standard output or error, /dev/stderr say: whatever file that is, its content is not ours to cut.
bool is_standard_output(const std::string& path);

/// Drops each line whose ("step", "epoch") comes after (step, epoch), and a torn last line; replaces the file atomically.
/// A line without an epoch is the last of its step; one without a step goes with the line before it. Nothing happens if
/// there is no such file. Returns how many lines were dropped.
int64_t truncate_after(const std::string& path, int64_t step, int64_t epoch = std::numeric_limits<int64_t>::max());

}  // namespace plumb::io
