// NPY and NPZ: uint8 [N,H,W], [N,C,H,W] or [N,H,W,C] are images; float32 or float64 [N,D] are vectors.
// SPDX-License-Identifier: Apache-2.0
#include "io/npy.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/text.h"
#include "io/importers/common.h"
#include "io/zip.h"

namespace plumb::io {
namespace {

/// An array read row by row.
struct ArrayStream {
  std::unique_ptr<ByteSource> source;
  NpyHeader header;
  std::string title;  // file, and array within an archive

  explicit ArrayStream(std::unique_ptr<ByteSource> bytes, const std::string& name)
      : source(std::move(bytes)), title(name) {
    header = read_npy_header(*source);
    if (header.shape.empty()) throw Error(Exit::kBadInput, title, "is a single number, not an array of items");
    if (header.fortran_order && header.shape.size() > 1) {
      throw Error(Exit::kBadInput, title, "is in Fortran order, which cannot be streamed",
                  "save it with numpy.ascontiguousarray");
    }
    if (header.numel() == 0) throw Error(Exit::kBadInput, title, "is empty: " + header.text());
  }
  /// The next rows, native byte order.
  std::string rows(int64_t n) {
    const size_t row = header.numel() / static_cast<size_t>(header.shape[0]) * header.item_size;
    std::string bytes(static_cast<size_t>(n) * row, '\0');
    source->read_exact(bytes.data(), bytes.size(), "the array " + header.text());
    if (header.big_endian && header.item_size > 1) {
      for (size_t at = 0; at < bytes.size(); at += header.item_size)
        std::reverse(&bytes[at], &bytes[at] + header.item_size);
    }
    return bytes;
  }
};

class NpyImporter : public Importer {
 public:
  explicit NpyImporter(const ImportOptions& options) {
    path_ = only_path(options, "npy");
    const bool archive = is_zip(path_);
    refuse_unused(
        options, archive ? "npy (NPZ archive)" : "npy (single array)",
        archive ? std::vector<std::string>{"labels", "array", "label-array"} : std::vector<std::string>{"labels"});
    if (archive) open_archive(options);
    else items_ = std::make_unique<ArrayStream>(open_source(path_), path_);
    if (!options.labels.empty() && options.labels != "none") {
      labels_path_ = options.labels;
      labels_ = std::make_unique<ArrayStream>(open_source(labels_path_), labels_path_);
    }
    count_ = items_->header.shape[0];
    read_space();
    if (!labels_) return;
    const NpyHeader& labels = labels_->header;
    const bool one_column = labels.shape.size() == 1 || (labels.shape.size() == 2 && labels.shape[1] == 1);
    if (labels.kind == 'f' || !one_column || labels.shape[0] != count_) {
      throw Error(Exit::kBadInput, labels_->title,
                  cat("is ", labels.text(), ", whole numbers [", count_, "] were expected"));
    }
  }
  Space space() const override { return space_; }
  int64_t count() const override { return count_; }
  bool has_labels() const override { return labels_ != nullptr; }
  std::vector<std::string> files() const override {
    return labels_path_.empty() ? std::vector<std::string>{path_} : std::vector<std::string>{path_, labels_path_};
  }

  int64_t next(int64_t max, std::vector<uint8_t>& items, std::vector<int64_t>& labels) override {
    const int64_t n = std::min(max, count_ - done_);
    items.clear();
    labels.clear();
    if (n <= 0) return 0;
    const std::string bytes = items_->rows(n);
    if (space_.type == "vector") to_float32(bytes, items);
    else if (channels_last_) to_planar(bytes, items);
    else items.assign(bytes.begin(), bytes.end());
    if (labels_) {
      NpyArray part{labels_->header, labels_->rows(n)};
      part.header.shape = {n};
      labels = part.as_i64();
    }
    done_ += n;
    if (done_ == count_) {
      for (ArrayStream* stream : {items_.get(), labels_.get()}) {
        if (stream && !stream->source->at_end())
          throw Error(Exit::kBadInput, stream->title, "has bytes after the array");
      }
    }
    return n;
  }

 private:
  std::unique_ptr<ArrayStream> open_member(const ZipReader& zip, const std::string& name) const {
    const ZipEntry* entry = zip.find(name + ".npy");
    if (!entry)
      throw Error(Exit::kBadInput, path_, "has no array '" + name + "'", "it has: " + join(npz_names(path_), ", "));
    return std::make_unique<ArrayStream>(zip.open(*entry), path_ + "[" + name + "]");
  }

  void open_archive(const ImportOptions& options) {
    const ZipReader zip(path_);
    const std::vector<std::string> names = npz_names(path_);
    std::string chosen = options.array;
    if (chosen.empty()) {
      for (const std::string& name : names) {
        const auto source = zip.open(*zip.find(name + ".npy"));
        if (read_npy_header(*source).shape.size() < 2) continue;
        if (!chosen.empty())
          throw Error(Exit::kBadInput, path_, "has several arrays of items: " + chosen + ", " + name,
                      "choose with --array");
        chosen = name;
      }
      if (chosen.empty()) throw Error(Exit::kBadInput, path_, "has no array of items", "it has: " + join(names, ", "));
    }
    items_ = open_member(zip, chosen);
    std::string label = options.label_array;
    for (const char* usual : {"labels", "label", "y"}) {
      const bool there = std::find(names.begin(), names.end(), usual) != names.end();
      if (label.empty() && options.labels.empty() && there && chosen != usual) label = usual;
    }
    if (label.empty()) return;
    if (!options.labels.empty()) throw Error(Exit::kUsage, "--label-array", "and --labels exclude each other");
    labels_ = open_member(zip, label);
  }

  void read_space() {
    const NpyHeader& header = items_->header;
    const std::vector<int64_t>& s = header.shape;
    if (header.kind == 'f' && header.item_size >= 4 && s.size() == 2) {
      space_.type = "vector";
      space_.shape = {s[1]};
      return;
    }
    const auto is_depth = [](int64_t n) { return n == 1 || n == 3; };
    if (header.kind == 'u' && header.item_size == 1 && s.size() == 3) {
      space_.shape = {1, s[1], s[2]};
    } else if (header.kind == 'u' && header.item_size == 1 && s.size() == 4 &&
               is_depth(s[1])) {  // also where both ends fit
      space_.shape = {s[1], s[2], s[3]};
    } else if (header.kind == 'u' && header.item_size == 1 && s.size() == 4 && is_depth(s[3])) {
      space_.shape = {s[3], s[1], s[2]};
      channels_last_ = s[3] != 1;
    } else {
      throw Error(Exit::kBadInput, items_->title, "is " + header.text(),
                  "images are uint8 [N,H,W], [N,C,H,W] or [N,H,W,C] with 1 or 3 channels; vectors are float32 [N,D]");
    }
  }

  void to_float32(const std::string& bytes, std::vector<uint8_t>& out) const {
    NpyArray part{items_->header, bytes};
    part.header.shape[0] = static_cast<int64_t>(bytes.size() / part.header.item_size) / part.header.shape[1];
    const std::vector<double> values = part.as_f64();
    out.resize(values.size() * sizeof(float));
    for (size_t i = 0; i < values.size(); ++i) {
      const float value = static_cast<float>(values[i]);
      if (!std::isfinite(value)) {
        const int64_t width = part.header.shape[1], at = static_cast<int64_t>(i);
        throw Error(Exit::kBadNumbers, items_->title,
                    cat("item ", done_ + at / width, ", element ", at % width, " is not finite as float32"));
      }
      std::memcpy(out.data() + i * sizeof value, &value, sizeof value);
    }
  }

  void to_planar(const std::string& bytes, std::vector<uint8_t>& out) const {
    const size_t depth = static_cast<size_t>(space_.shape[0]),
                 plane = static_cast<size_t>(space_.shape[1] * space_.shape[2]);
    out.resize(bytes.size());
    for (size_t first = 0; first < bytes.size(); first += depth * plane) {
      for (size_t i = 0; i < plane; ++i) {
        for (size_t c = 0; c < depth; ++c)
          out[first + c * plane + i] = static_cast<uint8_t>(bytes[first + i * depth + c]);
      }
    }
  }

  std::string path_, labels_path_;
  std::unique_ptr<ArrayStream> items_, labels_;
  Space space_;
  bool channels_last_ = false;
  int64_t count_ = 0, done_ = 0;
};

}  // namespace

bool recognise_npy(const std::string& path) {
  if (is_zip(path)) return true;
  try {
    char head[6] = {};
    return open_source(path)->read(head, 6) == 6 && std::memcmp(head, "\x93NUMPY", 6) == 0;
  } catch (const Error&) {
    return false;
  }
}

std::unique_ptr<Importer> make_npy(const ImportOptions& options) { return std::make_unique<NpyImporter>(options); }

}  // namespace plumb::io
