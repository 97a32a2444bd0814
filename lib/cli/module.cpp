// SPDX-License-Identifier: Apache-2.0
#include "cli/module.h"

#include <dlfcn.h>
#include <limits.h>
#include <unistd.h>

#include "io/atomic_file.h"

namespace plumb::cli {
namespace {

/// The folder of this executable, links resolved, so a link in bin/ finds what stands beside its target.
std::string executable_folder() {
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  if (size <= 0) throw Error(Exit::kFailed, "/proc/self/exe", "cannot be read", "is /proc mounted?");
  return io::folder_of(std::string(path, static_cast<size_t>(size)));
}

}  // namespace

std::string module_path(const std::string& tool) {
  const std::string folder = executable_folder();
  for (const char* lib : {"/../lib/", "/../../lib/plumb/", "/../lib/plumb/"}) {
    const std::string path = folder + lib + "tool_" + tool + ".so";
    char real[PATH_MAX];
    if (realpath(path.c_str(), real)) return real;
  }
  return "";
}

detail::RunFunction open_module(const std::string& tool) {
  const std::string path = module_path(tool);
  if (path.empty()) {
    throw Error(Exit::kFailed, "tool_" + tool + ".so", "not found in ../lib or ../../lib/plumb beside the executable",
                "build or install it again");
  }
  void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  void* function = module ? dlsym(module, "plumb_tool_run") : nullptr;
  if (!function) {
    const std::string problem = dlerror();
    const bool torch = problem.find("libtorch") != std::string::npos || problem.find("libc10") != std::string::npos;
    throw Error(Exit::kFailed, path, problem, torch ? "is LibTorch where it was when this was built?" : "build it again: it does not fit its libraries");
  }
  return reinterpret_cast<detail::RunFunction>(function);
}

}  // namespace plumb::cli
