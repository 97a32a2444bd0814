// The way out: artefacts in the formats of other programs. To add one: lib/io/exporters/NAME.cpp and a row in
// exporters.def.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "io/artefact.h"

namespace plumb::io {

/// Where to, and how. An exporter refuses (kUsage) the options that it has no use for.
struct ExportOptions {
  std::string path;              ///< file or folder to make
  bool force = false;            ///< replace a file, add to a folder that is not empty
  bool by_class = false;         ///< png: a sub-folder for each class
  std::string layout = "nchw";   ///< npy, npz: order of image axes, nchw or nhwc
  int64_t limit = 0;             ///< png, npy, npz, csv, fasta: the first items only; 0 = all
  bool compress = false;         ///< npz: deflate
  bool dry_run = false;          ///< check, and write nothing
};

/// One row of the registry. run() takes what it needs from the input's lineage and writes options.path whole or not at all.
struct ExporterRow {
  const char* name;
  const char* summary;
  void (*run)(const Manifest& input, const ExportOptions& options);
};

const std::vector<ExporterRow>& exporters();   ///< sorted by name
std::vector<std::string> exporter_names();

/// The nearest manifest that holds items: what metrics measured, else samples, else dataset. Throws Error(kBadInput) if there is neither.
Manifest items_of(const Manifest& input);
/// Items to export: the manifest's count, at most `limit` unless that is 0.
int64_t export_count(const Manifest& items, int64_t limit);
/// Throws Error(kUsage, option, ...) if the exporter `name` was given an option it has no use for.
void refuse_options(const std::string& name, const ExportOptions& options, const std::vector<std::string>& useful);
/// Throws Error(kUsage) if a file is there already, unless options.force; always if it is the input's, or one that the input was made from.
void refuse_existing(const ExportOptions& options, const Manifest& input);

/// Throws Error(kUsage) if `path` is there and no folder, or has content and not `force`.
void refuse_full_folder(const std::string& path, bool force);

/// A folder that appears under its name only when it is whole. An existing empty folder counts as absent; one with content
/// is refused (kUsage) unless `force`, then the new files are moved into it. A link to a folder stands for that folder.
class AtomicFolder {
 public:
  AtomicFolder(const std::string& path, bool force);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;
  const std::string& temporary() const { return temporary_; }   ///< write below this
  void commit();

 private:
  std::string path_, temporary_;
  bool committed_ = false;
};

}  // namespace plumb::io
