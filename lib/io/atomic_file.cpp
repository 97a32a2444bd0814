// SPDX-License-Identifier: Apache-2.0
#include "io/atomic_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <set>

#include "core/error.h"
#include "core/signals.h"

namespace plumb::io {
namespace fs = std::filesystem;
namespace {

std::mutex g_mutex;
std::set<std::string> g_claimed;  // temporary names that this process is writing

// The same names for a signal handler, which may allocate nothing and take no lock. More files than these at once: the rest stay behind
// and go when their name is claimed again.
constexpr size_t kRemembered = 8, kLongest = 4096;
char g_names[kRemembered][kLongest];
std::atomic<bool> g_taken[kRemembered];

void remove_remembered() {
  for (size_t k = 0; k < kRemembered; ++k) {
    if (g_taken[k]) ::unlink(g_names[k]);
  }
}

void remember(const std::string& name) {
  before_ending(remove_remembered);
  for (size_t k = 0; k < kRemembered && name.size() < kLongest; ++k) {
    if (g_taken[k]) continue;
    std::memcpy(g_names[k], name.c_str(), name.size() + 1);
    g_taken[k] = true;
    return;
  }
}

void forget(const std::string& name) {
  for (size_t k = 0; k < kRemembered; ++k) {
    if (g_taken[k] && name == g_names[k]) g_taken[k] = false;
  }
}

[[noreturn]] void fail(const std::string& path, const std::string& hint = "") {
  throw Error(Exit::kFailed, path, std::strerror(errno), hint);
}

/// Removes `.NAME.tmp.PID` files whose process has ended. Only ended processes of this host can be told; writing one
/// target from two hosts at once is a mistake anyway.
void remove_leftovers(const fs::path& folder, const std::string& prefix) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(prefix, 0) != 0) continue;
    pid_t pid = 0;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + prefix.size(), end, pid);
    if (parsed.ec != std::errc() || parsed.ptr != end || pid <= 0) continue;
    if (::kill(pid, 0) != 0 && errno == ESRCH) ::unlink(entry.path().c_str());
  }
}

void sync_path(const std::string& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
  if (descriptor < 0) fail(path);
  const int status = ::fsync(descriptor);
  const int problem = errno;
  ::close(descriptor);
  errno = problem;
  if (status != 0 && problem != EINVAL && problem != ENOTSUP) fail(path);  // some file systems cannot sync a folder
}

}  // namespace

std::string absolute_path(const std::string& path) { return fs::absolute(path).lexically_normal().string(); }

std::string folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  const std::string name = fs::path(path).filename().string();
  const std::string folder = folder_of(path);
  if (name.empty() || name == "." || name == "..") throw Error(Exit::kFailed, path, "is not the name of a file");
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) fail(path, "make the folder " + folder + " first");
  if (!S_ISDIR(status.st_mode)) throw Error(Exit::kFailed, path, folder + " is not a folder");
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    throw Error(Exit::kFailed, path, "exists and is not a regular file", "give another name");
  }
  const std::string prefix = "." + name + ".tmp.";
  remove_leftovers(folder, prefix);
  temporary_ = (fs::path(folder) / (prefix + std::to_string(::getpid()))).string();
  {
    const std::lock_guard<std::mutex> lock(g_mutex);
    if (!g_claimed.insert(temporary_).second)
      throw Error(Exit::kFailed, path, "is already being written by this command");
    remember(temporary_);
  }
  const int descriptor = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (descriptor < 0) {
    const int problem = errno;
    const std::lock_guard<std::mutex> lock(g_mutex);
    forget(temporary_);
    g_claimed.erase(temporary_);
    errno = problem;
    fail(path);
  }
  ::close(descriptor);
}

AtomicFile::~AtomicFile() {
  if (committed_) return;
  ::unlink(temporary_.c_str());
  const std::lock_guard<std::mutex> lock(g_mutex);
  forget(temporary_);
  g_claimed.erase(temporary_);
}

void AtomicFile::commit() {
  if (committed_) return;
  sync_path(temporary_, O_WRONLY);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail(path_);
  committed_ = true;
  {
    const std::lock_guard<std::mutex> lock(g_mutex);
    forget(temporary_);
    g_claimed.erase(temporary_);
  }
  sync_path(folder_of(path_), O_RDONLY | O_DIRECTORY);
}

void write_file(const std::string& path, const std::string& text) {
  AtomicFile file(path);
  const int descriptor = ::open(file.temporary().c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (descriptor < 0) fail(path);
  for (size_t done = 0; done < text.size();) {
    const ssize_t wrote = ::write(descriptor, text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      const int problem = errno;
      ::close(descriptor);
      errno = problem;
      fail(path);
    }
    done += static_cast<size_t>(wrote);
  }
  if (::close(descriptor) != 0) fail(path);
  file.commit();
}

std::string read_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw Error(Exit::kBadInput, path, std::strerror(errno));
  std::string text, block(1 << 16, '\0');
  for (;;) {
    const ssize_t got = ::read(descriptor, block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const std::string problem = std::strerror(errno);
      ::close(descriptor);
      throw Error(Exit::kBadInput, path, problem);
    }
    if (got == 0) break;
    text.append(block, 0, static_cast<size_t>(got));
  }
  ::close(descriptor);
  return text;
}

}  // namespace plumb::io
