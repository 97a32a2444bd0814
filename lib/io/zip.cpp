// SPDX-License-Identifier: Apache-2.0
#include "io/zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/text.h"

namespace plumb::io {
namespace {

constexpr uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50,
                   kLocator64 = 0x07064b50;
constexpr uint64_t kMaxDirectory = uint64_t{64} << 20;
constexpr uint16_t kDate = 0x0021;  // 1 January 1980, the format's first day

uint64_t number(const std::string& bytes, size_t at, size_t width) {
  uint64_t value = 0;
  for (size_t i = width; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

void put(std::string& out, uint64_t value, size_t width) {
  for (size_t i = 0; i < width; ++i) out += static_cast<char>(value >> (8 * i) & 255);
}

[[noreturn]] void damaged(const std::string& path, const std::string& what) {
  throw Error(Exit::kBadInput, path, "is a damaged or truncated zip archive: " + what, "copy or make it again");
}

std::string bytes_at(const std::string& path, uint64_t offset, uint64_t size) {
  std::string bytes(static_cast<size_t>(size), '\0');
  open_plain(path, offset)->read_exact(bytes.data(), bytes.size(), "the zip directory");
  return bytes;
}

/// A member's bytes; at the last one, size and CRC-32 must be what the directory says.
class MemberSource : public ByteSource {
 public:
  MemberSource(const std::string& path, const ZipEntry& entry, std::unique_ptr<ByteSource> inner)
      : ByteSource(path), entry_(entry), inner_(std::move(inner)) {}
  size_t read(void* out, size_t size) override {
    const size_t want = static_cast<size_t>(std::min<uint64_t>(size, entry_.size - done_));
    const size_t got = inner_->read(out, want);
    if (got < want) damaged(name(), "'" + entry_.name + "' ends early");
    done_ += got;
    for (size_t at = 0; at < got;) {
      const uInt part = static_cast<uInt>(std::min<size_t>(got - at, size_t{1} << 30));
      crc_ = static_cast<uint32_t>(crc32(crc_, static_cast<const Bytef*>(out) + at, part));
      at += part;
    }
    if (done_ == entry_.size && crc_ != entry_.crc) damaged(name(), "'" + entry_.name + "' has a wrong checksum");
    return got;
  }
  uint64_t ceiling() const override { return std::min(entry_.size, inner_->ceiling()); }

 private:
  ZipEntry entry_;
  std::unique_ptr<ByteSource> inner_;
  uint64_t done_ = 0;
  uint32_t crc_ = 0;
};

}  // namespace

bool is_zip(const std::string& path) {
  try {
    char head[4] = {};
    return open_plain(path)->read(head, 4) == 4 && head[0] == 'P' && head[1] == 'K' &&
           ((head[2] == 3 && head[3] == 4) || (head[2] == 5 && head[3] == 6));
  } catch (const Error&) {
    return false;
  }
}

ZipReader::ZipReader(const std::string& path) : path_(path) {
  const uint64_t size = open_plain(path)->ceiling();
  const uint64_t tail_size = std::min<uint64_t>(size, 22 + 65535 + 20);
  const uint64_t tail_at = size - tail_size;
  const std::string tail = bytes_at(path, tail_at, tail_size);
  size_t end = std::string::npos;
  for (size_t at = tail.size() < 22 ? 0 : tail.size() - 22 + 1; at-- > 0;) {
    if (number(tail, at, 4) == kEnd) {
      end = at;
      break;
    }
  }
  if (end == std::string::npos) damaged(path, "it has no directory");
  uint64_t count = number(tail, end + 10, 2), bytes = number(tail, end + 12, 4), begin = number(tail, end + 16, 4);
  if (end >= 20 && number(tail, end - 20, 4) == kLocator64) {
    const uint64_t at = number(tail, end - 20 + 8, 8);
    if (at > size || size - at < 56) damaged(path, "its directory lies outside");
    const std::string end64 = bytes_at(path, at, 56);
    if (number(end64, 0, 4) != kEnd64) damaged(path, "its zip64 directory is missing");
    count = number(end64, 32, 8);
    bytes = number(end64, 40, 8);
    begin = number(end64, 48, 8);
  }
  if (begin > size || bytes > size - begin || bytes > kMaxDirectory || count > bytes / 46)
    damaged(path, "its directory lies outside");
  const std::string directory = bytes_at(path, begin, bytes);
  size_t at = 0;
  for (uint64_t i = 0; i < count; ++i) {
    if (directory.size() - at < 46 || number(directory, at, 4) != kCentral) damaged(path, "its directory is cut short");
    const size_t name_size = number(directory, at + 28, 2), extra_size = number(directory, at + 30, 2);
    const size_t whole = 46 + name_size + extra_size + number(directory, at + 32, 2);
    if (directory.size() - at < whole) damaged(path, "its directory is cut short");
    ZipEntry entry;
    entry.name = directory.substr(at + 46, name_size);
    entry.method = static_cast<int>(number(directory, at + 10, 2));
    entry.crc = static_cast<uint32_t>(number(directory, at + 16, 4));
    entry.packed = number(directory, at + 20, 4);
    entry.size = number(directory, at + 24, 4);
    entry.offset = number(directory, at + 42, 4);
    if (number(directory, at + 8, 2) & 1) throw Error(Exit::kBadInput, path, "'" + entry.name + "' is encrypted");
    const size_t extra_end = at + 46 + name_size + extra_size;
    for (size_t x = at + 46 + name_size; x + 4 <= extra_end;) {  // zip64 sizes: only those that did not fit 32 bits
      const size_t field = number(directory, x + 2, 2), stop = x + 4 + field;
      if (stop > extra_end) damaged(path, "its directory is cut short");
      size_t value = x + 4;
      if (number(directory, x, 2) == 1) {
        for (uint64_t* target : {&entry.size, &entry.packed, &entry.offset}) {
          if (*target != 0xffffffff) continue;
          if (value + 8 > stop) damaged(path, "its zip64 sizes are missing");
          *target = number(directory, value, 8);
          value += 8;
        }
      }
      x = stop;
    }
    if (entry.offset > size || entry.packed > size) damaged(path, "'" + entry.name + "' lies outside");
    entries_.push_back(std::move(entry));
    at += whole;
  }
}

const ZipEntry* ZipReader::find(const std::string& name) const {
  for (const ZipEntry& entry : entries_) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

std::unique_ptr<ByteSource> ZipReader::open(const ZipEntry& entry) const {
  if (entry.method != 0 && entry.method != 8) {
    throw Error(Exit::kBadInput, path_, cat("'", entry.name, "' uses zip method ", entry.method),
                "store or deflate it");
  }
  const std::string local = bytes_at(path_, entry.offset, 30);
  if (number(local, 0, 4) != kLocal) damaged(path_, "'" + entry.name + "' is not where the directory says");
  const uint64_t data = entry.offset + 30 + number(local, 26, 2) + number(local, 28, 2);
  auto plain = open_plain(path_, data);
  if (entry.packed > plain->ceiling()) damaged(path_, "'" + entry.name + "' ends early");
  if (entry.method == 8) plain = inflate_source(std::move(plain), entry.packed);
  return std::make_unique<MemberSource>(path_, entry, std::move(plain));
}

void ZipWriter::add(const std::string& name, const std::string& bytes) {
  if (bytes.size() >= 0xffffffff || bytes_.size() + bytes.size() >= 0xfffffff0 || count_ == 0xfffe) {
    throw Error(Exit::kFailed, name, "is too large for a zip archive without zip64", "write fewer or smaller arrays");
  }
  std::string packed = bytes;
  if (deflate_) {
    z_stream stream{};
    deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
    packed.resize(deflateBound(&stream, bytes.size()));
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    deflate(&stream, Z_FINISH);
    packed.resize(stream.total_out);
    deflateEnd(&stream);
  }
  uLong crc = crc32(0, nullptr, 0);
  crc = crc32(crc, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size()));
  std::string common;  // the part that both headers share
  put(common, 20, 2);
  put(common, 0, 2);
  put(common, deflate_ ? 8 : 0, 2);
  put(common, 0, 2);
  put(common, kDate, 2);
  put(common, crc, 4);
  put(common, packed.size(), 4);
  put(common, bytes.size(), 4);
  put(common, name.size(), 2);
  put(common, 0, 2);
  put(directory_, kCentral, 4);
  put(directory_, 20 | 3 << 8, 2);  // made by version 2.0 on Unix
  directory_ += common;
  put(directory_, 0, 6);
  put(directory_, uint64_t{0100644} << 16, 4);
  put(directory_, bytes_.size(), 4);
  directory_ += name;
  put(bytes_, kLocal, 4);
  bytes_ += common + name + packed;
  ++count_;
}

std::string ZipWriter::finish() {
  std::string archive = bytes_ + directory_;
  put(archive, kEnd, 4);
  put(archive, 0, 4);
  put(archive, count_, 2);
  put(archive, count_, 2);
  put(archive, directory_.size(), 4);
  put(archive, bytes_.size(), 4);
  put(archive, 0, 2);
  return archive;
}

}  // namespace plumb::io
