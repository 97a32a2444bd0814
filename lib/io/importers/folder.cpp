// A folder of PNG and JPEG files, whole or cut into tiles. The class is the sub-folder, in sorted order (of numbers, if all are), or comes from a CSV of
// file,label.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "io/atomic_file.h"
#include "io/image_file.h"
#include "io/importers/common.h"

namespace plumb::io {
namespace fs = std::filesystem;
namespace {

bool is_image_name(const fs::path& path) {
  std::string suffix = path.extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return suffix == ".png" || suffix == ".jpg" || suffix == ".jpeg";
}

/// Whether the folder at `path` is one of those that `path` leads through from `root`: a link back.
bool leads_back(const fs::path& root, const fs::path& path) {
  std::error_code problem;
  const fs::path here = fs::canonical(path, problem);
  for (fs::path above = path.parent_path(); !problem; above = above.parent_path()) {
    if (fs::canonical(above, problem) == here) return true;
    if (above == root || above.empty() || above == above.parent_path()) return false;
  }
  return true;  // cannot be followed
}

/// Image files below `root`, relative to it, sorted bytewise. Links are followed.
std::vector<std::string> images_below(const std::string& root) {
  std::vector<std::string> files;
  std::error_code problem;
  fs::recursive_directory_iterator at(root, fs::directory_options::follow_directory_symlink, problem);
  if (problem) throw Error(Exit::kBadInput, root, problem.message());
  for (; at != fs::recursive_directory_iterator(); at.increment(problem)) {
    if (problem) throw Error(Exit::kBadInput, root, problem.message());
    const std::string name = at->path().filename().string();
    if (name[0] == '.' || (at->is_symlink() && at->is_directory(problem) && leads_back(root, at->path()))) {
      at.disable_recursion_pending();
    } else if (is_image_name(at->path()) && at->is_regular_file(problem)) {
      files.push_back(at->path().lexically_relative(root).string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// The fields of one CSV line; "quoted ""fields""" as RFC 4180, without line breaks inside.
std::vector<std::string> csv_fields(const std::string& path, int64_t number, const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += line[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  if (quoted) throw Error(Exit::kBadInput, path, cat("line ", number, " has an open quote"));
  return fields;
}

struct SizeOption {
  int64_t height = 0, width = 0;
};

SizeOption parse_size(const std::string& text) {
  if (text.empty()) return {};
  const std::vector<std::string> sides = split(text, 'x');
  const auto is_number = [](const std::string& side) {
    return !side.empty() && side.find_first_not_of("0123456789") == std::string::npos;
  };
  if (sides.size() > 2 || !std::all_of(sides.begin(), sides.end(), is_number))
    throw Error(Exit::kUsage, "--size", "'" + text + "' is not HEIGHTxWIDTH");
  SizeOption size{parse_int(sides[0], "--size"), parse_int(sides.back(), "--size")};
  if (std::min(size.height, size.width) < 1 || std::max(size.height, size.width) > 8192) {
    throw Error(Exit::kUsage, "--size", "'" + text + "' is out of range", "sides are 1 to 8192");
  }
  return size;
}

class FolderImporter : public Importer {
 public:
  explicit FolderImporter(const ImportOptions& options)
      : size_(parse_size(options.size)), tile_(options.tile), shrink_(options.shrink) {
    refuse_unused(options, "folder", {"labels", "size", "tile", "shrink", "channels"});
    for (const auto& [option, is_set] : {std::pair{"--tile", tile_ > 0}, std::pair{"--shrink", shrink_ > 1}}) {
      if (is_set && size_.height > 0) {
        throw Error(Exit::kUsage, option, "does not go with --size, which scales and crops each image to one item",
                    "leave one of them out");
      }
    }
    root_ = only_path(options, "folder");
    if (!fs::is_directory(root_))
      throw Error(Exit::kBadInput, root_, fs::exists(root_) ? "is not a folder" : "No such file or directory");
    if (options.labels.empty() || options.labels == "none") {
      files_ = images_below(root_);
      if (options.labels.empty()) label_by_folder();
    } else {
      csv_ = options.labels;
      label_by_csv();
    }
    if (files_.empty()) throw Error(Exit::kBadInput, root_, "has no PNG or JPEG images");
    const Image first = read_image_header(full(files_[0]));
    auto_grey_ = options.channels == "auto" && first.channels <= 2;
    channels_ = options.channels == "grey" || auto_grey_ ? 1 : 3;
    if (tile_ > 0) space_.shape = {channels_, tile_, tile_};
    else if (size_.height > 0) space_.shape = {channels_, size_.height, size_.width};
    else space_.shape = {channels_, first.height / shrink_, first.width / shrink_};
    if (std::min(space_.shape[1], space_.shape[2]) == 0) {
      throw Error(Exit::kBadInput, full(files_[0]),
                  cat("is ", first.height, "x", first.width, ", less than one block of --shrink ", shrink_));
    }
    if (tile_ > 0) count_tiles();
    else items_ = static_cast<int64_t>(files_.size());
  }
  Space space() const override { return space_; }
  int64_t count() const override { return items_; }
  bool has_labels() const override { return !labels_.empty(); }
  std::vector<std::string> label_names() const override { return names_; }
  std::vector<std::string> files() const override {
    std::vector<std::string> all;
    if (!csv_.empty()) all.push_back(csv_);
    for (const std::string& file : files_) all.push_back(full(file));
    return all;
  }
  std::map<std::string, int64_t> tally() const override {
    if (tile_ == 0) return {};
    return {{"images_cut", static_cast<int64_t>(files_.size()) - too_small_}, {"images_too_small", too_small_}};
  }

  int64_t next(int64_t max, std::vector<uint8_t>& items, std::vector<int64_t>& labels) override {
    items.clear();
    labels.clear();
    int64_t got = 0;
    for (; got < max && open_item(); ++got) {
      append_item(items);
      if (has_labels()) labels.push_back(labels_[done_ - 1]);
    }
    return got;
  }

 private:
  std::string full(const std::string& file) const { return (fs::path(root_) / file).string(); }

  /// How many items an image of this size, not yet shrunk, is cut into.
  int64_t tiles_of(int64_t height, int64_t width) const { return (height / shrink_ / tile_) * (width / shrink_ / tile_); }

  /// Looks at every header, so that a run knows its length, and ends early if there is nothing to cut.
  void count_tiles() {
    int64_t tallest = 0, widest = 0;
    for (const std::string& file : files_) {
      const Image header = read_image_header(full(file));
      const int64_t tiles = tiles_of(header.height, header.width);
      items_ += tiles;
      too_small_ += tiles == 0;
      tallest = std::max(tallest, header.height);
      widest = std::max(widest, header.width);
    }
    const std::string needed = cat("a tile of ", tile_, "x", tile_, shrink_ > 1 ? cat(" after --shrink ", shrink_) : "");
    if (items_ == 0) {
      throw Error(Exit::kBadInput, root_, cat("has no image that holds ", needed),
                  cat("none is taller than ", tallest, " or wider than ", widest, " pixels"));
    }
    if (too_small_ == 0) return;
    log::warn(root_, ": ", too_small_, " of ", files_.size(), " images are smaller than ", needed, " and are left out");
  }

  /// Makes open_ an image with an item that was not given yet. False at the end.
  bool open_item() {
    while (given_ == inside_) {
      if (done_ == files_.size()) return false;
      open_ = load(full(files_[done_++]));
      given_ = 0;
      inside_ = (open_.height / space_.shape[1]) * (open_.width / space_.shape[2]);
    }
    return true;
  }

  /// The next item of open_: a tile, or all of it.
  void append_item(std::vector<uint8_t>& items) {
    const int64_t height = space_.shape[1], width = space_.shape[2], across = open_.width / width;
    const int64_t top = given_ / across * height, left = given_ % across * width;
    ++given_;
    for (int64_t c = 0; c < channels_; ++c) {
      for (int64_t y = top; y < top + height; ++y) {
        const uint8_t* row = open_.pixels.data() + (c * open_.height + y) * open_.width + left;
        items.insert(items.end(), row, row + width);
      }
    }
  }

  /// An image as it is cut: shrunk or scaled, of the channels of all.
  Image load(const std::string& path) const {
    Image image = read_image(path, auto_grey_ ? 0 : static_cast<int>(channels_));
    if (image.channels != channels_) {
      throw Error(Exit::kBadInput, path, "has colour, the first image is grey", "give --channels grey or rgb");
    }
    if (shrink_ > 1) image = shrink(image, shrink_);
    const int64_t height = space_.shape[1], width = space_.shape[2];
    if (tile_ > 0 || (image.height == height && image.width == width)) return image;
    if (size_.height == 0) {
      const std::string instead = shrink_ > 1 ? " in place of --shrink" : "";
      throw Error(Exit::kBadInput, path,
                  cat("is ", image.height, "x", image.width, ", the first image is ", height, "x", width, shrink_ > 1 ? ", shrunk" : ""),
                  cat("give --size ", height, "x", width, " to scale and crop", instead));
    }
    return resize_and_crop(image, height, width);
  }

  void label_by_folder() {
    std::set<std::string> folders;
    size_t loose = 0;
    for (const std::string& file : files_) {
      const size_t slash = file.find('/');
      if (slash == std::string::npos) ++loose;
      else folders.insert(file.substr(0, slash));
    }
    if (folders.empty()) return;
    if (loose > 0) {
      throw Error(Exit::kBadInput, root_, cat("has ", loose, " images beside its class folders"),
                  "move them, or give --labels FILE.csv or none");
    }
    names_.assign(folders.begin(), folders.end());
    const auto plain = [](const std::string& name) { return name.size() < 10 && name.find_first_not_of("0123456789") == std::string::npos; };
    if (std::all_of(names_.begin(), names_.end(), plain)) {
      std::stable_sort(names_.begin(), names_.end(), [](const std::string& a, const std::string& b) { return std::stoll(a) < std::stoll(b); });
    }
    std::map<std::string, int64_t> numbers;
    for (const std::string& name : names_) numbers.emplace(name, static_cast<int64_t>(numbers.size()));
    for (const std::string& file : files_) labels_.push_back(numbers.at(file.substr(0, file.find('/'))));
  }

  void label_by_csv() {
    std::vector<std::string> texts;
    std::set<std::string> seen;
    int64_t number = 0;
    for (const std::string& raw : split(read_file(csv_), '\n')) {
      const std::string line = trim(raw);
      ++number;
      if (line.empty()) continue;
      const std::vector<std::string> fields = csv_fields(csv_, number, line);
      if (fields.size() != 2)
        throw Error(Exit::kBadInput, csv_, cat("line ", number, " has ", fields.size(), " fields, not file,label"));
      const fs::path file(fields[0]);
      if (number == 1 && !is_image_name(file) && !fs::exists(fs::path(root_) / file)) continue;  // a heading
      const fs::path tidy = file.lexically_normal();
      if (file.is_absolute() || *tidy.begin() == "..")
        throw Error(Exit::kBadInput, csv_, cat("line ", number, " leaves the folder: ", fields[0]));
      if (!fs::is_regular_file(fs::path(root_) / tidy))
        throw Error(Exit::kBadInput, csv_, cat("line ", number, " names a missing image: ", fields[0]));
      if (!seen.insert(tidy.string()).second)
        throw Error(Exit::kBadInput, csv_, cat("line ", number, " names ", fields[0], " again"));
      if (trim(fields[1]).empty()) throw Error(Exit::kBadInput, csv_, cat("line ", number, " has no label"), "give one, or leave the line out");
      files_.push_back(tidy.string());
      texts.push_back(trim(fields[1]));
    }
    const auto whole = [](const std::string& text, int64_t& value) {
      const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
      return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && value >= 0;
    };
    int64_t value = 0;
    if (std::all_of(texts.begin(), texts.end(), [&](const std::string& text) { return whole(text, value); })) {
      for (const std::string& text : texts) {
        whole(text, value);
        labels_.push_back(value);
      }
      return;
    }
    const std::set<std::string> distinct(texts.begin(), texts.end());
    names_.assign(distinct.begin(), distinct.end());
    for (const std::string& text : texts)
      labels_.push_back(std::lower_bound(names_.begin(), names_.end(), text) - names_.begin());
  }

  SizeOption size_;
  std::string root_, csv_;
  std::vector<std::string> files_, names_;  // relative to root_
  std::vector<int64_t> labels_;
  Space space_;
  int64_t channels_ = 1, tile_ = 0, shrink_ = 1;
  int64_t items_ = 0, too_small_ = 0;   // of all files
  bool auto_grey_ = false;
  size_t done_ = 0;                     // files opened
  Image open_;                          // the last of them
  int64_t inside_ = 0, given_ = 0;      // its items, and how many of them were given
};

}  // namespace

bool recognise_folder(const std::string& path) {
  std::error_code problem;
  return fs::is_directory(path, problem);
}

std::unique_ptr<Importer> make_folder(const ImportOptions& options) {
  return std::make_unique<FolderImporter>(options);
}

}  // namespace plumb::io
