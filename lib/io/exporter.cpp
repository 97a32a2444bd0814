// SPDX-License-Identifier: Apache-2.0
#include "io/exporter.h"

#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "core/text.h"
#include "io/temporary.h"

namespace plumb::io {
namespace fs = std::filesystem;

#define PLUMB_EXPORTER(identifier, name, summary) void export_##identifier(const Manifest&, const ExportOptions&);
#include "io/exporters.def"
#undef PLUMB_EXPORTER

const std::vector<ExporterRow>& exporters() {
  static const std::vector<ExporterRow> rows{
#define PLUMB_EXPORTER(identifier, name, summary) {name, summary, &export_##identifier},
#include "io/exporters.def"
#undef PLUMB_EXPORTER
  };
  return rows;
}

std::vector<std::string> exporter_names() {
  std::vector<std::string> names;
  for (const ExporterRow& row : exporters()) names.emplace_back(row.name);
  return names;
}

Manifest items_of(const Manifest& input) {
  if (input.kind() == "dataset") return input;
  if (input.kind() == "model" || input.kind() == "reward") {
    throw Error(Exit::kUsage, input.label(), "is a " + input.kind() + ", no items", input.kind() == "model" ? "draw some: sample --model " + input.label() : "name the samples or the dataset");
  }
  for (const auto& [name, next] : input.inputs()) {
    const bool measured = input.kind() == "metrics" && name == "samples";  // whatever the reference is
    const bool before = input.kind() == "scores" && (next.kind() == "metrics" || next.kind() == "scores");
    if (!measured && !before) continue;
    if (next.json().contains("format")) return items_of(next);
    verify_digest(next);
    return items_of(Manifest::read(next.path()));
  }
  if (const auto samples = input.find("samples")) return *samples;
  return input.need("dataset");
}

int64_t export_count(const Manifest& items, int64_t limit) { return limit > 0 ? std::min(limit, items.count()) : items.count(); }

void refuse_options(const std::string& name, const ExportOptions& options, const std::vector<std::string>& useful) {
  const ExportOptions fresh;
  const std::pair<const char*, bool> given[] = {{"by-class", options.by_class}, {"layout", options.layout != fresh.layout},
                                                {"limit", options.limit != 0}, {"compress", options.compress}};
  for (const auto& [option, is_given] : given) {
    if (is_given && std::find(useful.begin(), useful.end(), option) == useful.end()) {
      throw Error(Exit::kUsage, std::string("--") + option, "has no meaning for --to " + name);
    }
  }
}

namespace {

/// Whether `path` is the file of this manifest or of one that it names.
bool is_named_by(const Manifest& manifest, const std::string& path) {
  std::error_code ignored;
  if (!manifest.path().empty() && fs::equivalent(manifest.path(), path, ignored)) return true;
  const auto inputs = manifest.inputs();
  return std::any_of(inputs.begin(), inputs.end(), [&](const auto& input) { return is_named_by(input.second, path); });
}

}  // namespace

void refuse_existing(const ExportOptions& options, const Manifest& input) {
  std::error_code ignored;
  const fs::file_status status = fs::status(options.path, ignored);
  if (!fs::exists(status)) return;
  if (!fs::is_regular_file(status)) throw Error(Exit::kUsage, options.path, "is not a regular file", "name a file with -o");
  if (is_named_by(input, options.path)) throw Error(Exit::kUsage, options.path, "is an input of this command and would be replaced by its output", "name another with -o");
  if (!options.force && fs::file_size(options.path, ignored) > 0) {
    throw Error(Exit::kUsage, options.path, "is there already", "replace it with --force");
  }
}

void refuse_full_folder(const std::string& path, bool force) {
  std::error_code problem;
  const fs::file_status status = fs::status(path, problem);
  if (fs::exists(status) && !fs::is_directory(status)) throw Error(Exit::kUsage, path, "is there and not a folder");
  if (fs::is_directory(status) && !fs::is_empty(path, problem) && !force) {
    throw Error(Exit::kUsage, path, "is a folder that is not empty", "name another, or add to it with --force");
  }
}

AtomicFolder::AtomicFolder(const std::string& path, bool force) : path_(absolute_path(path)) {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  refuse_full_folder(path_, force);
  std::error_code problem;
  if (fs::is_symlink(path_, problem) && fs::is_directory(path_, problem)) path_ = fs::canonical(path_).string();  // a folder cannot be renamed onto a link
  temporary_ = claim_temporary(path_);
  fs::remove_all(temporary_, problem);
  if (fs::create_directory(temporary_, problem)) return;
  release_temporary(temporary_);
  throw Error(Exit::kFailed, path, "cannot be made: " + problem.message());
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (committed_) return;
  fs::remove_all(temporary_, ignored);
  release_temporary(temporary_);
}

void AtomicFolder::commit() {
  std::error_code problem;
  if (!fs::exists(path_, problem) || fs::is_empty(path_, problem)) {
    fs::rename(temporary_, path_, problem);  // also onto an empty folder
  } else {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(temporary_, problem)) {
      const fs::path to = fs::path(path_) / entry.path().lexically_relative(temporary_);
      if (entry.is_directory()) fs::create_directories(to, problem);
      else fs::rename(entry.path(), to, problem);
      if (problem) break;
    }
    std::error_code ignored;
    fs::remove_all(temporary_, ignored);
  }
  if (problem) throw Error(Exit::kFailed, path_, "cannot be written: " + problem.message());
  committed_ = true;
  release_temporary(temporary_);
}

}  // namespace plumb::io
