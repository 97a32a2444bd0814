// SPDX-License-Identifier: Apache-2.0
#include "io/byte_source.h"

#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/text.h"

namespace plumb::io {
namespace {

constexpr uint64_t kDeflateGain = 1040;  // deflate cannot shrink below 1/1032
constexpr size_t kBlock = 1 << 16;

class PlainSource : public ByteSource {
 public:
  PlainSource(const std::string& path, uint64_t offset)
      : ByteSource(path), file_(std::fopen(path.c_str(), "rb"), std::fclose) {
    if (!file_) throw Error(Exit::kBadInput, path, std::strerror(errno));
    struct stat status {};
    if (::fstat(::fileno(file_.get()), &status) != 0) throw Error(Exit::kBadInput, path, std::strerror(errno));
    if (!S_ISREG(status.st_mode))
      throw Error(Exit::kBadInput, path, S_ISDIR(status.st_mode) ? "is a folder" : "is not a regular file");
    const uint64_t size = static_cast<uint64_t>(status.st_size);
    if (offset > size || ::fseeko(file_.get(), static_cast<off_t>(offset), SEEK_SET) != 0) {
      throw Error(Exit::kBadInput, path, cat("is truncated: ", size, " bytes, byte ", offset, " was needed"));
    }
    left_ = size - offset;
  }
  size_t read(void* out, size_t size) override {
    const size_t got = std::fread(out, 1, size, file_.get());
    if (got < size && std::ferror(file_.get())) throw Error(Exit::kBadInput, name(), std::strerror(errno));
    return got;
  }
  uint64_t ceiling() const override { return left_; }

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  uint64_t left_ = 0;
};

class InflateSource : public ByteSource {
 public:
  InflateSource(std::unique_ptr<ByteSource> input, uint64_t packed, bool gzip)
      : ByteSource(input->name()),
        input_(std::move(input)),
        packed_(packed),
        left_(packed),
        gzip_(gzip),
        block_(kBlock) {
    if (inflateInit2(&stream_, gzip ? 15 + 16 : -15) != Z_OK)
      throw Error(Exit::kFailed, name(), "zlib could not start");
  }
  ~InflateSource() override { inflateEnd(&stream_); }

  size_t read(void* out, size_t size) override {
    size_t done = 0;
    while (done < size && !ended_) {
      if (stream_.avail_in == 0 && !fill())
        throw Error(Exit::kBadInput, name(), "is truncated: its compressed data ends early");
      const size_t want = std::min<size_t>(size - done, size_t{1} << 30);
      stream_.next_out = static_cast<Bytef*>(out) + done;
      stream_.avail_out = static_cast<uInt>(want);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      done += want - stream_.avail_out;
      if (status == Z_STREAM_END) {
        finish_member();
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        throw Error(Exit::kBadInput, name(),
                    cat("has damaged compressed data: ", stream_.msg ? stream_.msg : "unknown reason"));
      }
    }
    return done;
  }
  uint64_t ceiling() const override {
    return packed_ > UINT64_MAX / kDeflateGain ? UINT64_MAX : packed_ * kDeflateGain;
  }

 private:
  bool fill() {
    const size_t got = input_->read(block_.data(), static_cast<size_t>(std::min<uint64_t>(left_, block_.size())));
    left_ -= got;
    stream_.next_in = block_.data();
    stream_.avail_in = static_cast<uInt>(got);
    return got > 0;
  }
  /// gzip files may be several members on end (RFC 1952, 2.2), or be padded with zeros.
  void finish_member() {
    if (!gzip_) {
      ended_ = true;
      return;
    }
    while (stream_.avail_in > 0 || fill()) {
      if (*stream_.next_in == 0) {
        ++stream_.next_in;
        --stream_.avail_in;
        continue;
      }
      if (*stream_.next_in != 0x1f) throw Error(Exit::kBadInput, name(), "has foreign bytes after its gzip data");
      inflateReset(&stream_);
      return;
    }
    ended_ = true;
  }

  std::unique_ptr<ByteSource> input_;
  uint64_t packed_, left_;
  bool gzip_, ended_ = false;
  std::vector<Bytef> block_;
  z_stream stream_{};
};

}  // namespace

void ByteSource::read_exact(void* out, size_t size, const std::string& what) {
  const size_t got = read(out, size);
  if (got < size)
    throw Error(Exit::kBadInput, name_, cat("is truncated: it ends inside ", what), "copy or download it again");
}

void ByteSource::skip(uint64_t size, const std::string& what) {
  std::vector<char> scratch(static_cast<size_t>(std::min<uint64_t>(size, kBlock)));
  while (size > 0) {
    const size_t part = static_cast<size_t>(std::min<uint64_t>(size, scratch.size()));
    read_exact(scratch.data(), part, what);
    size -= part;
  }
}

bool ByteSource::at_end() {
  char byte = 0;
  return read(&byte, 1) == 0;
}

std::unique_ptr<ByteSource> open_plain(const std::string& path, uint64_t offset) {
  return std::make_unique<PlainSource>(path, offset);
}

std::unique_ptr<ByteSource> open_source(const std::string& path) {
  unsigned char head[2] = {0, 0};
  auto probe = open_plain(path);
  if (probe->ceiling() == 0) throw Error(Exit::kBadInput, path, "is empty");
  if (probe->read(head, 2) < 2 || head[0] != 0x1f || head[1] != 0x8b) return open_plain(path);
  auto plain = open_plain(path);
  const uint64_t size = plain->ceiling();
  return std::make_unique<InflateSource>(std::move(plain), size, true);
}

std::unique_ptr<ByteSource> inflate_source(std::unique_ptr<ByteSource> input, uint64_t packed) {
  return std::make_unique<InflateSource>(std::move(input), packed, false);
}

}  // namespace plumb::io
