// export: artefacts in the formats of other programs.   Man page: export(1).   SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"
#include "core/log.h"
#include "io/exporter.h"

namespace {

using namespace plumb;

struct Options {
  std::string to;
  io::ExportOptions how;
  cli::CommonOptions common;
};

void describe(OptionTable& t, Options& o) {
  t.group("What to write");
  t.add("to", &o.to, "format to write").one_of(io::exporter_names()).metavar("FORMAT").required();
  t.add("output", &o.how.path, "file or folder to make").short_name('o').metavar("PATH").file().required().runtime();
  t.add("force", &o.how.force, "replace the file, or add to a folder that is not empty").runtime();
  t.add("limit", &o.how.limit, "the first N items only; 0 = all (png, npy, npz, csv, fasta)").range(0, 1e15);
  t.add("by-class", &o.how.by_class, "a sub-folder for each class (png)");
  t.add("layout", &o.how.layout, "order of the axes of images; nhwc also names the arrays arr_0 and arr_1 (npy, npz)")
      .one_of({"nchw", "nhwc"});
  t.add("compress", &o.how.compress, "deflate (npz)");
  cli::CommonSet set;
  set.output = set.tensors = false;
  cli::describe_common(t, o.common, set);
}

int run(cli::Context& context, const Options& o) {
  if (o.how.path.empty() || o.how.path == "-") throw Error(Exit::kUsage, "--output", o.how.path.empty() ? "is empty" : "'-' is standard output, which carries the manifest", "name a file");
  const io::Manifest& input = context.input();
  context.refuse_input_as_output(o.how.path);
  io::ExportOptions how = o.how;
  how.dry_run = context.dry_run();
  for (const io::ExporterRow& row : io::exporters()) {
    if (row.name == o.to) row.run(input, how);
  }
  if (context.dry_run()) return context.finish_dry_run({{"input", input.label()}, {"kind", input.kind()}, {"to", o.to}, {"path", o.how.path}});
  log::info("wrote ", o.how.path);
  return context.pass_on(input);
}

}  // namespace

PLUMB_PLAIN_TOOL(Options, "export", "write artefacts in the formats of other programs", "samples, dataset, model, features -> files")
