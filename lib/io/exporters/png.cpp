// Images as a folder of PNG files, 000000.png and so on; by class: CLASS/000000.png, as `ingest` reads it.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "core/error.h"
#include "core/progress.h"
#include "core/text.h"
#include "io/exporter.h"
#include "io/image_file.h"

namespace plumb::io {
namespace {

/// Folder of a class: its name if it is one that a folder can have, else its number.
std::string class_folder(const Manifest& items, int64_t label) {
  const Json classes = items.json().value("classes", Json::array());
  if (label < 0 || !classes.is_array() || static_cast<size_t>(label) >= classes.size()) return std::to_string(label);
  const Json& entry = classes[static_cast<size_t>(label)];
  std::string name = entry.is_string() ? entry.get<std::string>() : "";
  std::replace(name.begin(), name.end(), '/', '_');
  const bool usable = !name.empty() && name[0] != '.' && name.size() < 200 && name.find('\0') == std::string::npos;
  return usable ? name : std::to_string(label);
}

/// Two classes in one folder would come back as one.
void refuse_shared_folders(const Manifest& items) {
  std::map<std::string, int64_t> seen;
  const Json classes = items.json().value("classes", Json::array());
  for (int64_t label = 0; label < static_cast<int64_t>(classes.size()); ++label) {
    const auto [at, is_new] = seen.emplace(class_folder(items, label), label);
    if (is_new) continue;
    throw Error(Exit::kBadInput, items.label(), cat("its classes ", at->second, " and ", label, " would share the folder '", at->first, "'"),
                "leave out --by-class, or give other --class-names to ingest");
  }
}

/// "000042.png"
std::string numbered(int64_t i, size_t digits) {
  const std::string number = std::to_string(i);
  return std::string(digits - std::min(digits, number.size()), '0') + number + ".png";
}

/// Without the fsync of each file that write_png makes: the folder as a whole is what appears or not.
void put_file(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) throw Error(Exit::kFailed, path, "cannot be written", "is the disk full?");
}

}  // namespace

void export_png(const Manifest& input, const ExportOptions& options) {
  refuse_options("png", options, {"by-class", "limit"});
  const Manifest items = items_of(input);
  const Space space = items.space();
  if (space.type != "image" || space.shape.size() != 3 || (space.shape[0] != 1 && space.shape[0] != 3)) {
    throw Error(Exit::kBadInput, items.label(), "holds " + space.text() + "; PNG needs images of 1 or 3 channels");
  }
  const H5Reader file = open_artefact(items);
  if (options.by_class && !file.has("label")) throw Error(Exit::kBadInput, items.label(), "has no labels", "leave out --by-class");
  if (options.by_class) refuse_shared_folders(items);
  const int64_t count = export_count(items, options.limit);
  const size_t digits = std::max<size_t>(6, std::to_string(count - 1).size());
  refuse_full_folder(options.path, options.force);
  if (options.dry_run) return;
  AtomicFolder folder(options.path, options.force);
  Progress progress("images", count);
  std::vector<uint8_t> pixels(static_cast<size_t>(space.numel()));
  for (int64_t i = 0; i < count; ++i) {
    file.read(space.dataset(), Type::kU8, i, 1, pixels.data());
    std::string path = folder.temporary();
    if (options.by_class) {
      int64_t label = 0;
      file.read("label", Type::kI64, i, 1, &label);
      path += "/" + class_folder(items, label);
      std::error_code problem;
      std::filesystem::create_directories(path, problem);
    }
    put_file(path + "/" + numbered(i, digits), encode_png(pixels.data(), space.shape[0], space.shape[1], space.shape[2]));
    progress.update(i + 1);
  }
  folder.commit();
}

}  // namespace plumb::io
