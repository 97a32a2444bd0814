// CIFAR-10, binary version: records of one label byte and 3072 bytes of planar 32x32 RGB. Source: Krizhevsky 2009, and
// the data set's page.   SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "core/text.h"
#include "io/atomic_file.h"
#include "io/byte_source.h"
#include "io/importers/common.h"

namespace plumb::io {
namespace fs = std::filesystem;
namespace {

constexpr size_t kPixels = 3 * 32 * 32, kRecord = kPixels + 1;
constexpr int kClasses = 10;

/// The training batches of a folder, sorted; test_batch.bin is only read when it is named.
std::vector<std::string> batches_in(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code problem;
  for (const auto& entry : fs::directory_iterator(folder, problem)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind("data_batch_", 0) == 0 && entry.path().extension() == ".bin") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

class CifarImporter : public Importer {
 public:
  explicit CifarImporter(const ImportOptions& options) {
    refuse_unused(options, "cifar", {"labels"});
    if (!options.labels.empty() && options.labels != "none") {
      throw Error(Exit::kUsage, "--labels", "CIFAR-10's labels are in its batches", "leave it out, or give none");
    }
    with_labels_ = options.labels.empty();
    space_.shape = {3, 32, 32};
    for (const std::string& path : options.paths) {
      if (!fs::is_directory(path)) {
        files_.push_back(path);
        continue;
      }
      const std::vector<std::string> found = batches_in(path);
      if (found.empty())
        throw Error(Exit::kBadInput, path, "has no data_batch_*.bin", "name the folder of CIFAR-10's binary version");
      files_.insert(files_.end(), found.begin(), found.end());
    }
    for (const std::string& file : files_) {
      const uint64_t size = open_plain(file)->ceiling();
      if (size == 0) throw Error(Exit::kBadInput, file, "is empty");
      if (size % kRecord != 0) {
        throw Error(Exit::kBadInput, file,
                    cat("is truncated or not CIFAR-10: ", size, " bytes is not a multiple of ", kRecord));
      }
      count_ += static_cast<int64_t>(size / kRecord);
    }
    read_names(fs::path(files_[0]).parent_path() / "batches.meta.txt");
  }
  Space space() const override { return space_; }
  int64_t count() const override { return count_; }
  bool has_labels() const override { return with_labels_; }
  std::vector<std::string> label_names() const override { return names_; }
  std::vector<std::string> files() const override { return files_; }

  int64_t next(int64_t max, std::vector<uint8_t>& items, std::vector<int64_t>& labels) override {
    const size_t wanted = static_cast<size_t>(std::min(max, count_ - done_));
    items.resize(wanted * kPixels);
    labels.clear();
    for (size_t i = 0; i < wanted; ++i, ++done_) {
      uint8_t label = 0;
      while (!source_ || source_->read(&label, 1) == 0) {
        if (file_ == files_.size())
          throw Error(Exit::kBadInput, files_.back(), "is shorter than it was when it was opened");
        source_ = open_plain(files_[file_++]);
      }
      if (label >= kClasses) {
        throw Error(Exit::kBadInput, source_->name(),
                    cat("is not CIFAR-10: label ", int{label}, " at item ", done_, " of all"));
      }
      source_->read_exact(items.data() + i * kPixels, kPixels, "an image");
      if (with_labels_) labels.push_back(label);
    }
    return static_cast<int64_t>(wanted);
  }

 private:
  /// Class names, one a line; absent or odd ones are left out, the data set is whole without them.
  void read_names(const fs::path& path) {
    std::error_code problem;
    if (!fs::is_regular_file(path, problem) || fs::file_size(path, problem) > 4096) return;
    for (const std::string& line : split(read_file(path.string()), '\n')) {
      if (!trim(line).empty()) names_.push_back(trim(line));
    }
    if (names_.size() != kClasses) names_.clear();
  }

  std::vector<std::string> files_, names_;
  std::unique_ptr<ByteSource> source_;
  size_t file_ = 0;
  Space space_;
  bool with_labels_ = true;
  int64_t count_ = 0, done_ = 0;
};

}  // namespace

bool recognise_cifar(const std::string& path) {
  try {
    if (fs::is_directory(path)) return !batches_in(path).empty();
    const auto source = open_plain(path);
    uint8_t label = 0;
    return source->ceiling() % kRecord == 0 && source->read(&label, 1) == 1 && label < kClasses &&
           fs::path(path).extension() == ".bin";
  } catch (const std::exception&) {
    return false;
  }
}

std::unique_ptr<Importer> make_cifar(const ImportOptions& options) { return std::make_unique<CifarImporter>(options); }

}  // namespace plumb::io
