// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cli/tool.h"
#include "core/threads.h"
#include "core/version.h"
#include "io/atomic_file.h"
#include "io/json_log.h"

namespace plumb::cli {
namespace {

/// One line on standard output. Whether it arrived is checked once, by tool_main's last flush.
void print_line(const io::Json& json) {
  const std::string line = json.dump(-1, ' ', false, io::Json::error_handler_t::replace) + "\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
}

/// Also where one is not there yet.
bool same_file(const std::string& a, const std::string& b) {
  struct stat first {}, second {};
  if (io::absolute_path(a) == io::absolute_path(b)) return true;
  return stat(a.c_str(), &first) == 0 && stat(b.c_str(), &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

/// The kind of the artefact at path; "" if it is something else.
std::string kind_of_file(const std::string& path) {
  try {
    return io::Manifest::read(path).kind();
  } catch (const Error&) {
    return "";
  }
}

/// The file of an artefact, and the files without which it is no good: the model that a model was tuned from, the items of scores, features and
/// feedback.
void add_files(const io::Manifest& manifest, std::vector<std::string>& paths) {
  const bool learned = manifest.kind() == "model" || manifest.kind() == "reward";
  if (!manifest.path().empty()) paths.push_back(manifest.path());
  for (const auto& [name, input] : manifest.inputs()) {
    const bool needed = learned ? input.kind() == "model" : input.kind() == "samples" || input.kind() == "dataset";
    if (needed && !input.path().empty()) paths.push_back(input.path());
  }
}

void check_folder(const std::string& path) {
  const std::string folder = io::folder_of(path);
  struct stat status {};
  if (stat(folder.c_str(), &status) != 0) throw Error(Exit::kFailed, path, std::strerror(errno), "make the folder " + folder + " first");
}

}  // namespace

Context::Context(ToolInfo info, std::vector<std::string> argv, OptionTable& table, CommonOptions& common)
    : info_(std::move(info)), argv_(std::move(argv)), table_(table), common_(common) {}

const io::Manifest& Context::standard_input() {
  if (!stdin_) {
    if (isatty(STDIN_FILENO)) {
      throw Error(Exit::kUsage, "", "no input: standard input is a terminal",
                  "name a file, or pipe from the command before; try '" + info_.name + " --help'");
    }
    stdin_ = io::Manifest::read("-");
    add_files(*stdin_, read_paths_);
  }
  return *stdin_;
}

const io::Manifest& Context::input() {
  if (input_) return *input_;
  if (common_.input.size() > 1) throw Error(Exit::kUsage, common_.input[1], "unexpected argument", "one input is read");
  input_ = read(common_.input.empty() ? "-" : common_.input.front(), "");
  return *input_;
}

io::Manifest Context::need(const std::string& kind) {
  io::Manifest manifest = input().need(kind);
  add_files(manifest, read_paths_);
  return manifest;
}

io::Manifest Context::read(const std::string& source, const std::string& kind) {
  io::Manifest manifest;
  if (source == "-") {
    manifest = standard_input();
  } else {
    manifest = io::Manifest::read(source);
    read_paths_.push_back(source);
    add_files(manifest, read_paths_);
  }
  if (kind.empty() || manifest.kind() == kind) return manifest;
  manifest = manifest.need(kind);
  add_files(manifest, read_paths_);
  return manifest;
}

void Context::refuse_input_as_output(const std::string& path) const {
  for (const std::string& input : read_paths_) {
    if (same_file(path, input)) {
      throw Error(Exit::kUsage, path, "is an input of this command and would be replaced by its output", "name another with -o");
    }
  }
}

std::string Context::output_path(const std::string& kind) {
  const bool json = kind == "metrics";
  const std::string path = !common_.output.empty() ? common_.output : kind + (json ? ".json" : ".h5");
  if (path == "-") {
    throw Error(Exit::kUsage, "--output", "'-' is standard output, which carries the manifest", "name a file");
  }
  refuse_input_as_output(path);
  check_folder(path);
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return path;
  if (S_ISDIR(status.st_mode)) throw Error(Exit::kUsage, path, "is a folder", "name a file with -o");
  if (!S_ISREG(status.st_mode)) throw Error(Exit::kUsage, path, "is not a regular file", "name a file with -o");
  if (common_.force || status.st_size == 0) return path;
  const std::string there = kind_of_file(path);
  if (there != kind) {
    throw Error(Exit::kUsage, path, there.empty() ? "is there and no artefact of plumb's" : "is there and holds " + there + ", not " + kind,
                "name another with -o, or replace it with --force");
  }
  return path;
}

void Context::check_printed_output(const std::vector<std::pair<std::string, std::string>>& others) {
  std::vector<std::pair<std::string, std::string>> taken;
  if (!common_.output.empty() && common_.output != "-") taken.emplace_back("--output", output_path("metrics"));
  for (const auto& [option, path] : others) {
    if (path.empty()) continue;
    check_folder(path);
    for (const auto& [before, there] : taken) {
      if (same_file(path, there)) throw Error(Exit::kUsage, option, "names the same file as " + before);
    }
    taken.emplace_back(option, path);
  }
}

void Context::check_log(const std::string& output) const {
  if (!table_.find("log")) return;
  const std::string path = io::log_path(common_.log, output), hint = "name another with --log";
  if (same_file(path, output)) throw Error(Exit::kUsage, path, "is the output of this command, not its log", hint);
  std::vector<std::string> inputs = read_paths_;
  for (const Option& row : table_.rows()) {
    if (!row.is_text() || row.name() == "log") continue;
    const io::Json value = row.to_json();
    for (const io::Json& one : value.is_array() ? value : io::Json::array({value})) {
      const std::string text = one.get<std::string>();
      if (row.is_file()) inputs.push_back(text);
      if (const size_t colon = text.find(':'); colon != std::string::npos) inputs.push_back(text.substr(colon + 1));  // classifier:FILE.h5
    }
  }
  const bool is_input = std::any_of(inputs.begin(), inputs.end(), [&](const std::string& input) { return !input.empty() && same_file(path, input); });
  if (is_input) throw Error(Exit::kUsage, path, "is an input of this command and would be emptied for its log", hint);
  if (common_.force || io::is_standard_output(path) || io::is_log(path)) return;
  throw Error(Exit::kUsage, path, "is there and no log of plumb's", hint + ", or replace it with --force");
}

io::H5Writer Context::create(const std::string& kind) {
  const std::string path = output_path(kind);
  check_log(path);
  return io::H5Writer(path, common_.compress);
}

io::Manifest Context::manifest(const std::string& kind) {
  io::Json json{{"format", "plumb/" + std::to_string(kFormatVersion)}, {"kind", kind}, {"tool", info_.name},
                {"version", kVersion}, {"argv", argv_}, {"config", table_.to_json(false)}};
  return io::Manifest(std::move(json));
}

io::Manifest Context::manifest(const std::string& kind, const std::vector<std::pair<std::string, io::Manifest>>& inputs) {
  io::Manifest result = manifest(kind);
  io::Json& all = result.json()["inputs"] = io::Json::object();
  for (const auto& [name, input] : inputs) {
    if (!all.contains(name)) {
      all[name] = input.json();
      continue;
    }
    if (!all[name].is_array()) all[name] = io::Json::array({all[name]});  // a name that repeats: a list
    all[name].push_back(input.json());
  }
  return result;
}

int Context::finish(io::H5Writer& writer, const io::Manifest& manifest) {
  refuse_input_as_output(writer.path());
  print_line(io::commit_artefact(writer, manifest).json());
  return 0;
}

int Context::finish(const io::Manifest& manifest) {
  if (common_.output.empty() || common_.output == "-") {
    print_line(manifest.json());
    return 0;
  }
  const std::string path = output_path(manifest.kind());
  io::write_file(path, manifest.stored(io::folder_of(io::absolute_path(path))).dump(2) + "\n");
  io::Manifest written = io::Manifest::read(path);
  io::Json json = manifest.json();
  json["path"] = written.path();
  json["sha256"] = written.sha256();
  print_line(json);
  return 0;
}

int Context::pass_on(const io::Manifest& manifest) {
  print_line(manifest.json());
  return 0;
}

int Context::threads() const { return common_.threads > 0 ? static_cast<int>(common_.threads) : default_threads(); }

bool Context::was_set(const std::string& option) const {
  const Option* row = table_.find(option);
  return row && row->was_set();
}

int Context::finish_dry_run(const io::Json& plan) {
  print_line(io::Json{{"tool", info_.name}, {"config", table_.to_json(true)}, {"plan", plan}});
  return 0;
}

void stop_after_checkpoint(const std::string& checkpoint) {
  throw Error(Exit::kTryAgain, checkpoint, "stopped after this checkpoint", "run the same command again to go on");
}

}  // namespace plumb::cli
