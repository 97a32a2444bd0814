// Text, digests, error lines, signals, threads, versions.   SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <clocale>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/sha256.h"
#include "core/signals.h"
#include "core/text.h"
#include "core/threads.h"
#include "core/version.h"

namespace plumb {
namespace {

/// The exit code of the Error that `action` throws; -1 if it throws none.
template <typename Action>
int exit_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return static_cast<int>(error.exit());
  }
  return -1;
}

/// How a child process that runs `action` ends: its wait status.
template <typename Action>
int status_of_child(const Action& action) {
  const pid_t child = ::fork();
  if (child == 0) {
    action();
    ::_exit(7);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

}  // namespace

TEST_CASE("error: one line, empty parts left out, the code kept") {
  CHECK(std::string(Error(Exit::kBadInput, "a.h5", "is empty", "make it again").what()) ==
        "a.h5: is empty: make it again");
  CHECK(std::string(Error(Exit::kUsage, "", "no input").what()) == "no input");
  CHECK(std::string(Error(Exit::kFailed, "x\ny", "a\r\nb", "").what()) == "x y: a  b");
  CHECK(Error(Exit::kTryAgain, "", "").exit() == Exit::kTryAgain);
  CHECK(static_cast<int>(Exit::kTryAgain) == 75);
  CHECK(check_finite(2.5, "fid") == 2.5);
  for (const double bad :
       {std::nan(""), std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()}) {
    CHECK(exit_of([&] { check_finite(bad, "fid"); }) == 4);
  }
}

TEST_CASE("sha256: the vectors of FIPS 180-4, of pieces, and of files") {
  CHECK(sha256_of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  const std::string million(1000000, 'a');
  CHECK(sha256_of(million) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  Sha256 pieces;
  for (size_t at = 0; at < million.size(); at += 999)
    pieces.update(million.data() + at, std::min<size_t>(999, million.size() - at));
  CHECK(pieces.hex() == sha256_of(million));
  const std::string path =
      (std::filesystem::temp_directory_path() / ("plumb-sha-" + std::to_string(::getpid()))).string();
  std::ofstream(path, std::ios::binary) << million << million;
  CHECK(sha256_of_file(path) == sha256_of(million + million));
  std::filesystem::remove(path);
  CHECK(exit_of([&] { sha256_of_file(path); }) == 3);
}

TEST_CASE("text: joining, splitting, trimming, shapes") {
  CHECK(cat("a", 1, '-', 0.1, true) == "a1-0.11");
  CHECK(cat(1234567.5) == "1234567.5");
  CHECK(cat(123456789012) == "123456789012");
  CHECK(shape_text({}) == "[]");
  CHECK(shape_text({2, 3, 28}) == "[2,3,28]");
  CHECK(split("a,,b,", ',') == std::vector<std::string>{"a", "", "b", ""});
  CHECK(split("", ',') == std::vector<std::string>{""});
  CHECK(join({"a", "b"}, ", ") == "a, b");
  CHECK(join({}, ", ") == "");
  CHECK(trim(" \t a b\r\n") == "a b");
  CHECK(trim(" \n") == "");
}

TEST_CASE("text: the nearest name, if there is one near") {
  const std::vector<std::string> names{"batch-size", "seed", "steps", "learning-rate"};
  CHECK(nearest("batchsize", names) == "batch-size");
  CHECK(nearest("sede", names) == "seed");
  CHECK(nearest("learning_rate", names) == "learning-rate");
  CHECK(nearest("zzzzzzzzzz", names) == "");
  CHECK(nearest("x", {}) == "");
}

TEST_CASE("text: numbers are parsed whole or refused, whatever the locale") {
  CHECK(parse_double("-1.5e3", "x") == -1500);
  CHECK(parse_int("-42", "x") == -42);
  CHECK(parse_int("9223372036854775807", "x") == INT64_MAX);
  for (const char* bad : {"", " 1", "1 ", "1x", "0x10", "nan", "inf", "1e999", "1,5", "+1", "--1"}) {
    INFO(bad);
    CHECK(exit_of([&] { parse_double(bad, "--x"); }) == 2);
  }
  for (const char* bad : {"", "1.0", "1e3", "9223372036854775808", " 1", "1 ", "a"}) {
    INFO(bad);
    CHECK(exit_of([&] { parse_int(bad, "--x"); }) == 2);
  }
}

TEST_CASE("signals: the first asks, the second ends; time limits") {
  reset_stop_request();
  for (const int number : {SIGTERM, SIGUSR1, SIGINT}) {
    install_stop_handlers();
    CHECK_FALSE(stop_requested());
    ::raise(number);
    CHECK(stop_requested());
    reset_stop_request();
    const int status = status_of_child([number] {
      install_stop_handlers();
      ::raise(number);
      ::raise(number);
    });
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == number);
    ::signal(number, SIG_DFL);
  }
  set_time_limit(1000);
  CHECK_FALSE(stop_requested());
  set_time_limit(1e-9);
  ::usleep(10);
  CHECK(stop_requested());
  set_time_limit(0);
  CHECK_FALSE(stop_requested());
  reset_stop_request();
}

TEST_CASE("signals: what is not whole is removed before one ends the process, also by the second that a stop waits for") {
  static int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const auto deed = [] { (void)!::write(ends[1], "x", 1); };
  int done = 0;
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
    for (const bool waits : {false, true}) {
      if (waits && number == SIGHUP) continue;
      const int status = status_of_child([&] {
        ::signal(number, SIG_DFL);
        before_ending(deed);
        if (waits) install_stop_handlers();
        ::raise(number);
        ::raise(number);
      });
      CHECK(WIFSIGNALED(status));
      CHECK(WTERMSIG(status) == number);
      ++done;
    }
  }
  ::close(ends[1]);
  char text[16];
  CHECK(::read(ends[0], text, sizeof text) == done);
  ::close(ends[0]);
}

TEST_CASE("threads: Slurm, then OpenMP, then the affinity mask") {
  const auto with = [](const char* slurm, const char* openmp) {
    ::unsetenv("SLURM_CPUS_PER_TASK");
    ::unsetenv("OMP_NUM_THREADS");
    if (slurm) ::setenv("SLURM_CPUS_PER_TASK", slurm, 1);
    if (openmp) ::setenv("OMP_NUM_THREADS", openmp, 1);
    return default_threads();
  };
  const char* before = ::getenv("OMP_NUM_THREADS");
  const std::string kept = before ? before : "";
  CHECK(with("3", "5") == 3);
  CHECK(with(nullptr, "5") == 5);
  CHECK(with("0", "junk") == with(nullptr, nullptr));
  CHECK(with(nullptr, nullptr) >= 1);
  if (!kept.empty()) ::setenv("OMP_NUM_THREADS", kept.c_str(), 1);
}

TEST_CASE("log: levels decide; each message is one line with the program's name; errors always print") {
  const auto text_of = [](log::Level level) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const int status = status_of_child([&] {
      ::dup2(ends[1], STDERR_FILENO);
      log::configure("sample", level);
      log::info("step ", 3);
      log::warn("slow");
      log::verbose("detail");
      log::debug("inside");
      log::error("a.h5: is empty");
      ::_exit(0);
    });
    CHECK(status == 0);
    ::close(ends[1]);
    std::string text(4096, '\0');
    text.resize(static_cast<size_t>(std::max<ssize_t>(0, ::read(ends[0], text.data(), text.size()))));
    ::close(ends[0]);
    return text;
  };
  const std::string error = "sample: a.h5: is empty\n", normal = "sample: step 3\nsample: warning: slow\n";
  CHECK(text_of(log::Level::kQuiet) == error);
  CHECK(text_of(log::Level::kNormal) == normal + error);
  CHECK(text_of(log::Level::kVerbose) == normal + "sample: detail\n" + error);
  CHECK(text_of(log::Level::kDebug) == normal + "sample: detail\nsample: inside\n" + error);
}

TEST_CASE("progress: names of modes; version: three numbers") {
  CHECK(parse_progress_mode("plain") == ProgressMode::kPlain);
  CHECK(parse_progress_mode("none") == ProgressMode::kNone);
  CHECK(exit_of([] { parse_progress_mode("loud"); }) == 2);
  CHECK(split(kVersion, '.').size() == 3);
  CHECK(kFormatVersion == 1);
}

}  // namespace plumb
