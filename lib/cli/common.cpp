// The options that commands share.   SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"

namespace plumb::cli {

void describe_common(OptionTable& t, CommonOptions& o, const CommonSet& set) {
  if (set.input) {
    t.positional(&o.input, "INPUT", "manifest (FILE.json), artefact (FILE.h5) or - for a manifest on standard input");
  }
  t.group("Output");
  if (set.output) {
    t.add("output", &o.output, set.printed ? "file to write as well (FILE.json); without it the manifest is printed only" : "file to write; by default KIND.h5 in this folder").short_name('o').file().runtime();
    t.add("force", &o.force, "replace a file that is not an earlier output of this kind").runtime();
  }
  if (set.compress) {
    t.add("compress", &o.compress, "deflate the output: smaller, and an order of magnitude slower to write").runtime();
  }
  t.add("dry-run", &o.dry_run, "print the resolved options and the plan as JSON, write nothing").runtime();
  if (set.tensors) {
    t.group("Computing");
    t.add("threads", &o.threads, "CPU threads; 0 = the cores that are free to us").short_name('j').range(0, 1024).runtime();
    t.add("device", &o.device, "where to compute: cpu, cuda or cuda:INDEX").metavar("DEVICE").suggest({"cpu", "cuda"}).runtime();
    if (set.precision) {
      t.add("precision", &o.precision, "number format of the network's arithmetic").one_of({"fp32", "bf16", "fp16"});
    }
  }
  t.group("Messages and configuration");
  if (set.log) {
    t.add("log", &o.log, "JSON lines of what happened, see plumb-log(5)").metavar("FILE.jsonl").file().runtime();
  }
  t.add("quiet", &o.quiet, "say nothing but errors").short_name('q').runtime();
  t.add("verbose", &o.verbose, "say more").short_name('v').counter().runtime();
  t.add("progress", &o.progress, "how progress is shown on standard error").one_of({"auto", "bar", "plain", "none"}).runtime();
  t.add("config", &o.config, "options from a JSON object, keys as in --print-config; the command line wins")
      .metavar("FILE.json").file().runtime();
  t.add("print-config", &o.print_config, "print the resolved options as JSON and exit").runtime();
}

}  // namespace plumb::cli
