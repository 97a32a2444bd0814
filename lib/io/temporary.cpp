// SPDX-License-Identifier: Apache-2.0
#include "io/temporary.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
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
#include "io/atomic_file.h"

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

constexpr int kDeepest = 8;  // folders in one another that an exporter makes, and more

/// Removes a file or a folder with all that is in it, by system calls alone: readdir(3) allocates.
void remove_all_of(int parent, const char* name, int depth) {
  if (::unlinkat(parent, name, 0) == 0 || (errno != EISDIR && errno != EPERM) || depth == 0) return;
  const int folder = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) return;
  alignas(dirent64) char block[2048];
  for (int pass = 0; pass < 3 && ::unlinkat(parent, name, AT_REMOVEDIR) != 0; ++pass) {  // some file systems skip entries while others go
    ::lseek(folder, 0, SEEK_SET);
    for (long got; (got = ::syscall(SYS_getdents64, folder, block, sizeof block)) > 0;) {
      for (long at = 0; at < got;) {
        const auto* entry = reinterpret_cast<const dirent64*>(block + at);
        at += entry->d_reclen;
        if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) remove_all_of(folder, entry->d_name, depth - 1);
      }
    }
  }
  ::close(folder);
}

void remove_remembered() {
  for (size_t k = 0; k < kRemembered; ++k) {
    if (g_taken[k]) remove_all_of(AT_FDCWD, g_names[k], kDeepest);
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

/// Removes `.NAME.tmp.PID` whose process has ended. Only ended processes of this host can be told; writing one target from two hosts at once
/// is a mistake anyway.
void remove_leftovers(const fs::path& folder, const std::string& prefix) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(prefix, 0) != 0) continue;
    pid_t pid = 0;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + prefix.size(), end, pid);
    if (parsed.ec != std::errc() || parsed.ptr != end || pid <= 0) continue;
    if (::kill(pid, 0) != 0 && errno == ESRCH) fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace

std::string claim_temporary(const std::string& path) {
  const std::string prefix = "." + fs::path(path).filename().string() + ".tmp.", folder = folder_of(path);
  remove_leftovers(folder, prefix);
  std::string temporary = (fs::path(folder) / (prefix + std::to_string(::getpid()))).string();
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (!g_claimed.insert(temporary).second) throw Error(Exit::kFailed, path, "is already being written by this command");
  remember(temporary);
  return temporary;
}

void release_temporary(const std::string& temporary) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  forget(temporary);
  g_claimed.erase(temporary);
}

}  // namespace plumb::io
