// The registry of importers.   SPDX-License-Identifier: Apache-2.0
#include "io/importer.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "core/error.h"
#include "core/sha256.h"
#include "core/text.h"
#include "io/importers/common.h"
#include "io/importers/sequences.h"

namespace plumb::io {

#define PLUMB_IMPORTER(identifier, name, summary)              \
  bool recognise_##identifier(const std::string& path);        \
  std::unique_ptr<Importer> make_##identifier(const ImportOptions& options);
#include "io/importers.def"
#undef PLUMB_IMPORTER

const std::vector<ImporterRow>& importers() {
  static const std::vector<ImporterRow> rows{
#define PLUMB_IMPORTER(identifier, name, summary) {name, summary, recognise_##identifier, make_##identifier},
#include "io/importers.def"
#undef PLUMB_IMPORTER
  };
  return rows;
}

std::vector<std::string> importer_names() {
  std::vector<std::string> names;
  for (const ImporterRow& row : importers()) names.emplace_back(row.name);
  return names;
}

void describe(OptionTable& table, ImportOptions& options) {
  table
      .add("labels", &options.labels,
           "labels: an IDX or NPY file, or a CSV of file,label for a folder; none = leave them out")
      .file();
  table.add("size", &options.size, "folder: scale and centre-crop each image to HEIGHTxWIDTH").metavar("HxW");
  table.add("tile", &options.tile, "folder: cut each image into disjoint NxN tiles; 0 = keep it whole").range(0, 8192);
  table.add("shrink", &options.shrink, "folder: first make each KxK block of pixels one pixel, their mean")
      .metavar("K")
      .range(1, 64);
  table.add("channels", &options.channels, "folder: colour channels to keep; auto = as the first image")
      .one_of({"auto", "grey", "rgb"});
  table.add("array", &options.array, "NPZ: name of the array of items");
  table.add("label-array", &options.label_array, "NPZ: name of the array of labels");
  table.group("Sequences");
  table.add("alphabet", &options.alphabet, "dna (the default), rna, protein, or the letters in the order of their codes")
      .metavar("NAME|LETTERS")
      .suggest({"dna", "rna", "protein"});
  table.add("length", &options.length, "keep records of N letters only; 0 = all must be as long as the first")
      .range(0, kLongestSequence);
  table.add("window", &options.window, "cut records into windows of N letters; 0 = keep them whole").range(0, kLongestSequence);
  table.add("stride", &options.stride, "letters from one window's start to the next; 0 = those of a window").range(0, 1e12);
  table.add("strands", &options.strands, "both: after each item its reverse complement (DNA, RNA)")
      .one_of({"forward", "both"});
  table.add("unique", &options.unique, "leave out sequences that came before");
  table.add("header", &options.header, "table, numbers: whether the first row names the columns").one_of({"auto", "yes", "no"});
  table.add("sequence-column", &options.sequence_column, "table: column of the sequences").metavar("NAME|N");
  table.add("value-column", &options.value_column, "table, numbers: column of measured values").metavar("NAME|N");
  table.add("label-column", &options.label_column, "table: column of classes").metavar("NAME|N");
  table.add("class-quantiles", &options.class_quantiles, "table: classes of the value: 0 below the first of these quantiles of all values, k from the k-th on")
      .metavar("Q,...").range(0, 1);
}

nlohmann::ordered_json describe_files(const std::vector<std::string>& paths) {
  nlohmann::ordered_json files = nlohmann::ordered_json::array();
  std::string list;
  for (const std::string& path : paths) {
    const std::string name = std::filesystem::path(path).filename().string(), digest = sha256_of_file(path);
    files.push_back({{"name", name}, {"sha256", digest}});
    list += digest + "  " + name + "\n";
  }
  if (paths.size() <= 32) return {{"files", files}};
  return {{"count", paths.size()}, {"sha256", sha256_of(list)}};
}

void refuse_unused(const ImportOptions& options, const std::string& name, const std::vector<std::string>& used) {
  const std::vector<std::pair<std::string, bool>> given{{"labels", !options.labels.empty()},
                                                        {"size", !options.size.empty()},
                                                        {"tile", options.tile != 0},
                                                        {"shrink", options.shrink != 1},
                                                        {"channels", options.channels != "auto"},
                                                        {"array", !options.array.empty()},
                                                        {"label-array", !options.label_array.empty()},
                                                        {"alphabet", !options.alphabet.empty()},
                                                        {"length", options.length != 0},
                                                        {"window", options.window != 0},
                                                        {"stride", options.stride != 0},
                                                        {"strands", options.strands != "forward"},
                                                        {"unique", options.unique},
                                                        {"header", options.header != "auto"},
                                                        {"sequence-column", !options.sequence_column.empty()},
                                                        {"value-column", !options.value_column.empty()},
                                                        {"label-column", !options.label_column.empty()},
                                                        {"class-quantiles", !options.class_quantiles.empty()}};
  for (const auto& [option, is_set] : given) {
    if (is_set && std::find(used.begin(), used.end(), option) == used.end()) {
      throw Error(Exit::kUsage, "--" + option, "has no meaning for the importer " + name, "leave it out");
    }
  }
}

std::string only_path(const ImportOptions& options, const std::string& name) {
  if (options.paths.size() != 1) throw Error(Exit::kUsage, name, cat("takes one path, not ", options.paths.size()));
  return options.paths[0];
}

std::unique_ptr<Importer> make_importer(const std::string& name, const ImportOptions& options) {
  if (options.paths.empty()) throw Error(Exit::kUsage, "", "nothing to import", "name a file or folder");
  for (const ImporterRow& row : importers()) {
    if (name == row.name || (name == "auto" && row.recognise(options.paths[0]))) return row.make(options);
  }
  if (name != "auto") {
    const std::string near = nearest(name, importer_names());
    throw Error(Exit::kUsage, "importer", "unknown name '" + name + "'",
                near.empty() ? "one of " + join(importer_names(), ", ") : "did you mean '" + near + "'?");
  }
  std::error_code problem;
  const std::string& path = options.paths[0];
  if (!std::filesystem::exists(path, problem)) throw Error(Exit::kBadInput, path, "No such file or directory");
  if (std::filesystem::is_regular_file(path) && std::filesystem::file_size(path, problem) == 0)
    throw Error(Exit::kBadInput, path, "is empty");
  throw Error(Exit::kBadInput, path, "is nothing that is known here",
              "name its importer: " + join(importer_names(), ", "));
}

}  // namespace plumb::io
