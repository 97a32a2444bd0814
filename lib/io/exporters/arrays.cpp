// Items, labels and feature statistics as NumPy arrays.   SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "core/error.h"
#include "core/progress.h"
#include "core/text.h"
#include "io/exporter.h"
#include "io/npy.h"

namespace plumb::io {
namespace {

constexpr int64_t kPieceBytes = 8 << 20;
constexpr int64_t kZipLimit = int64_t{4} << 30;

/// The items of an artefact in the axis order asked for, piece by piece.
class ItemArray {
 public:
  ItemArray(const Manifest& items, const ExportOptions& options)
      : file_(open_artefact(items)), space_(items.space()), count_(export_count(items, options.limit)),
        channels_last_(options.layout == "nhwc"), element_(space_.stored_as_bytes() ? 1 : sizeof(float)) {
    if (channels_last_ && (space_.type != "image" || space_.shape.size() != 3)) {
      throw Error(Exit::kUsage, "--layout", "nhwc is for images", items.label() + " holds " + space_.text());
    }
  }
  std::string descr() const { return element_ == 1 ? "|u1" : "<f4"; }
  std::vector<int64_t> shape() const {
    const std::vector<int64_t>& s = space_.shape;
    std::vector<int64_t> all{count_};
    if (channels_last_) all.insert(all.end(), {s[1], s[2], s[0]});
    else all.insert(all.end(), s.begin(), s.end());
    return all;
  }
  int64_t bytes() const { return count_ * item_bytes(); }
  const H5Reader& file() const { return file_; }
  int64_t count() const { return count_; }

  /// Calls take(bytes, size) for successive pieces.
  template <typename Take>
  void each_piece(const Take& take) const {
    const int64_t step = std::max<int64_t>(1, kPieceBytes / std::max<int64_t>(1, item_bytes()));
    std::vector<uint8_t> piece, turned;
    Progress progress("items", count_);
    for (int64_t first = 0; first < count_; first += step) {
      const int64_t rows = std::min(step, count_ - first);
      piece.resize(static_cast<size_t>(rows * item_bytes()));
      file_.read(space_.dataset(), element_ == 1 ? Type::kU8 : Type::kF32, first, rows, piece.data());
      if (channels_last_) turn(piece, rows, turned);
      const std::vector<uint8_t>& out = channels_last_ ? turned : piece;
      take(reinterpret_cast<const char*>(out.data()), out.size());
      progress.update(first + rows);
    }
  }

 private:
  int64_t item_bytes() const { return space_.numel() * static_cast<int64_t>(element_); }
  void turn(const std::vector<uint8_t>& from, int64_t rows, std::vector<uint8_t>& to) const {
    const size_t channels = static_cast<size_t>(space_.shape[0]), area = static_cast<size_t>(space_.shape[1] * space_.shape[2]);
    to.resize(from.size());
    for (size_t n = 0; n < static_cast<size_t>(rows); ++n) {
      for (size_t c = 0; c < channels; ++c) {
        for (size_t i = 0; i < area; ++i) to[(n * area + i) * channels + c] = from[(n * channels + c) * area + i];
      }
    }
  }

  H5Reader file_;
  Space space_;
  int64_t count_;
  bool channels_last_;
  size_t element_;
};

std::vector<int64_t> labels_of(const ItemArray& items) {
  std::vector<int64_t> labels;
  if (!items.file().has("label")) return labels;
  labels.resize(static_cast<size_t>(items.count()));
  items.file().read("label", Type::kI64, 0, items.count(), labels.data());
  return labels;
}

/// mu and sigma by the names that pytorch-fid reads.
void export_statistics(const Manifest& features, const ExportOptions& options) {
  const H5Reader file = open_artefact(features);
  if (!file.has("mu") || !file.has("sigma")) {
    throw Error(Exit::kBadInput, features.label(), "holds features without statistics", "make them with evaluate-fid --save-stats");
  }
  if (options.dry_run) return;
  write_npz(options.path, {{"mu", npy_bytes(file.info("mu").shape, file.read_f64("mu"))},
                           {"sigma", npy_bytes(file.info("sigma").shape, file.read_f64("sigma"))}}, options.compress);
}

}  // namespace

void export_npy(const Manifest& input, const ExportOptions& options) {
  refuse_options("npy", options, {"layout", "limit"});
  refuse_existing(options, input);
  const ItemArray items(items_of(input), options);
  if (options.dry_run) return;
  AtomicFile target(options.path);
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(std::fopen(target.temporary().c_str(), "wb"), std::fclose);
  const auto put = [&](const char* data, size_t size) {
    if (!out || std::fwrite(data, 1, size, out.get()) != size) throw Error(Exit::kFailed, options.path, std::strerror(errno));
  };
  const std::string header = npy_bytes(items.descr(), items.shape(), nullptr, 0);
  put(header.data(), header.size());
  items.each_piece(put);
  if (std::fclose(out.release()) != 0) throw Error(Exit::kFailed, options.path, std::strerror(errno));
  target.commit();
}

void export_npz(const Manifest& input, const ExportOptions& options) {
  refuse_options("npz", options, {"layout", "limit", "compress"});
  refuse_existing(options, input);
  if (input.kind() == "features") return export_statistics(input, options);
  const ItemArray items(items_of(input), options);
  if (items.bytes() >= kZipLimit) throw Error(Exit::kUsage, "--to", "npz is for less than 4 GiB of items", "use --to npy, or --limit");
  if (options.dry_run) return;
  std::string bytes;
  bytes.reserve(static_cast<size_t>(items.bytes()));
  items.each_piece([&](const char* data, size_t size) { bytes.append(data, size); });
  const bool nhwc = options.layout == "nhwc";  // arr_0 and arr_1 are what guided-diffusion's evaluator reads
  std::vector<std::pair<std::string, std::string>> arrays;
  arrays.emplace_back(nhwc ? "arr_0" : "items", npy_bytes(items.descr(), items.shape(), bytes.data(), bytes.size()));
  if (const std::vector<int64_t> labels = labels_of(items); !labels.empty()) {
    arrays.emplace_back(nhwc ? "arr_1" : "labels", npy_bytes("<i8", {items.count()}, labels.data(), labels.size() * sizeof(int64_t)));
  }
  write_npz(options.path, arrays, options.compress);
}

}  // namespace plumb::io
