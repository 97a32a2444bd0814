// SPDX-License-Identifier: Apache-2.0
#include "io/jsonl.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <utility>

#include "core/error.h"
#include "core/text.h"
#include "io/atomic_file.h"

namespace plumb::io {
using Json = nlohmann::ordered_json;
namespace {

void check_all_finite(const Json& value, const std::string& name) {
  if (value.is_number_float()) check_finite(value.get<double>(), name);
  if (value.is_object()) {
    for (const auto& [key, part] : value.items()) check_all_finite(part, key);
  } else if (value.is_array()) {
    for (const Json& part : value) check_all_finite(part, name);
  }
}

/// Visits each whole line. A last line without newline counts only if it is a whole JSON object; a prefix never is one.
void scan(const std::string& path, const std::function<void(const std::string&, const Json&)>& visit) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(Exit::kBadInput, path, std::strerror(errno));
  std::string line;
  for (int64_t number = 1; std::getline(file, line); ++number) {
    const bool torn = file.eof();
    if (trim(line).empty()) continue;
    const Json json = Json::parse(line, nullptr, false);
    if (json.is_object()) {
      visit(line, json);
    } else if (!torn) {
      throw Error(Exit::kBadInput, path, cat("line ", number, " is not a JSON object"));
    }
  }
  if (file.bad()) throw Error(Exit::kBadInput, path, std::strerror(errno));
}

/// Bytes up to and with the last newline; adds the newline if the last line is whole without it.
void mend_end(const std::string& path, int descriptor) {
  const off_t size = ::lseek(descriptor, 0, SEEK_END);
  off_t at = size;
  std::string tail;
  while (at > 0) {
    char block[4096];
    const off_t begin = at > static_cast<off_t>(sizeof block) ? at - static_cast<off_t>(sizeof block) : 0;
    const ssize_t got = ::pread(descriptor, block, static_cast<size_t>(at - begin), begin);
    if (got != at - begin) throw Error(Exit::kFailed, path, std::strerror(errno));
    const std::string text(block, static_cast<size_t>(got));
    const size_t newline = text.rfind('\n');
    tail.insert(0, newline == std::string::npos ? text : text.substr(newline + 1));
    if (newline != std::string::npos) break;
    at = begin;
  }
  if (tail.empty()) return;
  const Json last = Json::parse(tail, nullptr, false);
  const bool mended = last.is_object() ? ::write(descriptor, "\n", 1) == 1
                                       : ::ftruncate(descriptor, size - static_cast<off_t>(tail.size())) == 0;
  if (!mended) throw Error(Exit::kFailed, path, std::strerror(errno));
}

}  // namespace

JsonlLog::JsonlLog(const std::string& path) : path_(path) {
  if (path.empty()) return;
  descriptor_ = ::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0 && (errno == EACCES || errno == EINVAL || errno == ENXIO)) {
    descriptor_ = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  }
  if (descriptor_ < 0) throw Error(Exit::kFailed, path, std::strerror(errno));
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode) || is_standard_output(path)) return;  // a pipe or terminal has no end to mend
  try {
    mend_end(path, descriptor_);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

JsonlLog::~JsonlLog() {
  if (descriptor_ >= 0) ::close(descriptor_);
}
JsonlLog::JsonlLog(JsonlLog&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
JsonlLog& JsonlLog::operator=(JsonlLog&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

void JsonlLog::write(const Json& line) {
  check_all_finite(line, "log line");
  if (descriptor_ < 0) return;
  const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  ssize_t wrote = 0;
  do wrote = ::write(descriptor_, text.data(), text.size());
  while (wrote < 0 && errno == EINTR);
  if (wrote < 0) throw Error(Exit::kFailed, path_, std::strerror(errno));
  if (static_cast<size_t>(wrote) < text.size())
    throw Error(Exit::kFailed, path_, "could not hold a whole line", "is the disk full?");
}

void for_each_jsonl(const std::string& path, const std::function<void(const Json&)>& visit) {
  scan(path, [&](const std::string&, const Json& json) { visit(json); });
}

std::vector<Json> read_jsonl(const std::string& path) {
  std::vector<Json> lines;
  for_each_jsonl(path, [&](const Json& json) { lines.push_back(json); });
  return lines;
}

bool begins_as(const std::string& path, const std::string& head, const std::function<bool(const Json&)>& ours) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return true;
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(Exit::kBadInput, path, std::strerror(errno));
  std::string text(1 << 16, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return text.size() < (1 << 16);  // blanks alone
  const size_t end = text.find('\n', begin);
  const std::string line = text.substr(begin, end - begin);
  const Json first = Json::parse(line, nullptr, false);
  if (first.is_object()) return ours(first);
  return end == std::string::npos && (line.starts_with(head) || head.starts_with(line));
}

bool is_standard_output(const std::string& path) {
  struct stat there {}, own {};
  if (::stat(path.c_str(), &there) != 0) return false;
  const auto same = [&](int descriptor) { return ::fstat(descriptor, &own) == 0 && own.st_dev == there.st_dev && own.st_ino == there.st_ino; };
  return same(STDOUT_FILENO) || same(STDERR_FILENO);
}

int64_t truncate_after(const std::string& path, int64_t step, int64_t epoch) {
  if (::access(path.c_str(), F_OK) != 0) return 0;
  std::string kept;
  int64_t dropped = 0;
  bool keep = true;
  scan(path, [&](const std::string& line, const Json& json) {
    const int64_t last = std::numeric_limits<int64_t>::max();
    const auto at = json.find("step"), of = json.find("epoch");
    if (at != json.end() && at->is_number_integer()) {
      const int64_t its_epoch = of != json.end() && of->is_number_integer() ? of->get<int64_t>() : last;
      keep = std::pair(at->get<int64_t>(), its_epoch) <= std::pair(step, epoch);
    }
    if (keep) kept += line + "\n";
    else ++dropped;
  });
  write_file(path, kept);
  return dropped;
}

}  // namespace plumb::io
