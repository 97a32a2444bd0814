// ingest: outside data -> dataset, a diffusers model -> model.   Man page: ingest(1).   SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>

#include "cli/tool.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/text.h"
#include "io/diffusers.h"
#include "io/importer.h"
#include "io/item_selection.h"

namespace {

using namespace plumb;

struct Options {
  std::string format = "auto", from, class_names;
  io::ImportOptions how;
  io::ItemSelectionOptions which;
  int64_t batch_size = 256;
  cli::CommonOptions common;
};

std::vector<std::string> formats() {
  std::vector<std::string> names = io::importer_names();
  names.insert(names.begin(), "auto");
  return names;
}

void describe(OptionTable& t, Options& o) {
  t.group("What to read");
  t.add("format", &o.format, "format of the data; auto looks at its content").one_of(formats());
  t.add("class-names", &o.class_names, "names of labels 0, 1, ..., comma-separated").metavar("NAME,...");
  t.add("from", &o.from, "read a model instead: a folder that diffusers' save_pretrained wrote").one_of({"diffusers"});
  io::describe(t, o.how);
  t.group("Which items");
  io::describe(t, o.which);
  t.group("Reading");
  t.add("batch-size", &o.batch_size, "items read at a time; affects memory only").range(1, 1 << 20).runtime();
  cli::CommonSet set;
  set.input = set.tensors = false;
  set.compress = true;
  cli::describe_common(t, o.common, set);
  t.positional(&o.how.paths, "PATH...", "files, or one folder");
}

/// The output, claimed; refused if it is one of `files`, --force or not.
io::H5Writer create(cli::Context& context, const std::string& kind, const std::vector<std::string>& files) {
  const std::string output = context.common().output.empty() ? kind + ".h5" : context.common().output;
  for (const std::string& file : files) {
    std::error_code none;
    if (std::filesystem::equivalent(file, output, none)) {
      throw Error(Exit::kUsage, output, "is an input of this command and would be replaced by its output", "name another with -o");
    }
  }
  return context.create(kind);
}

int ingest_model(cli::Context& context, const Options& o) {
  if (o.how.paths.size() != 1) throw Error(Exit::kUsage, "--from", "needs the model's folder", "ingest --from diffusers DIR");
  for (const char* option : {"format", "labels", "tile", "shrink", "channels", "array", "label-array", "alphabet", "length", "window",
                             "stride", "strands", "unique", "header", "sequence-column", "value-column", "label-column", "class-quantiles", "class-names",
                             "class", "skip", "limit", "held-out", "part", "seed"}) {
    if (context.was_set(option)) throw Error(Exit::kUsage, std::string("--") + option, "has no meaning with --from");
  }
  const int64_t side = o.how.size.empty() ? 0 : parse_int(o.how.size, "--size");
  const io::DiffusersModel model = io::read_diffusers_model(o.how.paths[0], side);
  if (context.dry_run()) return context.finish_dry_run({{"space", model.space.to_json()}, {"denoiser", model.denoiser}, {"schedule", model.schedule}});
  io::H5Writer writer = create(context, "model", model.files);
  const int64_t parameters = io::copy_diffusers_weights(model, writer);
  io::Manifest manifest = context.manifest("model");
  manifest.json()["space"] = model.space.to_json();
  manifest.json()["model"] = {{"denoiser", model.denoiser}, {"schedule", model.schedule}, {"num_classes", model.num_classes},
                              {"parameters", parameters}};
  manifest.json()["source"] = io::describe_files(model.files);
  return context.finish(writer, manifest);
}

constexpr int64_t kMostClasses = 1 << 16;

/// Copies the selected items, labels and values. Returns the largest label, -1 without labels.
int64_t copy_items(io::Importer& importer, io::ItemSelection& selection, int64_t batch_size, io::H5Writer& writer) {
  const io::Space space = importer.space();
  const io::Type type = space.stored_as_bytes() ? io::Type::kU8 : io::Type::kF32;
  const size_t item_bytes = static_cast<size_t>(space.numel()) * io::size_of(type);
  writer.create(space.dataset(), type, space.shape);
  if (importer.has_labels()) writer.create("label", io::Type::kI64, {});
  if (importer.has_values()) writer.create("value", io::Type::kF32, {});
  if (space.type == "sequence") writer.attribute(space.dataset(), "alphabet", space.alphabet);
  std::vector<uint8_t> items, kept;
  std::vector<int64_t> labels, kept_labels;
  std::vector<float> kept_values;
  int64_t first = 0, largest = -1;
  Progress progress("items", importer.count());
  while (!selection.done()) {
    const int64_t count = importer.next(selection.batch(first, batch_size), items, labels);
    const std::vector<int64_t>& groups = importer.groups();
    if (count == 0) break;
    kept.clear();
    kept_labels.clear();
    kept_values.clear();
    for (int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<size_t>(i);
      if (!selection.take(first + i, groups.empty() ? first + i : groups[at], labels.empty() ? -1 : labels[at])) continue;
      const auto begin = items.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(i) * item_bytes);
      kept.insert(kept.end(), begin, begin + static_cast<std::ptrdiff_t>(item_bytes));
      if (importer.has_values()) kept_values.push_back(importer.values()[static_cast<size_t>(i)]);
      if (labels.empty()) continue;
      kept_labels.push_back(labels[static_cast<size_t>(i)]);
      largest = std::max(largest, kept_labels.back());
      if (kept_labels.back() < 0 || largest >= kMostClasses) {
        throw Error(Exit::kBadInput, "labels", cat("item ", first + i, " has ", kept_labels.back(), "; classes are numbered from 0 to at most ", kMostClasses - 1),
                    "a number that is no class goes to --value-column, if there is one");
      }
    }
    writer.append(space.dataset(), type, static_cast<int64_t>(kept.size() / item_bytes), kept.data());
    if (importer.has_labels()) writer.append("label", io::Type::kI64, static_cast<int64_t>(kept_labels.size()), kept_labels.data());
    if (importer.has_values()) writer.append("value", io::Type::kF32, static_cast<int64_t>(kept_values.size()), kept_values.data());
    first += count;
    progress.update(first);
  }
  return largest;
}

void check_class_names(const std::vector<std::string>& names, bool given) {
  for (size_t k = 0; given && k < names.size(); ++k) {
    if (names[k].empty()) throw Error(Exit::kUsage, "--class-names", cat("name ", k, " is empty"));
    if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(k), names[k]) != names.begin() + static_cast<std::ptrdiff_t>(k)) {
      throw Error(Exit::kUsage, "--class-names", "names two classes '" + names[k] + "'", "classes are told apart by their names");
    }
  }
}

int ingest_data(cli::Context& context, const Options& o) {
  if (o.how.paths.empty()) throw Error(Exit::kUsage, "", "nothing to read", "name files or a folder; try 'ingest --help'");
  const auto importer = io::make_importer(o.format, o.how);
  std::vector<std::string> classes = o.class_names.empty() ? importer->label_names() : split(o.class_names, ',');
  if (!o.class_names.empty() && !importer->has_labels()) throw Error(Exit::kUsage, "--class-names", "there are no labels to name", "give --labels or --label-column");
  if (context.was_set("seed") && o.which.held_out == 0) throw Error(Exit::kUsage, "--seed", "draws nothing here", "it is for --held-out");
  check_class_names(classes, !o.class_names.empty());
  io::ItemSelection selection(o.which, importer->has_labels(), classes);
  if (context.dry_run()) {
    return context.finish_dry_run({{"space", importer->space().to_json()}, {"items_in_source", importer->count()},
                                   {"labels", importer->has_labels()}, {"values", importer->has_values()}, {"files", importer->files()}});
  }
  io::H5Writer writer = create(context, "dataset", importer->files());
  const int64_t largest = copy_items(*importer, selection, o.batch_size, writer);
  for (const std::string& remark : importer->remarks()) log::warn(o.how.paths[0], ": ", remark, " and are left out");
  if (selection.kept() == 0) throw Error(Exit::kBadInput, o.how.paths[0], "no item is left", "look at --class, --skip, --limit and --held-out");
  io::Manifest manifest = context.manifest("dataset");
  io::Json& json = manifest.json();
  json["count"] = selection.kept();
  json["space"] = importer->space().to_json();
  if (importer->has_labels()) {
    if (!o.class_names.empty() && largest >= static_cast<int64_t>(classes.size())) {
      throw Error(Exit::kUsage, "--class-names", cat("names ", classes.size(), " classes, the labels go up to ", largest));
    }
    for (int64_t label = static_cast<int64_t>(classes.size()); label <= largest; ++label) classes.push_back(std::to_string(label));
    json["classes"] = classes;
  }
  if (const std::vector<double> thresholds = importer->class_thresholds(); !thresholds.empty()) {
    json["class_quantiles"] = {{"quantiles", o.how.class_quantiles}, {"values", thresholds}};
  }
  json["source"] = io::describe_files(importer->files());
  for (const auto& [what, count] : importer->tally()) json["source"][what] = count;
  return context.finish(writer, manifest);
}

int run(cli::Context& context, const Options& o) {
  for (const std::string& path : o.how.paths) {
    if (path == "-") throw Error(Exit::kUsage, "-", "is standard input, and ingest needs a file, which it can read twice", "write it to a file first");
  }
  return o.from.empty() ? ingest_data(context, o) : ingest_model(context, o);
}

}  // namespace

PLUMB_PLAIN_TOOL(Options, "ingest", "read outside data into a dataset, or a diffusers model", "files -> dataset; folder -> model")
