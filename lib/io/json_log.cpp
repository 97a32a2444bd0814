// SPDX-License-Identifier: Apache-2.0
#include "io/json_log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "core/error.h"
#include "core/version.h"

namespace plumb::io {
namespace {

/// Cuts the log to what a run resumed after (step, epoch) keeps; returns the path. What is no regular file, or takes messages too, is not cut.
const std::string& cut(const std::string& path, int64_t step, int64_t epoch) {
  struct stat status {};
  if (path.empty() || ::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || is_standard_output(path)) return path;
  if (step >= 0) truncate_after(path, step, epoch);
  else if (::truncate(path.c_str(), 0) != 0) throw Error(Exit::kFailed, path, std::strerror(errno));
  return path;
}

}  // namespace

JsonLog::JsonLog(const std::string& path, int64_t resumed_step, int64_t resumed_epoch)
    : log_(cut(path, resumed_step, resumed_epoch)) {}

void JsonLog::write_start(int64_t step, const std::string& tool) {
  char host[256] = "", when[32] = "";
  gethostname(host, sizeof host - 1);
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
  Json record{{"event", "start"}, {"step", step}, {"tool", tool}, {"version", kVersion}, {"time", when}, {"host", host}};
  if (const char* job = std::getenv("SLURM_JOB_ID")) record["job"] = job;
  write(record);
}

bool is_log(const std::string& path) {
  return begins_as(path, R"({"event":"start")", [](const Json& first) { return first.value("event", Json()) == "start" && first.contains("tool"); });
}

std::string log_path(const std::string& option, const std::string& output) {
  return option.empty() ? output + ".jsonl" : option;
}

}  // namespace plumb::io
