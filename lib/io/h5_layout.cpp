// SPDX-License-Identifier: Apache-2.0
#include "io/h5_layout.h"

#include <zlib.h>

#include <algorithm>
#include <functional>

#include "core/error.h"
#include "io/h5_raw.h"

namespace plumb::io::h5 {
namespace {

constexpr int kMaxBlocks = 64;             // continuation blocks
constexpr int kSpace = 0x01, kType = 0x03, kFill = 0x05, kLayout = 0x08, kAttribute = 0x0c, kContinuation = 0x10;

/// Walks the blocks of messages of one object header.
struct Walker {
  const RawFile& file;
  const std::function<void(int, const std::string&)>& visit;
  bool is_new = false;   // version 2
  size_t prefix = 8;     // bytes before a message's data: type, size, flags, and in version 2 perhaps a creation order
  int blocks = 0;

  void walk(const std::string& block) {
    for (size_t at = 0; at + prefix <= block.size();) {
      const int type = static_cast<int>(file.number(block, at, is_new ? 1 : 2));
      const size_t size = file.number(block, at + (is_new ? 1 : 2), 2);
      if (at + prefix + size > block.size()) {
        if (is_new) return;  // may end in a gap
        file.fail("has a damaged object header: a message ends early");
      }
      const std::string data = block.substr(at + prefix, size);
      visit(type, data);
      if (type == kContinuation) {
        if (++blocks > kMaxBlocks) file.fail("has a damaged object header: too many blocks");
        std::string more = file.bytes_at(file.number(data, 0, 8), file.number(data, 8, 8));
        if (is_new) more = more.size() > 8 ? more.substr(4, more.size() - 8) : "";  // signature, checksum
        walk(more);
      }
      at += prefix + size;
    }
  }
};

/// Elements of a dataspace message; it must hold the sizes that it promises.
uint64_t check_space(const RawFile& file, const std::string& data) {
  const uint64_t version = file.number(data, 0, 1), rank = file.number(data, 1, 1), flags = file.number(data, 2, 1);
  if (version < 1 || version > 2 || rank > H5S_MAX_RANK) file.fail("has a damaged shape");
  const size_t first = version == 1 ? 8 : 4;
  uint64_t count = version == 2 && file.number(data, 3, 1) == 2 ? 0 : 1;  // type 2: no elements
  for (size_t i = 0; i < rank; ++i) {
    if (__builtin_mul_overflow(count, file.number(data, first + 8 * i, 8), &count)) file.fail("has a damaged shape");
  }
  if (first + 8 * rank * (flags & 1 ? 2 : 1) > data.size()) file.fail("has a damaged shape");
  return count;
}

/// Bytes of one element of a datatype message: a number or text, at most a variable-length text (class 9).
uint64_t check_type(const RawFile& file, const std::string& data) {
  const uint64_t kind = file.number(data, 0, 1) & 15, size = file.number(data, 4, 4);
  const size_t properties = kind == 0 ? 4 : kind == 1 ? 12 : kind == 9 ? 8 : 0;  // of integers, floats; a base type
  if (size == 0 || data.size() < 8 + properties) file.fail("has a damaged type");
  return size;
}

/// An attribute must hold the name, type, shape and value that it promises: HDF5 copies them unchecked.
void check_attribute(const RawFile& file, const std::string& data) {
  const uint64_t version = file.number(data, 0, 1), begin = version == 3 ? 9 : 8;
  const auto padded = [&](uint64_t size) { return version == 1 ? (size + 7) / 8 * 8 : size; };
  const uint64_t name = file.number(data, 2, 2), type = file.number(data, 4, 2), space = file.number(data, 6, 2);
  const uint64_t type_at = begin + padded(name), space_at = type_at + padded(type), value_at = space_at + padded(space);
  const bool ends = name > 0 && begin + name <= data.size() && data[begin + name - 1] == '\0' &&
                    data.find('\0', begin) == begin + name - 1;
  if (version < 1 || version > 3 || !ends || value_at > data.size()) file.fail("has a damaged attribute");
  if (version > 1 && (file.number(data, 1, 1) & 3) != 0) return;  // type or shape kept elsewhere, by reference
  uint64_t bytes = 0;
  const uint64_t count = check_space(file, data.substr(space_at, space));
  if (__builtin_mul_overflow(count, check_type(file, data.substr(type_at, type)), &bytes) ||
      bytes > data.size() - value_at) {
    file.fail("has a damaged attribute");
  }
}

/// A fill value must hold the bytes that it promises.
void check_fill(const RawFile& file, const std::string& data) {
  const uint64_t version = file.number(data, 0, 1);
  const bool given = version == 3 ? file.number(data, 1, 1) & 0x20 : version == 1 || file.number(data, 3, 1) != 0;
  const size_t at = version == 3 ? 2 : 4;
  if (given && file.number(data, at, 4) > data.size() - at - 4) file.fail("has a damaged fill value");
}

Layout parse_layout(const RawFile& file, const std::string& data) {
  const uint64_t version = file.number(data, 0, 1);
  if (version < 1 || version > 4) file.fail("has a damaged layout");
  const bool old = version <= 2;
  const uint64_t kind = file.number(data, old ? 2 : 1, 1);
  if (kind != 1 && kind != 2) {
    file.fail(kind == 0 ? "is stored compact, which is not read here" : "keeps its data in another file");
  }
  Layout layout;
  layout.chunked = kind == 2;
  if (!layout.chunked) {
    layout.data = file.number(data, old ? 8 : 2, 8);
    return layout;
  }
  const uint64_t rank = file.number(data, version == 4 ? 3 : old ? 1 : 2, 1);
  const size_t width = version == 4 ? file.number(data, 4, 1) : 4, first = version == 4 ? 5 : old ? 16 : 11;
  if (rank < 1 || rank > H5S_MAX_RANK + 1 || width < 1 || width > 8) file.fail("has damaged chunk sizes");
  for (size_t i = 0; i < rank; ++i) layout.chunk.push_back(file.number(data, first + i * width, width));
  if (version <= 3) layout.tree = file.number(data, old ? 8 : 3, 8);
  if (std::find(layout.chunk.begin(), layout.chunk.end(), 0u) != layout.chunk.end()) {
    file.fail("has damaged chunk sizes");
  }
  return layout;
}

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

void for_each_message(const RawFile& file, uint64_t address,
                      const std::function<void(int, const std::string&)>& visit) {
  Walker walker{file, visit};
  const std::string head = file.bytes_at(address, 16);
  if (head.compare(0, 4, "OHDR") == 0) {  // signature, version, flags, optional times and phase change, block size
    const unsigned flags = static_cast<uint8_t>(head[5]);
    const uint64_t skip = 6 + (flags & 0x20 ? 16u : 0u) + (flags & 0x10 ? 4u : 0u), width = uint64_t{1} << (flags & 3);
    const uint64_t size = file.number(file.bytes_at(address + skip, width), 0, width);
    walker.is_new = true;
    walker.prefix = flags & 4 ? 6 : 4;
    walker.walk(file.bytes_at(address + skip + width, size));
  } else if (head[0] == 1) {
    walker.walk(file.bytes_at(address + 16, file.number(head, 8, 4)));
  } else {
    file.fail("has a damaged object header");
  }
}

std::optional<Layout> read_layout(const std::string& path, uint64_t address, const std::string& name) {
  const RawFile file(path, name);
  std::optional<Layout> found;
  for_each_message(file, address, [&](int type, const std::string& data) {
    if (type == kSpace) check_space(file, data);
    if (type == kFill) check_fill(file, data);
    if (type == kAttribute) check_attribute(file, data);
    if (type == kType) check_type(file, data);
    if (type != kLayout) return;
    if (found) file.fail("has two layouts");
    found = parse_layout(file, data);
  });
  return found;
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
