// SPDX-License-Identifier: Apache-2.0
#include "feedback/answer_log.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "core/error.h"
#include "core/text.h"
#include "core/version.h"
#include "io/atomic_file.h"
#include "io/jsonl.h"

namespace plumb::feedback {
namespace {

const char* kind_of(Mode mode) { return mode == Mode::kPairs ? "pair" : name_of(mode).c_str(); }

std::string utc_now() {
  char text[32] = "";
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

[[noreturn]] void fail(const std::string& path) { throw Error(Exit::kFailed, path, std::strerror(errno)); }

/// Fields of a record, checked.
int64_t whole(const io::Json& line, const char* key, const std::string& where) {
  const auto found = line.find(key);
  if (found == line.end() || !found->is_number_integer()) throw Error(Exit::kBadInput, where, cat("has no whole number \"", key, "\""));
  return found->get<int64_t>();
}

std::vector<int64_t> items_of(const io::Json& line, const std::string& where) {
  const auto found = line.find("items");
  const auto is_whole = [](const io::Json& item) { return item.is_number_integer() && item.get<int64_t>() >= 0; };
  if (found == line.end() || !found->is_array() || found->empty() || !std::all_of(found->begin(), found->end(), is_whole)) {
    throw Error(Exit::kBadInput, where, "has no list \"items\" of item numbers");
  }
  return found->get<std::vector<int64_t>>();
}

std::string text_of(const io::Json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_string() ? found->get<std::string>() : "";
}

AnswerSession session_from(const io::Json& line, const std::string& where) {
  return {parse_mode(text_of(line, "mode"), where), whole(line, "total", where), text_of(line, "samples"), text_of(line, "plan")};
}

/// Whether a person answered, however the questions came to him.
bool is_of_person(const std::string& who) { return who == "page" || who == "tty" || who.rfind("spool:", 0) == 0; }

}  // namespace

AnswerLog::AnswerLog(const std::string& path, AnswerSession session, std::string rater, std::string who, std::string remedy)
    : path_(path), who_(std::move(who)), remedy_(std::move(remedy)), session_(std::move(session)) {
  open();
  try {
    read();
    of(rater);
    own_ = static_cast<size_t>(&of(rater) - raters_.data());
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

AnswerLog::~AnswerLog() {
  if (descriptor_ < 0) return;
  struct stat status {};
  if (!begun_ && ::fstat(descriptor_, &status) == 0 && status.st_size == 0) ::unlink(path_.c_str());  // not a word in it
  ::close(descriptor_);
}

void AnswerLog::open() {
  const auto try_open = [&] { return ::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666); };
  descriptor_ = try_open();
  if (descriptor_ < 0) fail(path_);
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    throw Error(Exit::kUsage, path_, "is not a regular file", remedy_);
  }
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {  // a file system without locks goes without
    ::close(descriptor_);
    throw Error(Exit::kUsage, path_, "is in use by another command, or is this one's input", "wait for it, or " + remedy_);
  }
  if (!io::begins_as(path_, R"({"kind":"session")", [](const io::Json& first) { return text_of(first, "kind") == "session"; })) {
    ::close(descriptor_);
    throw Error(Exit::kUsage, path_, "is no record of answers", remedy_);
  }
  const io::JsonlLog mended(path_);  // cuts off a torn last line
}

void AnswerLog::read() {
  int64_t number = 0;
  io::for_each_jsonl(path_, [&](const io::Json& line) {
    const std::string where = cat(path_, ": line ", ++number);
    if (number > 1) return replay(line, where);
    const AnswerSession there = session_from(line, where);
    if (there == session_) return;
    const bool other = there.samples != session_.samples;
    throw Error(Exit::kUsage, path_, other ? "holds answers about other samples" : "holds answers to other questions about these samples", remedy_);
  });
  begun_ = number > 0;
}

void AnswerLog::check_who() const {
  for (const LoggedAnswer& a : mine().answers) {
    if (a.who == who_ || (is_of_person(a.who) && is_of_person(who_))) continue;
    throw Error(Exit::kUsage, path_, "holds answers of '" + mine().name + "' that " + a.who + " gave, not " + who_, "give this one another name with --rater, or " + remedy_);
  }
}

std::string AnswerLog::header() const {
  return line_of({{"kind", "session"}, {"version", kVersion}, {"mode", name_of(session_.mode)}, {"total", session_.total},
                  {"samples", session_.samples}, {"plan", session_.plan}, {"time", utc_now()}});
}

AnswerLog::Rater& AnswerLog::of(const std::string& name) {
  for (Rater& rater : raters_) {
    if (rater.name == name) return rater;
  }
  raters_.push_back({name, {}, {}, -1});
  return raters_.back();
}

void AnswerLog::replay(const io::Json& line, const std::string& where) {
  Rater& rater = of(text_of(line, "rater"));
  const int64_t had = static_cast<int64_t>(rater.answers.size());
  if (text_of(line, "kind") == "undo") {
    const int64_t to = whole(line, "question", where);
    if (to < 0 || to >= had) throw Error(Exit::kBadInput, where, cat("takes back question ", to, ", which has no answer"));
    rater.answers.resize(static_cast<size_t>(to));
    while (!rater.screens.empty() && rater.screens.back() >= to) rater.screens.pop_back();
    return;
  }
  if (text_of(line, "kind") != kind_of(session_.mode)) throw Error(Exit::kBadInput, where, "is of kind '" + text_of(line, "kind") + "', should be " + kind_of(session_.mode));
  LoggedAnswer logged{whole(line, "question", where), items_of(line, where), {}, rater.name, text_of(line, "who")};
  if (logged.question >= session_.total) throw Error(Exit::kBadInput, where, cat("answers question ", logged.question, " of ", session_.total));
  if (logged.question != had) throw Error(Exit::kBadInput, where, cat("answers question ", logged.question, ", ", had, " was next"));
  logged.answer = answer_from_json(line, session_.mode, logged.items.size(), where);
  const int64_t screen = whole(line, "screen", where);
  if (screen != rater.last_screen || rater.screens.empty()) rater.screens.push_back(logged.question);
  rater.last_screen = screen;
  rater.answers.push_back(std::move(logged));
}

void AnswerLog::append(std::string lines) {
  if (!begun_) lines.insert(0, header());
  struct stat before {};
  if (::fstat(descriptor_, &before) != 0) fail(path_);
  for (size_t done = 0; done < lines.size();) {
    const ssize_t wrote = ::write(descriptor_, lines.data() + done, lines.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      const int problem = errno;
      if (::ftruncate(descriptor_, before.st_size) != 0) errno = problem;  // opening it again would cut the torn line off
      errno = problem;
      fail(path_);
    }
    done += static_cast<size_t>(wrote);
  }
  if (::fdatasync(descriptor_) != 0 && errno != EINVAL && errno != ENOTSUP) fail(path_);
  if (begun_) return;
  begun_ = true;
  const int folder = ::open(io::folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  ::fsync(folder);  // the file's name, too
  ::close(folder);
}

void AnswerLog::put(const std::vector<std::vector<int64_t>>& items, const Reply& reply) {
  Rater& rater = mine();
  const int64_t screen = rater.last_screen + 1;
  const std::string now = utc_now();
  std::string lines;
  std::vector<LoggedAnswer> added;
  for (size_t k = 0; k < reply.answers.size(); ++k) {
    const LoggedAnswer logged{next() + static_cast<int64_t>(k), items.at(k), reply.answers[k], rater.name, who_};
    io::Json line{{"kind", kind_of(session_.mode)}, {"question", logged.question}, {"items", logged.items}};
    put_answer(line, logged.answer, session_.mode);
    line["rater"] = rater.name;
    line["who"] = who_;
    line["screen"] = screen;
    line["shown"] = reply.shown.empty() ? logged.items : reply.shown;
    line["time"] = now;
    line["samples"] = session_.samples;
    lines += line_of(line);
    added.push_back(logged);
  }
  append(lines);
  rater.screens.push_back(next());
  rater.last_screen = screen;
  rater.answers.insert(rater.answers.end(), added.begin(), added.end());
}

void AnswerLog::undo() {
  Rater& rater = mine();
  const int64_t to = rater.screens.back();
  append(line_of({{"kind", "undo"}, {"question", to}, {"rater", rater.name}, {"who", who_}, {"time", utc_now()}, {"samples", session_.samples}}));
  rater.answers.resize(static_cast<size_t>(to));
  rater.screens.pop_back();
}

std::vector<LoggedAnswer> AnswerLog::standing() const {
  std::vector<LoggedAnswer> all;
  for (int64_t q = 0; q < session_.total; ++q) {
    for (const Rater& rater : raters_) {
      if (q < static_cast<int64_t>(rater.answers.size())) all.push_back(rater.answers[static_cast<size_t>(q)]);
    }
  }
  return all;
}

std::optional<AnswerSession> session_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || status.st_size == 0) return std::nullopt;
  std::optional<AnswerSession> session;
  bool first = true;
  io::for_each_jsonl(path, [&](const io::Json& line) {
    if (first && text_of(line, "kind") == "session") session = session_from(line, path + ": line 1");
    first = false;
  });
  return session;
}

std::vector<LoggedAnswer> read_answers(const std::string& path, Mode mode, const std::string& samples) {
  std::vector<LoggedAnswer> answers;
  int64_t number = 0, of_others = 0, last_of_others = 0;
  size_t begin = 0;  // of the record that a line belongs to: questions are numbered in each
  io::for_each_jsonl(path, [&](const io::Json& line) {
    const std::string where = cat(path, ": line ", ++number), kind = text_of(line, "kind"), of = text_of(line, "samples");
    if (kind == "session") {
      begin = answers.size();
      return;
    }
    if (!of.empty() && of != samples) {
      ++of_others;
      last_of_others = number;
      return;
    }
    if (kind == "undo") {
      const int64_t to = whole(line, "question", where);
      const std::string rater = text_of(line, "rater");
      const auto taken_back = [&](const LoggedAnswer& a) { return a.rater == rater && a.question >= to; };
      answers.erase(std::remove_if(answers.begin() + static_cast<std::ptrdiff_t>(begin), answers.end(), taken_back), answers.end());
      return;
    }
    if (!kind.empty() && kind != kind_of(mode)) throw Error(Exit::kBadInput, where, "is of kind '" + kind + "', should be " + kind_of(mode));
    LoggedAnswer logged{line.contains("question") ? whole(line, "question", where) : -1, items_of(line, where), {}, text_of(line, "rater"), text_of(line, "who")};
    logged.answer = answer_from_json(line, mode, logged.items.size(), where);
    answers.push_back(std::move(logged));
  });
  if (answers.empty() && of_others > 0) throw Error(Exit::kBadInput, cat(path, ": line ", last_of_others), "is about other samples, as are all answers there");
  return answers;
}

std::string set_aside(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || status.st_size == 0) return "";
  for (int k = 1;; ++k) {
    const std::string name = cat(path, ".", k);
    if (::stat(name.c_str(), &status) == 0) continue;
    if (::rename(path.c_str(), name.c_str()) != 0) fail(path);
    return name;
  }
}

}  // namespace plumb::feedback
