// Zip archives, as far as NPZ needs them: stored and deflated members, zip64 sizes. Source: PKWARE APPNOTE 6.3.10.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/byte_source.h"

namespace plumb::io {

struct ZipEntry {
  std::string name;
  int method = 0;              // 0 stored, 8 deflated
  uint32_t crc = 0;
  uint64_t packed = 0, size = 0, offset = 0;
};

/// Reads the directory at construction. All errors are Error(kBadInput, path, ...).
class ZipReader {
 public:
  explicit ZipReader(const std::string& path);
  const std::vector<ZipEntry>& entries() const { return entries_; }
  const ZipEntry* find(const std::string& name) const;
  std::unique_ptr<ByteSource> open(const ZipEntry& entry) const;   ///< checks size and CRC-32 when the end is reached

 private:
  std::string path_;
  std::vector<ZipEntry> entries_;
};

/// Builds an archive in memory, with one fixed date, so that equal members make equal bytes.
class ZipWriter {
 public:
  explicit ZipWriter(bool deflate) : deflate_(deflate) {}
  void add(const std::string& name, const std::string& bytes);
  std::string finish();        ///< the whole archive
 private:
  bool deflate_;
  std::string bytes_, directory_;
  uint16_t count_ = 0;
};

/// Whether the file starts as a zip archive does.
bool is_zip(const std::string& path);

}  // namespace plumb::io
