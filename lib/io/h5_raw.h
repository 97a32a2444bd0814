// Private to h5_layout.cpp and h5_text.cpp: a file's bytes by address, with every access checked.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <string>

#include "core/error.h"

namespace plumb::io::h5 {

constexpr uint64_t kMaxPart = uint64_t{64} << 20;  // of one part read at once: far above any header, index node or text

/// Bytes of the file by address, and the numbers in them.
class RawFile {
 public:
  RawFile(const std::string& path, const std::string& name) : path_(path), name_(name) {
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) fail("cannot be opened");
  }
  ~RawFile() { ::close(descriptor_); }
  RawFile(const RawFile&) = delete;
  RawFile& operator=(const RawFile&) = delete;

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Exit::kBadInput, path_, "'" + name_ + "' " + what, "copy or make the file again");
  }
  std::string bytes_at(uint64_t at, uint64_t size) const {
    if (size > kMaxPart || at > static_cast<uint64_t>(INT64_MAX) - size) fail("is damaged: a part of it is too large");
    std::string bytes(static_cast<size_t>(size), '\0');
    if (::pread(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(at)) !=
        static_cast<ssize_t>(bytes.size())) {
      fail("is damaged: it refers to a place outside the file");
    }
    return bytes;
  }
  uint64_t number(const std::string& bytes, size_t at, size_t width) const {
    if (at + width > bytes.size()) fail("is damaged: a part of it ends early");
    uint64_t value = 0;
    for (size_t i = width; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
    return value;
  }
  uint64_t file_size() const {
    const off_t end = ::lseek(descriptor_, 0, SEEK_END);
    return end < 0 ? 0 : static_cast<uint64_t>(end);
  }

 private:
  std::string path_, name_;
  int descriptor_ = -1;
};

/// Calls visit(type, data) for each message of the object header at `address`, versions 1 and 2.
void for_each_message(const RawFile& file, uint64_t address, const std::function<void(int, const std::string&)>& visit);

}  // namespace plumb::io::h5
