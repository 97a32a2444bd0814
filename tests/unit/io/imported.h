// Everything of an importer, and gzip, for the tests of importers.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "io/importer.h"
#include "io/zip.h"
#include "unit/io/scratch.h"

namespace plumb::test {

struct Imported {
  io::Space space;
  std::string items;
  std::vector<int64_t> labels, groups;
  std::vector<float> values;
  std::vector<std::string> names, remarks;
  std::map<std::string, int64_t> tally;
  std::vector<double> thresholds;
};

/// Everything of an importer, in batches of `batch`, with its promises checked.
inline Imported import_all(const std::string& name, const io::ImportOptions& options, int64_t batch = 2) {
  const auto importer = io::make_importer(name, options);
  Imported all;
  all.space = importer->space();
  all.names = importer->label_names();
  std::vector<uint8_t> items;
  std::vector<int64_t> labels;
  int64_t total = 0;
  for (int64_t n = 0; (n = importer->next(batch, items, labels)) > 0; total += n) {
    REQUIRE(n <= batch);
    REQUIRE(static_cast<int64_t>(items.size()) == n * all.space.numel() * (all.space.stored_as_bytes() ? 1 : 4));
    REQUIRE(labels.size() == (importer->has_labels() ? static_cast<size_t>(n) : 0));
    REQUIRE(importer->values().size() == (importer->has_values() ? static_cast<size_t>(n) : 0));
    all.values.insert(all.values.end(), importer->values().begin(), importer->values().end());
    all.groups.insert(all.groups.end(), importer->groups().begin(), importer->groups().end());
    all.items.append(items.begin(), items.end());
    all.labels.insert(all.labels.end(), labels.begin(), labels.end());
  }
  CHECK(importer->next(batch, items, labels) == 0);
  CHECK(importer->count() == total);
  all.remarks = importer->remarks();
  all.tally = importer->tally();
  all.thresholds = importer->class_thresholds();
  return all;
}

inline io::ImportOptions from(const std::vector<std::string>& paths) {
  io::ImportOptions options;
  options.paths = paths;
  return options;
}

/// A gzip file (RFC 1952): its fixed header, a deflate stream taken out of a zip archive, checksum and size.
inline std::string gzip(const std::string& bytes) {
  const Scratch scratch;
  io::ZipWriter writer(true);
  writer.add("x", bytes);
  const std::string archive = writer.finish();
  put(scratch / "x.zip", archive);
  const io::ZipEntry entry = io::ZipReader(scratch / "x.zip").entries().at(0);
  std::string packed = std::string("\x1f\x8b\x08\0\0\0\0\0\0\x03", 10) + archive.substr(30 + 1, entry.packed);
  for (const uint32_t word : {entry.crc, static_cast<uint32_t>(bytes.size())}) {
    for (int shift = 0; shift < 32; shift += 8) packed += static_cast<char>(word >> shift & 255);
  }
  return packed;
}

}  // namespace plumb::test
