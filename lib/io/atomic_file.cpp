// SPDX-License-Identifier: Apache-2.0
#include "io/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/error.h"
#include "io/temporary.h"

namespace plumb::io {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& hint = "") {
  throw Error(Exit::kFailed, path, std::strerror(errno), hint);
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
  temporary_ = claim_temporary(path);
  const int descriptor = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (descriptor < 0) {
    const int problem = errno;
    release_temporary(temporary_);
    errno = problem;
    fail(path);
  }
  ::close(descriptor);
}

AtomicFile::~AtomicFile() {
  if (committed_) return;
  ::unlink(temporary_.c_str());
  release_temporary(temporary_);
}

void AtomicFile::commit() {
  if (committed_) return;
  sync_path(temporary_, O_WRONLY);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail(path_);
  committed_ = true;
  release_temporary(temporary_);
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
