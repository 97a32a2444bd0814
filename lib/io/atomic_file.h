// A file appears under its final name only when it is whole.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace plumb::io {

/// Claims a temporary name `.NAME.tmp.PID` in the target's folder. commit() = fsync, rename, fsync of the folder; a
/// destructor without commit removes the temporary file. Leftovers of dead processes are removed when the name is
/// claimed.
class AtomicFile {
 public:
  /// Throws Error(kFailed) if the folder does not exist or cannot be written.
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  const std::string& temporary() const { return temporary_; }
  const std::string& path() const { return path_; }
  void commit();  ///< the temporary file must be closed by now. Throws Error(kFailed).

 private:
  std::string path_, temporary_;
  bool committed_ = false;
};

/// Writes the whole text atomically.
void write_file(const std::string& path, const std::string& text);
/// Reads the whole file. Throws Error(kBadInput).
std::string read_file(const std::string& path);
/// The absolute form of a path, without resolving links.
std::string absolute_path(const std::string& path);
/// Folder part of a path ("." if none).
std::string folder_of(const std::string& path);

}  // namespace plumb::io
