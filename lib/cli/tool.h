// What every command shares: option parsing, common options, input manifests, outputs, the exit path.
//
// A tool is one file, tools/NAME.cpp: an options struct with its defaults, describe() (the option table), run(), and one
// macro. Loading LibTorch takes half a second, so a tool that computes with tensors is compiled twice from that one file:
// with PLUMB_FRONT defined it is bin/NAME (options, --help, completions; no LibTorch); without, it is the module
// lib/tool_NAME.so holding run(), opened after the options were parsed. So everything Torch stands below
// `#ifndef PLUMB_FRONT`.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/options.h"
#include "core/progress.h"
#include "io/artefact.h"

namespace plumb::cli {

/// Options that all commands have. A tool's options struct holds one as `common`; describe() calls t.group and
/// describe_common last.
struct CommonOptions {
  std::vector<std::string> input;  ///< positional: "-", FILE.json or FILE.h5
  std::string output;              ///< -o
  bool quiet = false;
  int64_t verbose = 0;
  bool dry_run = false;
  bool print_config = false;
  bool force = false;
  int64_t threads = 0;             ///< 0: default_threads()
  std::string device = "cpu";
  std::string precision = "fp32";
  std::string progress = "auto";
  std::string config;
  std::string log;                 ///< JSON lines; "" = the tool's default
  bool compress = false;           ///< deflate the output
};

/// Which of the common options a tool has. A tool that has no use for an option does not offer it.
struct CommonSet {
  bool input = true;       ///< reads an artefact from the positional argument or stdin
  bool output = true;
  bool printed = false;    ///< what is made is printed, and a file of it is made only if one is named
  bool tensors = true;     ///< --device, --precision, -j
  bool precision = true;   ///< --precision among them
  bool log = false;        ///< --log
  bool compress = false;
};
void describe_common(OptionTable& t, CommonOptions& o, const CommonSet& set);

/// What the tool is called and does, for --help and the man page.
struct ToolInfo {
  std::string name;
  std::string summary;              ///< one line, lower case, no full stop
  std::string reads_writes;         ///< "samples -> scores"
};

/// One run of a command.
class Context {
 public:
  Context(ToolInfo info, std::vector<std::string> argv, OptionTable& table, CommonOptions& common);
  const ToolInfo& info() const { return info_; }
  const CommonOptions& common() const { return common_; }

  /// The manifest of the input: the positional argument, else stdin. Read once; later calls return the same.
  /// With stdin a terminal and no argument: Error(kUsage).
  const io::Manifest& input();
  /// The nearest artefact of this kind on the input's lineage.
  io::Manifest need(const std::string& kind);
  /// The manifest of a file given by an option such as --model, --reference ("-" allowed). kind "" = any.
  io::Manifest read(const std::string& source, const std::string& kind);

  /// Where the main output goes: -o, else KIND.h5 (KIND.json for metrics) in the current folder. Refuses to replace a file
  /// that is no artefact of this kind, unless --force, and an input always.
  std::string output_path(const std::string& kind);
  /// Claims the main output, before the work. A run's log, which is emptied, is refused here if it is an input, the output, or no log.
  io::H5Writer create(const std::string& kind);
  /// For metrics, which are printed and need no file: refuses an -o that could not be written in the end, and `others` (option, path) that have
  /// no folder or are the same as another.
  void check_printed_output(const std::vector<std::pair<std::string, std::string>>& others);
  /// Throws Error(kUsage) if the file was read by this command, or what was read is no good without it.
  void refuse_input_as_output(const std::string& path) const;

  /// A fresh manifest of this kind: format, tool, version, argv, config (options that shape the result).
  io::Manifest manifest(const std::string& kind);
  /// As manifest, with `inputs.<name>` set to each input's manifest.
  io::Manifest manifest(const std::string& kind, const std::vector<std::pair<std::string, io::Manifest>>& inputs);

  /// Commits the artefact, prints its manifest on stdout, returns 0.
  int finish(io::H5Writer& writer, const io::Manifest& manifest);
  /// Prints a manifest without a file (metrics), writing -o FILE.json if given. Returns 0.
  int finish(const io::Manifest& manifest);

  /// Prints the manifest that was read, for a command that makes no artefact: the pipe goes on behind it. Returns 0.
  int pass_on(const io::Manifest& manifest);

  /// -j, else what default_threads() finds. OMP_NUM_THREADS is set to it before LibTorch is loaded.
  int threads() const;
  /// Whether the option was given on the command line or in the --config file.
  bool was_set(const std::string& option) const;
  bool dry_run() const { return common_.dry_run; }
  /// --dry-run: prints {tool, config, plan} and returns 0.
  int finish_dry_run(const io::Json& plan);

 private:
  const io::Manifest& standard_input();
  void check_log(const std::string& output) const;
  ToolInfo info_;
  std::vector<std::string> argv_;
  OptionTable& table_;
  CommonOptions& common_;
  std::optional<io::Manifest> input_, stdin_;
  std::vector<std::string> read_paths_;  // files read so far: none of them may be the output
};

/// Throws Error(kTryAgain): the orderly end after a checkpoint was written.
[[noreturn]] void stop_after_checkpoint(const std::string& checkpoint);

namespace detail {
using RunFunction = int (*)(Context&, const void* options);
/// Everything between main() and run(): see tool.cpp. `run` null: opened from the tool's module.
int tool_main(const ToolInfo& info, int argc, char** argv, OptionTable& table, CommonOptions& common,
              const void* options, RunFunction run);
}  // namespace detail

}  // namespace plumb::cli

/// Ends tools/NAME.cpp. Needs `void describe(plumb::OptionTable&, OPTIONS&)` and, where PLUMB_FRONT is not defined,
/// `int run(plumb::cli::Context&, const OPTIONS&)`, both in the unnamed namespace.
#define PLUMB_TOOL_MAIN_(OPTIONS, RUN, ...)                                                                      \
  int main(int argc, char** argv) {                                                                              \
    OPTIONS options;                                                                                             \
    plumb::OptionTable table;                                                                                    \
    describe(table, options);                                                                                    \
    return plumb::cli::detail::tool_main(plumb::cli::ToolInfo{__VA_ARGS__}, argc, argv, table, options.common,   \
                                         &options, RUN);                                                         \
  }
#define PLUMB_TOOL_RUN_(OPTIONS)                                                                                 \
  extern "C" int plumb_tool_run(plumb::cli::Context& context, const void* options) {                             \
    return run(context, *static_cast<const OPTIONS*>(options));                                                  \
  }
/// PLUMB_TOOL(OPTIONS, name, summary, reads_writes): a tool that computes with tensors.
/// PLUMB_PLAIN_TOOL(...): a tool without LibTorch, one executable.
#ifdef PLUMB_FRONT
#define PLUMB_TOOL(OPTIONS, ...) PLUMB_TOOL_MAIN_(OPTIONS, nullptr, __VA_ARGS__)
#else
#define PLUMB_TOOL(OPTIONS, ...) PLUMB_TOOL_RUN_(OPTIONS)
#endif
#define PLUMB_PLAIN_TOOL(OPTIONS, ...)                          \
  PLUMB_TOOL_RUN_(OPTIONS)                                      \
  PLUMB_TOOL_MAIN_(OPTIONS, &plumb_tool_run, __VA_ARGS__)
