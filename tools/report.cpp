// report: one page about a run: curves, proxy against gold, pictures, metrics, provenance.   Man page: report(1).
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <filesystem>

#include "cli/tool.h"
#include "core/log.h"
#include "core/sha256.h"
#include "core/text.h"
#include "io/atomic_file.h"
#include "report/front_report.h"
#include "report/page.h"
#include "report/table_study.h"

namespace {

using namespace plumb;
namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> log;
  std::string title, output = "report.html", svg, png, tsv;
  int64_t rows = 8, columns = 8;
  bool pool_seeds = false, front = false, force = false;
  std::string front_reward;
  std::vector<std::string> table, y;
  std::string x, by;
  bool marks = false, log_x = false;
  cli::CommonOptions common;
};

void describe(OptionTable& t, Options& o) {
  t.group("What to show");
  t.add("log", &o.log, "log of a run (JSON lines); repeatable. Logs beside model artefacts are found without it").metavar("FILE.jsonl").file();
  t.add("title", &o.title, "heading of the page; by default made from the newest run").metavar("TEXT");
  t.add("rows", &o.rows, "rows of a grid of samples; samples with labels get a row a class").range(1, 64);
  t.add("columns", &o.columns, "samples in a row").range(1, 64);
  t.add("pool-seeds", &o.pool_seeds, "draw runs named NAME-1, NAME-2, ... as one: their mean with its 95% t-interval");
  t.add("front", &o.front, "draw reward against diversity: each input is a point, a manifest after score and diversity or evaluate-fid");
  t.add("front-reward", &o.front_reward, "score on the x axis of --front; by default the reward that each model was tuned on")
      .metavar("COLUMN");
  t.add("table", &o.table, "draw a table of results, a row a run, with intervals over the rows that repeat one another; repeatable: one below the other")
      .metavar("FILE.tsv").file();
  t.add("x", &o.x, "column of --table along the x axis").metavar("COLUMN");
  t.add("y", &o.y, "column of --table to draw, a panel each; repeatable").metavar("COLUMN");
  t.add("by", &o.by, "column of --table that tells lines or marks apart").metavar("COLUMN");
  t.add("marks", &o.marks, "a mark for each value of --by, at its mean along both axes, instead of a line along --x");
  t.add("log-x", &o.log_x, "logarithmic x axis of --table");
  t.group("Output");
  t.add("output", &o.output, "page to write; - for standard output").short_name('o').metavar("FILE.html").file().runtime();
  t.add("svg", &o.svg, "also write each figure into this folder as NAME.svg").metavar("DIR").file().runtime();
  t.add("png", &o.png, "also write each grid of samples into this folder as NAME.png").metavar("DIR").file().runtime();
  t.add("tsv", &o.tsv, "also write each table and the numbers of each figure into this folder as NAME.tsv")
      .metavar("DIR").file().runtime();
  t.add("force", &o.force, "replace a file that is no earlier report").runtime();
  cli::CommonSet set;
  set.output = set.tensors = false;
  cli::describe_common(t, o.common, set);
}

/// Options that mean nothing with, or without, --front and --table.
void check_modes(cli::Context& context, const Options& o) {
  const auto refuse = [&](bool here, std::vector<std::string> options, const std::string& reason, const std::string& hint) {
    for (const std::string& option : options)
      if (here && context.was_set(option)) throw Error(Exit::kUsage, "--" + option, "has no effect " + reason, hint);
  };
  const bool table = !o.table.empty();
  refuse(o.front, {"log", "pool-seeds"}, "with --front, which draws points and no runs", "leave it out");
  refuse(!o.front, {"front-reward"}, "without --front", "add --front");
  refuse(table, {"log", "pool-seeds", "front", "rows", "columns"}, "with --table, which draws a table and no artefacts", "leave it out");
  refuse(!table, {"x", "y", "by", "marks", "log-x"}, "without --table", "add --table FILE.tsv");
  if (table && !o.common.input.empty())
    throw Error(Exit::kUsage, o.common.input[0], "is an input, and --table draws tables alone", "leave it out");
}

/// An input is never replaced, whatever is to be written.
void refuse_input(const std::string& output, const Options& o, const std::vector<io::Manifest>& inputs, const std::string& by, const std::string& hint) {
  std::error_code ignored;
  std::vector<std::string> read = o.log;
  read.insert(read.end(), o.table.begin(), o.table.end());
  read.insert(read.end(), o.common.input.begin(), o.common.input.end());
  for (const io::Manifest& input : inputs)
    read.push_back(input.path());
  for (const std::string& path : read) {
    if (fs::equivalent(path, output, ignored) && !ignored)
      throw Error(Exit::kUsage, output, "is an input of this command and would be replaced by " + by, hint);
  }
}

/// Only a page of ours is replaced without being asked to.
void check_output(const Options& o, const std::vector<io::Manifest>& inputs) {
  std::error_code ignored;
  if (o.output == "-" || !fs::exists(o.output, ignored)) return;
  if (fs::is_directory(o.output, ignored)) throw Error(Exit::kUsage, o.output, "is a folder", "name a file with -o");
  refuse_input(o.output, o, inputs, "the page", "name another with -o");
  if (o.force || fs::file_size(o.output, ignored) == 0) return;
  if (io::read_file(o.output).rfind(report::kPageStart, 0) != 0) {
    throw Error(Exit::kUsage, o.output, "is there and no report of plumb's",
                "name another with -o, or replace it with --force");
  }
}

/// The files of one option, and the folder that it names.
struct SideFiles {
  std::string option, folder;
  std::vector<report::SideFile> files;
  std::string path(const report::SideFile& file) const { return io::absolute_path((fs::path(folder) / file.name).string()); }
};

/// Writes the files into their folders, made if needed, once none of them is known to be in the way; returns their paths.
io::Json write_files(const std::vector<SideFiles>& all, const Options& o, const std::vector<io::Manifest>& inputs) {
  io::Json written = io::Json::array();
  for (const SideFiles& beside : all) {
    for (const report::SideFile& file : beside.files) {
      const std::string path = beside.path(file), what = "a file of " + beside.option, hint = "name another folder with " + beside.option;
      refuse_input(path, o, inputs, what, hint);
      if (o.output != "-" && path == io::absolute_path(o.output)) throw Error(Exit::kUsage, path, "is the page as well as " + what, hint);
    }
  }
  for (const SideFiles& beside : all) {
    std::error_code problem;
    fs::create_directories(beside.folder, problem);
    if (problem) throw Error(Exit::kFailed, beside.folder, "cannot be made: " + problem.message());
    for (const report::SideFile& file : beside.files) {
      io::write_file(beside.path(file), file.contents);
      written.push_back(beside.path(file));
    }
  }
  return written;
}

int run(cli::Context& context, const Options& o) {
  check_modes(context, o);
  std::vector<io::Manifest> inputs;
  for (const std::string& source : o.common.input)
    inputs.push_back(context.read(source, ""));
  if (inputs.empty() && o.table.empty() && o.log.empty()) inputs.push_back(context.input());
  check_output(o, inputs);

  report::ReportOptions options{o.title, io::absolute_path(o.output == "-" ? "." : io::folder_of(o.output)), o.rows,
                                o.columns, o.pool_seeds};
  const report::TableFigureOptions columns{o.x, o.y, o.by, o.marks, o.log_x};
  const report::Report result = !o.table.empty() ? report::build_table_report(report::read_result_tables(o.table), columns, o.title)
                                : o.front        ? report::build_front_report(inputs, o.front_reward, options)
                                                 : report::build_report(inputs, o.log, options);
  if (context.dry_run()) {
    io::Json sections = io::Json::array();
    for (const report::Section& section : result.sections)
      sections.push_back(section.title);
    return context.finish_dry_run({{"page", o.output}, {"title", result.title}, {"sections", sections}});
  }
  const std::string page = report::render_page(result);
  std::vector<SideFiles> beside;
  if (!o.svg.empty()) beside.push_back({"--svg", o.svg, report::svg_files(result)});
  if (!o.png.empty()) beside.push_back({"--png", o.png, report::png_files(result)});
  if (!o.tsv.empty()) beside.push_back({"--tsv", o.tsv, report::tsv_files(result)});
  const io::Json written = write_files(beside, o, inputs);
  if (o.output == "-") {
    std::fwrite(page.data(), 1, page.size(), stdout);
    return 0;
  }
  io::write_file(o.output, page);

  std::vector<std::pair<std::string, io::Manifest>> named;
  for (const io::Manifest& input : inputs)
    named.emplace_back(input.kind(), input);
  io::Manifest manifest = context.manifest("report", named);
  manifest.json()["path"] = io::absolute_path(o.output);
  manifest.json()["sha256"] = sha256_of(page);
  if (!written.empty()) manifest.json()["files"] = written;
  const std::string line = manifest.json().dump(-1, ' ', false, io::Json::error_handler_t::replace) + "\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
  log::info("wrote ", io::absolute_path(o.output));
  return 0;
}

}  // namespace

PLUMB_PLAIN_TOOL(Options, "report", "draws what happened: one page, and single SVG, PNG and TSV files",
                 "metrics, scores, samples, models, logs -> HTML")
