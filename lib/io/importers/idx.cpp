// IDX, the format of MNIST and its kin: big-endian magic and sizes, then uint8. Source: LeCun, Cortes, Burges, "The
// MNIST database".   SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <filesystem>

#include "core/error.h"
#include "core/text.h"
#include "io/byte_source.h"
#include "io/importers/common.h"

namespace plumb::io {
namespace {

constexpr uint32_t kImages = 0x803, kLabels = 0x801;  // uint8 of 3 dimensions, of 1

uint32_t read_u32(ByteSource& source) {
  std::array<uint8_t, 4> b{};
  source.read_exact(b.data(), b.size(), "the IDX header");
  return static_cast<uint32_t>(b[0]) << 24 | static_cast<uint32_t>(b[1]) << 16 | static_cast<uint32_t>(b[2]) << 8 |
         b[3];
}

/// Opens an IDX file and reads its header; refuses sizes that the file cannot hold.
std::unique_ptr<ByteSource> open_idx(const std::string& path, uint32_t magic, std::vector<int64_t>& sizes) {
  auto source = open_source(path);
  const uint32_t found = read_u32(*source);
  if (found != magic) {
    const bool other = found == (magic == kImages ? kLabels : kImages);
    throw Error(Exit::kBadInput, path,
                cat("is not an IDX file of ", magic == kImages ? "images" : "labels", ": magic number ", found,
                    ", expected ", magic),
                other ? "images and labels are the wrong way round" : "");
  }
  uint64_t total = 4;
  for (uint32_t i = 0; i < (magic & 255); ++i) sizes.push_back(read_u32(*source));
  uint64_t items = 1;
  for (const int64_t size : sizes) {
    if (size == 0) throw Error(Exit::kBadInput, path, "has no items");
    if (__builtin_mul_overflow(items, static_cast<uint64_t>(size), &items) || items > uint64_t{1} << 50)
      items = uint64_t{1} << 50;
  }
  total += 4 * sizes.size() + items;
  if (total > source->ceiling()) {
    throw Error(Exit::kBadInput, path, cat("is truncated: its header promises ", shape_text(sizes)),
                "copy or download it again");
  }
  return source;
}

/// The labels file that belongs to an images file by the usual names, or "".
std::string labels_beside(const std::string& images) {
  namespace fs = std::filesystem;
  const fs::path path(images);
  for (const auto& [from, to] :
       {std::pair<std::string, std::string>{"images-idx3", "labels-idx1"}, {"images.idx3", "labels.idx1"}}) {
    std::string name = path.filename().string();
    const size_t at = name.find(from);
    if (at == std::string::npos) continue;
    name.replace(at, from.size(), to);
    const bool zipped = name.size() > 3 && name.compare(name.size() - 3, 3, ".gz") == 0;
    for (const std::string& candidate : {name, zipped ? name.substr(0, name.size() - 3) : name + ".gz"}) {
      const fs::path full = path.parent_path() / candidate;
      if (fs::is_regular_file(full)) return full.string();
    }
  }
  return "";
}

class IdxImporter : public Importer {
 public:
  explicit IdxImporter(const ImportOptions& options) {
    refuse_unused(options, "idx", {"labels"});
    path_ = only_path(options, "idx");
    std::vector<int64_t> sizes, label_sizes;
    images_ = open_idx(path_, kImages, sizes);
    count_ = sizes[0];
    space_.shape = {1, sizes[1], sizes[2]};
    if (options.labels != "none") labels_path_ = options.labels.empty() ? labels_beside(path_) : options.labels;
    if (labels_path_.empty()) return;
    labels_ = open_idx(labels_path_, kLabels, label_sizes);
    if (label_sizes[0] != count_) {
      throw Error(Exit::kBadInput, labels_path_, cat("has ", label_sizes[0], " labels for ", count_, " images"),
                  "name the right --labels");
    }
  }
  Space space() const override { return space_; }
  int64_t count() const override { return count_; }
  bool has_labels() const override { return labels_ != nullptr; }
  std::vector<std::string> files() const override {
    return labels_path_.empty() ? std::vector<std::string>{path_} : std::vector<std::string>{path_, labels_path_};
  }
  int64_t next(int64_t max, std::vector<uint8_t>& items, std::vector<int64_t>& labels) override {
    const size_t n = static_cast<size_t>(std::min(max, count_ - done_));
    items.resize(n * static_cast<size_t>(space_.numel()));
    images_->read_exact(items.data(), items.size(), "its images");
    labels.clear();
    if (labels_) {
      std::vector<uint8_t> bytes(n);
      labels_->read_exact(bytes.data(), n, "its labels");
      labels.assign(bytes.begin(), bytes.end());
    }
    done_ += static_cast<int64_t>(n);
    if (n > 0 && done_ == count_) {  // also makes gzip check its checksum
      if (!images_->at_end()) throw Error(Exit::kBadInput, path_, "has bytes after its last image");
      if (labels_ && !labels_->at_end()) throw Error(Exit::kBadInput, labels_path_, "has bytes after its last label");
    }
    return static_cast<int64_t>(n);
  }

 private:
  std::string path_, labels_path_;
  std::unique_ptr<ByteSource> images_, labels_;
  Space space_;
  int64_t count_ = 0, done_ = 0;
};

}  // namespace

bool recognise_idx(const std::string& path) {
  try {
    return read_u32(*open_source(path)) == kImages;
  } catch (const Error&) {
    return false;
  }
}

std::unique_ptr<Importer> make_idx(const ImportOptions& options) { return std::make_unique<IdxImporter>(options); }

}  // namespace plumb::io
