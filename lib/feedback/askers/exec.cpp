// A program that answers: one question a line on its standard input, one answer a line on its standard output.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>

#include "core/error.h"
#include "core/signals.h"
#include "core/text.h"
#include "feedback/asker.h"

namespace plumb::feedback {
namespace {
namespace fs = std::filesystem;

constexpr int kPollMs = 50;
constexpr int kSecondsToEnd = 2;   // that a program has to end after its last answer

/// The child's side between fork and exec: async-signal-safe calls only.
[[noreturn]] void become_program(int input, int output, char* const* argv) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // even kill -9 on us ends it
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE}) signal(number, SIG_DFL);
  if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0) _exit(126);
  execv("/bin/sh", argv);
  _exit(127);
}

class Program : public Asker {
 public:
  explicit Program(std::string command) : command_(std::move(command)) {}
  ~Program() override {
    if (pid_ > 0) {
      kill(-pid_, SIGKILL);
      if (!ended_) waitpid(pid_, nullptr, 0);
    }
    for (int fd : {in_, out_}) {
      if (fd >= 0) ::close(fd);
    }
    if (started_) signal(SIGPIPE, before_);
    std::error_code ignored;
    if (!folder_.empty()) fs::remove_all(folder_, ignored);
  }

  Reply ask(QuestionSource& source, int64_t first, int64_t, bool) override {
    if (!started_) {
      mode_ = source.mode();
      for (int64_t q = 0; q < source.total(); ++q) shown_.push_back(source.items(q).size());
      start(first);
    }
    while (!answers_.count(first)) {
      if (stop_requested()) return {};
      feed(source);
      read_some();
      if (answers_.count(first) || out_ >= 0) continue;
      if (wrong_) throw Error(*wrong_);
      gave_up(first, source.total());
    }
    Reply reply{Reply::What::kAnswers, {}, {}};
    for (auto at = answers_.find(first); at != answers_.end() && at->first == first; at = answers_.erase(at), ++first) reply.answers.push_back(at->second);
    return reply;
  }

  /// The program has all questions and sees the end of its input: it may end by itself, and what it says after its last answer is wrong.
  void finish(bool all, const std::string&) override {
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(kSecondsToEnd);
    while (all && out_ >= 0 && !stop_requested() && std::chrono::steady_clock::now() < patience) {
      if (in_ >= 0) close_input();
      read_some();
    }
    if (all && wrong_) throw Error(*wrong_);
  }

 private:
  std::string name() const { return "exec:" + command_; }

  void start(int64_t first) {
    begun_ = sent_ = answered_ = first;
    const char* base = std::getenv("TMPDIR");
    std::string pattern = std::string(base && *base ? base : "/tmp") + "/plumb-XXXXXX";
    if (!mkdtemp(pattern.data())) throw Error(Exit::kFailed, pattern, std::string("cannot make a folder: ") + std::strerror(errno), "set TMPDIR");
    folder_ = pattern;
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) throw Error(Exit::kFailed, name(), std::string("no pipe: ") + std::strerror(errno));
    std::string shell = "sh", flag = "-c";
    char* const argv[] = {shell.data(), flag.data(), command_.data(), nullptr};
    before_ = signal(SIGPIPE, SIG_IGN);  // a program that reads no more is told by EPIPE
    started_ = true;
    pid_ = fork();
    if (pid_ == 0) become_program(to[0], from[1], argv);
    const int reason = errno;
    ::close(to[0]);
    ::close(from[1]);
    in_ = to[1];
    out_ = from[0];
    if (pid_ < 0) throw Error(Exit::kFailed, name(), std::string("cannot be started: ") + std::strerror(reason));
    setpgid(pid_, pid_);
    fcntl(in_, F_SETFL, O_NONBLOCK);
  }

  std::string line_for(const Question& question, QuestionSource& source) {
    io::Json line{{"question", question.index}, {"mode", name_of(source.mode())}, {"text", source.text()}, {"items", question.items()}};
    io::Json paths, letters, numbers, prompts;
    for (const Tile& tile : question.tiles) {
      if (!tile.png.empty()) {
        const std::string path = cat(folder_, "/", tile.item, ".png");
        if (!fs::exists(path) && !(std::ofstream(path, std::ios::binary) << tile.png).flush()) throw Error(Exit::kFailed, path, "cannot be written", "set TMPDIR");
        paths.push_back(path);
      }
      if (!tile.letters.empty()) letters.push_back(tile.letters);
      if (!tile.numbers.empty()) numbers.push_back(tile.numbers);
      if (!tile.prompt.empty()) prompts.push_back(tile.prompt);
    }
    if (!paths.empty()) line["paths"] = paths;
    if (!letters.empty()) line["sequences"] = letters;
    if (!numbers.empty()) line["vectors"] = numbers;
    if (!prompts.empty()) line["prompts"] = prompts;
    return plumb::feedback::line_of(line);
  }

  /// Writes as many questions as the pipe takes, then closes it: a program may answer line by line or at the end.
  void feed(QuestionSource& source) {
    while (in_ >= 0) {
      if (unsent_.empty() && sent_ < source.total()) {
        unsent_ = line_for(source.question(sent_++), source);
      }
      if (unsent_.empty()) return close_input();
      const ssize_t wrote = ::write(in_, unsent_.data(), unsent_.size());
      if (wrote > 0) unsent_.erase(0, static_cast<size_t>(wrote));
      else if (wrote < 0 && errno == EAGAIN) return;
      else if (wrote < 0 && errno != EINTR) return close_input();
    }
  }
  void close_input() {
    ::close(in_);
    in_ = -1;
  }

  /// Waits a little for output, or for room in the input, and takes whole lines.
  void read_some() {
    if (out_ < 0) return;
    pollfd wait[2] = {{out_, POLLIN, 0}, {in_, POLLOUT, 0}};
    poll(wait, in_ >= 0 ? 2 : 1, kPollMs);
    if (!(wait[0].revents & (POLLIN | POLLHUP | POLLERR))) return;
    char buffer[65536];
    const ssize_t got = ::read(out_, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) return;
    if (got > 0) received_.append(buffer, static_cast<size_t>(got));
    try {
      for (size_t end; (end = received_.find('\n')) != std::string::npos;) {
        take(received_.substr(0, end));
        received_.erase(0, end + 1);
      }
      if (got <= 0 && !trim(received_).empty()) take(received_);
    } catch (const Error& error) {  // the answers before it count, and are written down first
      wrong_ = std::make_unique<Error>(error);
    }
    if (got > 0 && !wrong_) return;
    ::close(out_);
    out_ = -1;
  }

  /// An answer object, or its value alone (a number, null, a list of ranks): then of the next question in order.
  void take(const std::string& text) {
    if (trim(text).empty()) return;
    const std::string where = name() + ": line '" + text.substr(0, 80) + "' of its output";
    io::Json json = io::Json::parse(text, nullptr, false);
    if (json.is_discarded()) throw Error(Exit::kFailed, where, "is not JSON", "see feedback(1), exec");
    if (!json.is_object()) json = io::Json{{mode_ == Mode::kRank ? "ranks" : mode_ == Mode::kRating ? "rating" : "y", json}};
    if (json.contains("question") && !json["question"].is_number_integer()) throw Error(Exit::kFailed, where, "has a \"question\" that is no whole number", "see feedback(1), exec");
    const int64_t question = json.contains("question") ? json["question"].get<int64_t>() : answered_;
    if (question < begun_ || question >= static_cast<int64_t>(shown_.size())) throw Error(Exit::kFailed, where, cat("answers question ", question, ", which was not asked"));
    try {
      answers_[question] = answer_from_json(json, mode_, shown_[static_cast<size_t>(question)], where);
    } catch (const Error& error) {
      throw Error(Exit::kFailed, error.what(), "no answer: see feedback(1), exec");
    }
    answered_ = question + 1;
  }

  [[noreturn]] void gave_up(int64_t question, int64_t total) {
    int status = 0;
    ended_ = waitpid(pid_, &status, 0) == pid_;
    const std::string how = WIFSIGNALED(status) ? cat("was ended by signal ", WTERMSIG(status)) : cat("ended with status ", WEXITSTATUS(status));
    throw Error(Exit::kFailed, name(), cat(how, " without an answer to question ", question, " of ", total), "answers before it are saved: run the same command again to go on");
  }

  std::string command_, folder_, unsent_, received_;
  Mode mode_ = Mode::kSingle;
  std::vector<size_t> shown_;   // items of each question
  std::map<int64_t, Answer> answers_;
  int64_t begun_ = 0, sent_ = 0, answered_ = 0;   // the first question of this run; those given to the program; behind the last answer
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
  std::unique_ptr<Error> wrong_;   // what is wrong with its output
  bool started_ = false, ended_ = false;
  void (*before_)(int) = SIG_DFL;
};

}  // namespace

std::unique_ptr<Asker> make_exec(const AskerInput& input) { return std::make_unique<Program>(input.argument); }

}  // namespace plumb::feedback
