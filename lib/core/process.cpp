// SPDX-License-Identifier: Apache-2.0
#include "core/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "core/signals.h"
#include "core/text.h"

namespace plumb {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::array<int, 4> kEndingSignals{SIGTERM, SIGINT, SIGHUP, SIGUSR1};
constexpr double kStopGraceSeconds = 20;
constexpr int kPollMs = 50;

// What a fatal signal has to clean up. Written with the signals blocked.
std::atomic<pid_t> g_group{0};
char g_scratch_folder[PATH_MAX], g_scratch_path[PATH_MAX];

void clean_up() {
  if (g_group.load() > 0) kill(-g_group.load(), SIGKILL);
  if (g_scratch_path[0]) {
    unlink(g_scratch_path);
    rmdir(g_scratch_folder);
  }
}

sigset_t ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : kEndingSignals) sigaddset(&set, number);
  return set;
}

/// Holds back the ending signals for a moment.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    const sigset_t set = ending_signals();
    pthread_sigmask(SIG_BLOCK, &set, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  const sigset_t& before() const { return before_; }

 private:
  sigset_t before_;
};

void remember_path(char* where, const std::string& path) {
  const size_t length = std::min(path.size(), size_t{PATH_MAX - 1});
  std::memcpy(where, path.data(), length);
  where[length] = 0;
}

/// The child's side between fork and exec: async-signal-safe calls only.
[[noreturn]] void become_program(const sigset_t& mask, int output, char* const* argv) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // even kill -9 on us ends it
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE}) signal(number, SIG_DFL);
  pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  const int empty = open("/dev/null", O_RDONLY);
  if (empty < 0 || dup2(empty, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0) _exit(126);
  execv("/bin/sh", argv);
  _exit(127);
}

}  // namespace

ScratchFile::ScratchFile(const std::string& name) {
  const char* base = std::getenv("TMPDIR");
  std::string pattern = std::string(base && *base ? base : "/tmp") + "/plumb-XXXXXX";
  const SignalsBlocked blocked;
  if (!mkdtemp(pattern.data())) {
    throw Error(Exit::kFailed, pattern, std::string("cannot make a folder: ") + std::strerror(errno), "set TMPDIR");
  }
  folder_ = pattern;
  path_ = folder_ + "/" + name;
  remember_path(g_scratch_folder, folder_);
  remember_path(g_scratch_path, path_);
  before_ending(clean_up);
}

ScratchFile::~ScratchFile() {
  const SignalsBlocked blocked;
  unlink(path_.c_str());
  rmdir(folder_.c_str());
  g_scratch_path[0] = g_scratch_folder[0] = 0;
}

namespace {

/// A running child: reads its output until it ends or has to be ended.
class Child {
 public:
  Child(pid_t pid, int output) : pid_(pid), output_(output) {}
  ~Child() { close(output_); }

  ProgramResult collect(double timeout_s, size_t max_output) {
    const auto start = Clock::now();
    auto seconds_since = [](Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); };
    Clock::time_point stop_seen{};
    bool stopping = false, open = true, ended = false;
    ProgramResult result;
    while (!ended || open) {
      open = open && read_some(result.output);
      if (!ended && (ended = reap()) && open) {
        while (open && poll_output(0)) open = read_some(result.output);
        open = false;  // a grandchild that keeps the pipe does not keep us
      }
      if (result.output.size() > max_output) return give_up(result, ProgramResult::End::kTooMuchOutput);
      if (timeout_s > 0 && seconds_since(start) > timeout_s) return give_up(result, ProgramResult::End::kTimeOut);
      if (!stopping && stop_requested()) {
        stopping = true;
        stop_seen = Clock::now();
      }
      if (stopping && seconds_since(stop_seen) > kStopGraceSeconds) return give_up(result, ProgramResult::End::kStopped);
      if (!open && !ended) usleep(2000);
    }
    finish_group();
    result.end = WIFSIGNALED(status_) ? ProgramResult::End::kSignal : ProgramResult::End::kExit;
    result.code = WIFSIGNALED(status_) ? WTERMSIG(status_) : WEXITSTATUS(status_);
    return result;
  }

 private:
  bool poll_output(int timeout_ms) {
    pollfd wait{output_, POLLIN, 0};
    return poll(&wait, 1, timeout_ms) > 0;
  }
  /// Waits a little and reads once; false at the end of the output.
  bool read_some(std::string& into) {
    if (!poll_output(kPollMs)) return true;
    char buffer[65536];
    const ssize_t count = read(output_, buffer, sizeof buffer);
    if (count > 0) into.append(buffer, static_cast<size_t>(count));
    return count > 0 || (count < 0 && errno == EINTR);
  }
  bool reap() { return waitpid(pid_, &status_, WNOHANG) == pid_; }
  /// Ends whatever of the group still runs.
  void finish_group() {
    const SignalsBlocked blocked;
    kill(-pid_, SIGKILL);
    g_group = 0;
  }
  ProgramResult give_up(ProgramResult& result, ProgramResult::End why) {
    finish_group();
    waitpid(pid_, &status_, 0);
    result.end = why;
    return std::move(result);
  }

  pid_t pid_;
  int output_;
  int status_ = 0;
};

}  // namespace

ProgramResult run_program(const std::string& command, const std::vector<std::string>& arguments, double timeout_s,
                          size_t max_output) {
  std::vector<std::string> words{"sh", "-c", command, "sh"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Error(Exit::kFailed, command, std::string("no pipe: ") + std::strerror(errno));
  pid_t pid = 0;
  {
    const SignalsBlocked blocked;
    pid = fork();
    if (pid == 0) become_program(blocked.before(), ends[1], argv.data());
    if (pid > 0) {
      setpgid(pid, pid);
      g_group = pid;
    }
  }
  const int reason = errno;
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    throw Error(Exit::kFailed, command, std::string("cannot be started: ") + std::strerror(reason));
  }
  return Child(pid, ends[0]).collect(timeout_s, max_output);
}

}  // namespace plumb
