// SPDX-License-Identifier: Apache-2.0
#include "core/process.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "core/signals.h"

namespace plumb {
namespace {

bool exists(const std::string& path) {
  struct stat status{};
  return stat(path.c_str(), &status) == 0;
}

}  // namespace

TEST_CASE("process: status, output, arguments") {
  const ProgramResult result = run_program("printf '%s|' \"$@\"; exit 5", {"a b", "c"}, 10);
  CHECK(result.end == ProgramResult::End::kExit);
  CHECK(result.code == 5);
  CHECK(result.output == "a b|c|");
  CHECK(run_program("kill -9 $$", {}, 10).end == ProgramResult::End::kSignal);
  CHECK(run_program("head -c 300000 /dev/zero", {}, 10).output.size() == 300000);
}

TEST_CASE("process: limits") {
  CHECK(run_program("sleep 20", {}, 0.2).end == ProgramResult::End::kTimeOut);
  CHECK(run_program("yes", {}, 20, 1000000).end == ProgramResult::End::kTooMuchOutput);
  CHECK(run_program("exec >&-; sleep 20", {}, 0.3).end == ProgramResult::End::kTimeOut);
}

TEST_CASE("process: a scratch file goes with its object") {
  std::string path;
  {
    const ScratchFile file("x.h5");
    path = file.path();
    std::ofstream(path) << "x";
    CHECK(exists(path));
  }
  CHECK(!exists(path));
  CHECK(!exists(path.substr(0, path.rfind('/'))));
}

TEST_CASE("process: SIGTERM ends the program and removes the scratch file") {
  const std::string note = "/tmp/plumb-test-note-" + std::to_string(getpid());
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGTERM, SIG_DFL);  // the test runner's own handler is not what a command has
    const ScratchFile file("x.h5");
    std::ofstream(file.path()) << "x";
    run_program("echo \"$1 $$\" > " + note + ".new && mv " + note + ".new " + note + "; sleep 60", {file.path()}, 60);
    _exit(0);
  }
  std::string scratch;
  pid_t program = 0;
  for (int i = 0; i < 500 && program == 0; ++i) {
    usleep(10000);
    std::ifstream(note) >> scratch >> program;
  }
  REQUIRE(program > 0);
  CHECK(exists(scratch));
  kill(child, SIGTERM);
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGTERM);
  CHECK(!exists(scratch));
  bool gone = false;
  for (int i = 0; i < 200 && !gone; ++i) {
    std::ifstream stat_file("/proc/" + std::to_string(program) + "/stat");
    const std::string text((std::istreambuf_iterator<char>(stat_file)), {});
    gone = text.empty() || text.find(") Z") != std::string::npos;
    if (!gone) usleep(10000);
  }
  CHECK(gone);
  unlink(note.c_str());
}

}  // namespace plumb
