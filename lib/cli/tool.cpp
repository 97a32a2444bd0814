// Everything between main() and a tool's run(), and the way out.   SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "cli/help.h"
#include "cli/module.h"
#include "cli/parse.h"
#include "core/log.h"
#include "core/text.h"
#include "core/threads.h"
#include "io/atomic_file.h"

namespace plumb::cli {
namespace {

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

/// Descriptors 0-2 are always open afterwards, so no artefact is ever opened as "stdout" and overwritten by a message.
/// A closed standard output becomes one that cannot be written: the last flush then reports it.
void open_standard_streams() {
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) == -1 && errno == EBADF) {
      if (open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY) != fd) std::_Exit(1);
    }
  }
}

/// "cpu", "cuda", "cuda:INDEX": the form only. Whether the device is there is known once LibTorch is loaded.
void check_device(const std::string& device) {
  const std::string index = device.rfind("cuda:", 0) == 0 ? device.substr(5) : "0";
  const bool number = !index.empty() && index.size() < 4 && index.find_first_not_of("0123456789") == std::string::npos;
  if (device == "cpu" || device == "cuda" || (device.rfind("cuda:", 0) == 0 && number)) return;
  throw Error(Exit::kUsage, "--device", "'" + device + "' is no device", "cpu, cuda or cuda:INDEX");
}

io::Json read_config(const std::string& path) {
  const io::Json config = io::Json::parse(io::read_file(path), nullptr, false);
  if (config.is_discarded()) throw Error(Exit::kBadInput, path, "is not valid JSON");
  for (const char* key : {"config", "print_config"}) {
    if (config.is_object() && config.contains(key)) {
      throw Error(Exit::kUsage, path, cat("key '", key, "' has no place in a configuration file"));
    }
  }
  return config;
}

/// The resolved options in the form that --config reads. What has no value is left out.
std::string config_text(const OptionTable& table) {
  const io::Json all = table.to_json(true);  // items() refers to it: a temporary would be gone
  io::Json config = io::Json::object();
  for (const auto& [key, value] : all.items()) {
    const bool unset = value.is_null() || value == "" || (value.is_array() && value.empty());
    const bool not_kept = key == "config" || key == "print_config" || key == "dry_run" || key == "force";
    if (!unset && !not_kept) config[key] = value;
  }
  return config.dump(2) + "\n";
}

void check_required(const OptionTable& table, const std::string& tool) {
  for (const Option& row : table.rows()) {
    if (row.is_required() && !row.was_set()) {
      throw Error(Exit::kUsage, "--" + row.name(), "is required", "try '" + tool + " --help'");
    }
  }
}

void configure_process(const ToolInfo& info, const CommonOptions& common) {
  using log::Level;
  log::configure(info.name, common.quiet ? Level::kQuiet
                                         : static_cast<Level>(std::min<int64_t>(3, 1 + common.verbose)));
  set_progress_mode(common.quiet ? ProgressMode::kNone : parse_progress_mode(common.progress));
  const int threads = common.threads > 0 ? static_cast<int>(common.threads) : default_threads();
  setenv("OMP_NUM_THREADS", std::to_string(threads).c_str(), 1);  // these are read once, when LibTorch is loaded
  // A thread that waits at a barrier spins; where other jobs share the cores it then keeps the one it waits for from running,
  // and a training step on two threads takes 7 times as long (with 20000 rounds; libgomp's own default is longer still).
  if (!std::getenv("OMP_WAIT_POLICY")) setenv("GOMP_SPINCOUNT", "1000", 0);
}

int run_tool(const ToolInfo& info, const std::vector<std::string>& args, OptionTable& table, CommonOptions& common,
             const void* options, detail::RunFunction run) {
  const Request request = parse_arguments(args, table, info.name);
  if (request.help) return print(help_text(info, table, help_width())), 0;
  if (request.version) return print(request.json ? version_json(info).dump() + "\n" : version_text(info) + "\n"), 0;
  if (request.dump_options) return print(options_json(info, table).dump(1) + "\n"), 0;
  if (!common.config.empty()) table.apply_config(read_config(common.config), common.config);
  check_device(common.device);
  if (common.print_config) return print(config_text(table)), 0;
  check_required(table, info.name);
  configure_process(info, common);
  std::vector<std::string> argv{info.name};
  argv.insert(argv.end(), args.begin(), args.end());
  if (!run) run = open_module(info.name);
  Context context(info, std::move(argv), table, common);
  return run(context, options);
}

/// The exit status after mapping whatever was thrown. One line on standard error each.
int guarded(const ToolInfo& info, const std::vector<std::string>& args, OptionTable& table, CommonOptions& common,
            const void* options, detail::RunFunction run) {
  try {
    return run_tool(info, args, table, common, options, run);
  } catch (const Error& error) {
    log::error(error.what());
    return static_cast<int>(error.exit());
  } catch (const std::bad_alloc&) {
    log::error("out of memory");
  } catch (const std::exception& error) {  // LibTorch's messages go on with a backtrace: keep the first line
    log::error(split(error.what(), '\n').front());
  }
  return static_cast<int>(Exit::kFailed);
}

}  // namespace

int detail::tool_main(const ToolInfo& info, int argc, char** argv, OptionTable& table, CommonOptions& common,
                      const void* options, RunFunction run) {
  open_standard_streams();
  std::setlocale(LC_ALL, "C");
  signal(SIGPIPE, SIG_DFL);  // a parent may have ignored it; a closed pipe ends us quietly
  log::configure(info.name, log::Level::kNormal);
  const std::vector<std::string> args(argv + 1, argv + std::max(argc, 1));
  int status = guarded(info, args, table, common, options, run);
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
    log::error(std::string("standard output: ") + std::strerror(errno));
    if (status == 0) status = static_cast<int>(Exit::kFailed);
  }
  std::fflush(stderr);
  _exit(status);  // LibTorch's destructors take 0.15 s and have nothing left to save
}

}  // namespace plumb::cli
