// Preloaded into a command by truncated.py: loads the command's module once, then runs the command in one forked child for each
// length of its input, cut from a whole one. Starting LibTorch takes half a second, a fork a millisecond.
// From the environment: FUZZ_WHOLE the whole input, FUZZ_INPUT where its cut copy goes (the file the command line names),
// FUZZ_LENGTHS a file of lengths, FUZZ_OUTPUT what must not be there after a failure, FUZZ_MODULE the module or "",
// FUZZ_REPORT where the lines "LENGTH STATUS OUTPUT-LEFT ERROR-LINES FIRST-ERROR-LINE" go (STATUS -N: signal N).
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace {

using Main = int (*)(int, char**, char**);
Main real_main;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void redirect(const std::string& path, int descriptor) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  dup2(file, descriptor);
  close(file);
}

int fuzz(int argc, char** argv, char** env) {
  const std::string whole = contents(environment("FUZZ_WHOLE")), input = environment("FUZZ_INPUT"),
                    output = environment("FUZZ_OUTPUT"), module = environment("FUZZ_MODULE"),
                    errors = environment("FUZZ_REPORT") + ".stderr";
  unsetenv("LD_PRELOAD");  // children of the command are not ours
  if (!module.empty() && !dlopen(module.c_str(), RTLD_NOW | RTLD_GLOBAL)) {
    std::fprintf(stderr, "forkserver: %s\n", dlerror());
    return 99;
  }
  std::ifstream lengths(environment("FUZZ_LENGTHS"));
  std::ofstream report(environment("FUZZ_REPORT"));
  for (size_t length; lengths >> length;) {
    unlink(output.c_str());
    std::ofstream(input, std::ios::binary).write(whole.data(), static_cast<std::streamsize>(length));
    const pid_t child = fork();
    if (child == 0) {
      report.close();
      redirect("/dev/null", STDOUT_FILENO);
      redirect(errors, STDERR_FILENO);
      alarm(20);
      _exit(real_main(argc, argv, env));
    }
    int status = 0;
    waitpid(child, &status, 0);
    const std::string text = contents(errors);
    size_t lines = 0;
    for (const char c : text) lines += c == '\n';
    report << length << ' ' << (WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status)) << ' '
           << (access(output.c_str(), F_OK) == 0) << ' ' << lines << ' ' << text.substr(0, text.find('\n')) << std::endl;
  }
  return 0;
}

}  // namespace

extern "C" int __libc_start_main(Main main, int argc, char** argv, int (*init)(int, char**, char**), void (*fini)(),
                                 void (*rtld_fini)(), void* stack_end) {
  using Start = int (*)(Main, int, char**, int (*)(int, char**, char**), void (*)(), void (*)(), void*);
  real_main = main;
  const auto start = reinterpret_cast<Start>(dlsym(RTLD_NEXT, "__libc_start_main"));
  return start(fuzz, argc, argv, init, fini, rtld_fini, stack_end);
}
