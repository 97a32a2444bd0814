// Outside data, item by item: what ingest reads. An importer streams; it never holds a whole data set.
// To add one: lib/io/importers/NAME.cpp and a row in importers.def.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/options.h"
#include "io/space.h"

namespace plumb::io {

/// What to import, and how. An importer refuses (kUsage) the options that it has no use for.
struct ImportOptions {
  std::vector<std::string> paths;   ///< files, or one folder
  std::string labels;  ///< idx: IDX labels; folder: CSV of file,label; npy: integer .npy; "none"; "" = found by name
  std::string size;    ///< folder: "HxW", scale and centre-crop to this; "" = refuse images of differing size
  int64_t tile = 0;    ///< folder: side of the disjoint squares that each image is cut into; 0 = images stay whole
  int64_t shrink = 1;  ///< folder: side of the blocks of pixels whose mean is a pixel of the image, before it is cut
  std::string channels = "auto";    ///< folder: grey, rgb, or auto (rgb if the first image has colour channels)
  std::string array;                ///< npz: array of the items; "" = the only one of 2 or more dimensions
  std::string label_array;          ///< npz: array of the labels; "" = "labels", "label" or "y" if there is one
  // sequences
  std::string alphabet;             ///< dna, rna, protein, or the letters themselves; "" = dna
  int64_t length = 0;               ///< records of this length only; 0 = that of the first, and no other may come
  int64_t window = 0;               ///< length of the windows that records are cut into; 0 = records stay whole
  int64_t stride = 0;               ///< letters from the start of one window to the next; 0 = window
  std::string strands = "forward";  ///< forward, or both: each item is followed by its reverse complement
  bool unique = false;              ///< leave out items that were there before
  std::string header = "auto";      ///< table: whether the first row names the columns: auto, yes, no
  std::string sequence_column, value_column, label_column;  ///< table: name, or number from 1; "" = found by name, none, none
  std::vector<double> class_quantiles;  ///< table: classes are the bins between these quantiles of the values; empty = none
};

/// Adds the rows for all of ImportOptions but `paths` to a tool's table.
void describe(OptionTable& table, ImportOptions& options);

/// A stream of items of one space. Construction reads headers only, and fails early: Error(kBadInput) naming the file
/// for wrong magic, counts too large for the file, truncation; kUsage for options that do not fit.
class Importer {
 public:
  virtual ~Importer() = default;
  virtual Space space() const = 0;
  virtual int64_t count() const = 0;                       ///< items in all; -1 if it is only known at the end
  virtual bool has_labels() const = 0;
  virtual std::vector<std::string> label_names() const { return {}; }  ///< of labels 0, 1, ...; may be empty
  /// Every file it reads, in order, for the digests in the manifest (folders: only after the last item).
  virtual std::vector<std::string> files() const = 0;
  /// Measured values beside the items.
  virtual bool has_values() const { return false; }
  /// Where the classes are bins of the values: the values between them, ascending.
  virtual std::vector<double> class_thresholds() const { return {}; }
  /// What became of the files, where an item is not a whole one, for the manifest's `source`.
  virtual std::map<std::string, int64_t> tally() const { return {}; }
  /// What was left out so far, "3 of 9 records have ..." each, for warnings after the last item.
  virtual std::vector<std::string> remarks() const { return {}; }
  /// Replaces `items` by up to `max` next items (numel bytes each, or numel float32) and `labels` by theirs (empty
  /// without labels). Returns how many; 0 at the end.
  virtual int64_t next(int64_t max, std::vector<uint8_t>& items, std::vector<int64_t>& labels) = 0;
  /// Of the items that next() gave last: their values (if it has values), and the records that they were cut from, so that a
  /// split can keep these together (empty: each item is its own).
  virtual const std::vector<float>& values() const { return no_values_; }
  virtual const std::vector<int64_t>& groups() const { return no_groups_; }

 private:
  std::vector<float> no_values_;
  std::vector<int64_t> no_groups_;
};

/// {files: [{name, sha256}]} for a manifest's `source`; of more than 32 files {count, sha256}: their number and the digest of the
/// list that sha256sum would print.
nlohmann::ordered_json describe_files(const std::vector<std::string>& paths);

/// One row of the registry.
struct ImporterRow {
  const char* name;
  const char* summary;
  bool (*recognise)(const std::string& path);             ///< by content; false if it cannot be read
  std::unique_ptr<Importer> (*make)(const ImportOptions& options);
};

const std::vector<ImporterRow>& importers();              ///< sorted by name
std::vector<std::string> importer_names();
/// name: a row's, or "auto" = the first whose recognise() accepts the first path. Throws Error(kUsage) for an unknown
/// name, Error(kBadInput) if no importer recognises the path.
std::unique_ptr<Importer> make_importer(const std::string& name, const ImportOptions& options);

}  // namespace plumb::io
