// Sequential bytes from a file, a gzipped file or a member of a zip archive.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string>

namespace plumb::io {

/// Bytes from first to last. All errors are Error(kBadInput, name(), ...).
class ByteSource {
 public:
  explicit ByteSource(std::string name) : name_(std::move(name)) {}
  virtual ~ByteSource() = default;
  const std::string& name() const { return name_; }
  /// Up to `size` bytes; fewer only at the end.
  virtual size_t read(void* out, size_t size) = 0;
  /// An upper bound of the bytes in all, from the sizes of files: a header that promises more is damaged or hostile.
  virtual uint64_t ceiling() const = 0;
  /// Exactly `size` bytes, else the error "is truncated" with `what` was being read.
  void read_exact(void* out, size_t size, const std::string& what);
  void skip(uint64_t size, const std::string& what);
  bool at_end();   ///< true if no byte is left; otherwise one byte is consumed

 private:
  std::string name_;
};

/// Opens a regular file at a byte offset, as it is.
std::unique_ptr<ByteSource> open_plain(const std::string& path, uint64_t offset = 0);
/// Opens a file; gzip (by its first two bytes, not its name) is unpacked on the fly and its checksum verified.
std::unique_ptr<ByteSource> open_source(const std::string& path);

/// Unpacks a raw deflate stream (zip) of `packed` bytes read from `input`.
std::unique_ptr<ByteSource> inflate_source(std::unique_ptr<ByteSource> input, uint64_t packed);

}  // namespace plumb::io
