// SPDX-License-Identifier: Apache-2.0
#include "io/h5_layout.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/text.h"

namespace plumb::io::h5 {
namespace {

constexpr size_t kMaxHeader = 1 << 20;     // of one object: far above what the format's 64 KiB messages need
constexpr int kMaxBlocks = 64;             // continuation blocks
constexpr int kLayout = 0x08, kContinuation = 0x10;

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

 protected:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Exit::kBadInput, path_, "'" + name_ + "' " + what, "copy or make the file again");
  }
  std::string bytes_at(uint64_t at, uint64_t size) const {
    if (size > kMaxHeader || at > static_cast<uint64_t>(INT64_MAX) - size) fail("has a damaged object header");
    std::string bytes(static_cast<size_t>(size), '\0');
    if (::pread(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(at)) !=
        static_cast<ssize_t>(bytes.size())) {
      fail("has a damaged object header: it lies outside the file");
    }
    return bytes;
  }
  uint64_t number(const std::string& bytes, size_t at, size_t width) const {
    if (at + width > bytes.size()) fail("has a damaged object header: a message ends early");
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

class ObjectHeader : private RawFile {
 public:
  using RawFile::RawFile;

  std::optional<Layout> scan(uint64_t address) {
    const std::string head = bytes_at(address, 16);
    if (head.compare(0, 4, "OHDR") == 0) {
      scan_new(address);
    } else if (head[0] == 1) {
      messages(bytes_at(address + 16, number(head, 8, 4)), 8, 2, 2);
    } else {
      fail("has a damaged object header");
    }
    return layout_;
  }

 private:
  /// Version 2: signature, flags, optional times and phase change, size of the first block.
  void scan_new(uint64_t address) {
    const std::string head = bytes_at(address, 6);
    const unsigned flags = static_cast<uint8_t>(head[5]);
    const uint64_t skip = 6 + (flags & 0x20 ? 16u : 0u) + (flags & 0x10 ? 4u : 0u), width = uint64_t{1} << (flags & 3);
    const uint64_t size = number(bytes_at(address + skip, width), 0, width);
    prefix_ = flags & 4 ? 6 : 4;  // bytes before a message's data: type, size, flags, and creation order if tracked
    messages(bytes_at(address + skip + width, size), prefix_, 1, 1);
  }

  /// Walks one block of messages. type_width: bytes of the type; the size follows it in 2 bytes.
  void messages(const std::string& block, size_t prefix, size_t type_width, size_t size_at) {
    for (size_t at = 0; at + prefix <= block.size();) {
      const int type = static_cast<int>(number(block, at, type_width));
      const size_t size = number(block, at + size_at, 2);
      if (at + prefix + size > block.size()) {
        if (type_width == 1) return;  // version 2 may end in a gap
        fail("has a damaged object header: a message ends early");
      }
      const std::string data = block.substr(at + prefix, size);
      if (type == kLayout) read_message(data);
      if (type == kContinuation) {
        if (++blocks_ > kMaxBlocks) fail("has a damaged object header: too many blocks");
        std::string more = bytes_at(number(data, 0, 8), number(data, 8, 8));
        if (type_width == 1) more = more.size() > 8 ? more.substr(4, more.size() - 8) : "";  // signature, checksum
        messages(more, prefix, type_width, size_at);
      }
      at += prefix + size;
    }
  }

  void read_message(const std::string& data) {
    const uint64_t version = number(data, 0, 1);
    if (version < 1 || version > 4) fail("has a damaged layout");
    const bool old = version <= 2;
    const uint64_t kind = number(data, old ? 2 : 1, 1);
    if (kind != 1 && kind != 2)
      fail(kind == 0 ? "is stored compact, which is not read here" : "keeps its data in another file");
    Layout found;
    found.chunked = kind == 2;
    if (found.chunked) {
      const uint64_t rank = number(data, version == 4 ? 3 : old ? 1 : 2, 1);
      const size_t width = version == 4 ? number(data, 4, 1) : 4, first = version == 4 ? 5 : old ? 16 : 11;
      if (rank < 1 || rank > H5S_MAX_RANK + 1 || width < 1 || width > 8) fail("has damaged chunk sizes");
      for (size_t i = 0; i < rank; ++i) found.chunk.push_back(number(data, first + i * width, width));
      if (version <= 3) found.tree = number(data, old ? 8 : 3, 8);
      if (std::find(found.chunk.begin(), found.chunk.end(), 0u) != found.chunk.end()) fail("has damaged chunk sizes");
    }
    if (layout_) fail("has two layouts");
    layout_ = found;
  }

  int blocks_ = 0;
  size_t prefix_ = 8;
  std::optional<Layout> layout_;
};

/// The version 1 B-tree of chunks. Source: HDF5 File Format Specification 3.0, III.A.1.
class ChunkTree : private RawFile {
 public:
  ChunkTree(const std::string& path, const std::string& name, const Layout& layout, bool filtered)
      : RawFile(path, name), rank_(layout.chunk.size()), filtered_(filtered), end_(file_size()) {
    for (const uint64_t size : layout.chunk) bytes_ *= size;
    if (layout.tree != UINT64_MAX) walk(layout.tree, -1);  // none yet: nothing was written
  }

 private:
  /// level: that of this node, -1 if not known (the root).
  void walk(uint64_t address, int level) {
    const std::string head = bytes_at(address, 24);
    const int own = static_cast<uint8_t>(head[5]);
    if (head.compare(0, 4, "TREE") != 0 || head[4] != 1 || (level >= 0 && own != level) || ++nodes_ > end_ / 24) {
      fail("has a damaged chunk index");
    }
    const size_t used = number(head, 6, 2), key = 8 + 8 * rank_;
    const std::string body = bytes_at(address + 24, used * (key + 8));
    for (size_t i = 0; i < used; ++i) {
      const size_t at = i * (key + 8);
      const uint64_t size = number(body, at, 4), child = number(body, at + key, 8);
      if (own > 0) {
        walk(child, own - 1);
      } else if (child > end_ || size > end_ - child || (size != bytes_ && !filtered_)) {
        fail("has a damaged chunk index");
      }
    }
  }

  size_t rank_;
  bool filtered_;
  uint64_t end_, bytes_ = 1, nodes_ = 0;
};

/// Bytes that a zlib stream unpacks to, looked at no further than `limit` + 1.
uint64_t unpacked_size(const uint8_t* data, uint64_t size, uint64_t limit) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return UINT64_MAX;
  std::vector<Bytef> scratch(1 << 16);
  stream.next_in = const_cast<Bytef*>(data);
  stream.avail_in = static_cast<uInt>(std::min<uint64_t>(size, UINT32_MAX));
  int status = Z_OK;
  uint64_t total = 0;
  while (status == Z_OK && total <= limit) {
    stream.next_out = scratch.data();
    stream.avail_out = static_cast<uInt>(scratch.size());
    status = inflate(&stream, Z_NO_FLUSH);
    total += scratch.size() - stream.avail_out;
  }
  inflateEnd(&stream);
  return status == Z_STREAM_END ? total : UINT64_MAX;
}

}  // namespace

std::optional<Layout> read_layout(const std::string& path, uint64_t address, const std::string& name) {
  return ObjectHeader(path, name).scan(address);
}

void check_chunk_tree(const std::string& path, const std::string& name, const Layout& layout, bool filtered) {
  ChunkTree(path, name, layout, filtered);
}

void check_chunk(const std::string& path, const std::string& name, const std::vector<uint8_t>& packed,
                 const std::vector<H5Z_filter_t>& filters, uint32_t mask, uint64_t bytes) {
  uint64_t size = packed.size();
  bool is_packed = true;  // `size` still counts bytes of `packed`
  for (size_t i = filters.size(); i-- > 0;) {
    if (mask >> i & 1 || filters[i] == H5Z_FILTER_SHUFFLE) continue;
    if (filters[i] == H5Z_FILTER_FLETCHER32) {
      size = size >= 4 ? size - 4 : UINT64_MAX;  // a checksum of four bytes
    } else {
      size = is_packed ? unpacked_size(packed.data(), size, bytes + 4) : UINT64_MAX;
      is_packed = false;
    }
    if (size == UINT64_MAX) break;
  }
  if (size != bytes)
    throw Error(Exit::kBadInput, path, "'" + name + "' has a damaged chunk", "copy or make the file again");
}

}  // namespace plumb::io::h5
