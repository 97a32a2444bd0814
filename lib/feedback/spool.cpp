// SPDX-License-Identifier: Apache-2.0
#include "feedback/spool.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "core/error.h"
#include "core/log.h"
#include "core/signals.h"
#include "core/text.h"
#include "feedback/session.h"
#include "io/atomic_file.h"

namespace plumb::feedback {
namespace {
namespace fs = std::filesystem;

constexpr double kPollSeconds = 0.2;

std::string numbered(const std::string& folder, const std::string& id, char letter, int64_t number) {
  char text[32];
  std::snprintf(text, sizeof text, ".%c%08lld", letter, static_cast<long long>(number));
  return (fs::path(folder) / (id + text)).string();
}

io::Json parsed(const std::string& path) {
  const io::Json json = io::Json::parse(io::read_file(path), nullptr, false);
  if (!json.is_object()) throw Error(Exit::kBadInput, path, "is not a JSON object");
  return json;
}

}  // namespace

std::unique_ptr<SpoolSession> read_session(const std::string& folder) {
  const std::string path = (fs::path(folder) / "session.json").string();
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return nullptr;
  const io::Json json = parsed(path);
  try {
    auto session = std::make_unique<SpoolSession>();
    session->id = json.at("session").get<std::string>();
    session->mode = parse_mode(json.at("mode").get<std::string>(), path);
    session->total = json.at("total").get<int64_t>();
    session->next = json.at("next").get<int64_t>();
    session->text = json.at("text").get<std::string>();
    session->state = json.at("state").get<std::string>();
    return session;
  } catch (const io::Json::exception&) {
    throw Error(Exit::kBadInput, path, "is not a session of plumb's");
  }
}

void write_session(const std::string& folder, const SpoolSession& s) {
  io::write_file((fs::path(folder) / "session.json").string(),
                 line_of({{"session", s.id}, {"mode", name_of(s.mode)}, {"total", s.total}, {"text", s.text}, {"next", s.next}, {"state", s.state}}));
}

std::string question_path(const std::string& folder, const std::string& id, int64_t index) { return numbered(folder, id, 'q', index); }

std::map<int64_t, std::string> waiting_events(const std::string& folder, const std::string& id) {
  std::map<int64_t, std::string> events;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string(), prefix = id + ".a";
    if (name.rfind(prefix, 0) == 0 && name.size() == prefix.size() + 8) events[std::atoll(name.c_str() + prefix.size())] = entry.path().string();
  }
  return events;
}

bool SpoolQuestions::ready(int64_t index) { return ::access(question_path(folder_, session_.id, index).c_str(), R_OK) == 0; }

Question SpoolQuestions::question(int64_t index) {
  const std::string path = question_path(folder_, session_.id, index);
  return question_from_json(parsed(path), path);
}

SpoolAnswers::SpoolAnswers(std::string folder, SpoolSession session) : folder_(std::move(folder)), session_(std::move(session)) { catch_up(); }

void SpoolAnswers::catch_up() {
  std::vector<io::Json> events;  // first these: what is taken meanwhile shows in the session
  for (const auto& [number, path] : waiting_events(folder_, session_.id)) {
    try {
      events.push_back(parsed(path));
    } catch (const Error&) {
      continue;  // taken between the listing and now
    }
  }
  if (const auto now = read_session(folder_)) session_.next = now->next;
  next_ = session_.next;
  undoing_ = false;
  for (const io::Json& event : events) {
    undoing_ = event.contains("undo");
    if (undoing_) return;  // what stands behind it answers questions that will be others
    if (event.contains("first") && event["first"] == next_) next_ += static_cast<int64_t>(event.value("answers", io::Json::array()).size());
  }
}

void SpoolAnswers::send(const io::Json& event) {
  const auto events = waiting_events(folder_, session_.id);
  const std::string temporary = (fs::path(folder_) / cat(".", session_.id, ".tmp.", ::getpid())).string();
  io::write_file(temporary, line_of(event));
  for (int64_t number = events.empty() ? 0 : events.rbegin()->first + 1;; ++number) {  // a link replaces nothing, a rename would
    const std::string path = numbered(folder_, session_.id, 'a', number);
    const bool linked = ::link(temporary.c_str(), path.c_str()) == 0;
    const int problem = errno;
    if (!linked && problem == EEXIST) continue;
    ::unlink(temporary.c_str());
    if (!linked) throw Error(Exit::kFailed, path, std::strerror(problem));
    return;
  }
}

void SpoolAnswers::put(const std::vector<std::vector<int64_t>>& items, const Reply& reply) {
  io::Json event{{"first", next_}, {"answers", io::Json::array()}, {"shown", reply.shown}};
  for (const Answer& answer : reply.answers) put_answer(event["answers"].emplace_back(io::Json::object()), answer, session_.mode);
  send(event);
  next_ += static_cast<int64_t>(items.size());
}

void SpoolAnswers::undo() {
  send({{"undo", next_}});
  undoing_ = true;
}

bool SpoolAnswers::ready() {
  if (undoing_) catch_up();
  return !undoing_;
}

void SpoolAnswers::quit() { send({{"quit", true}}); }

bool serve_spool(const std::string& folder, Asker& asker, const std::function<int64_t(bool pictures)>& per_screen, bool once) {
  std::string served;
  if (!fs::exists(folder)) log::info(folder, " is not there yet: waiting for a command with --ask spool:", folder);
  for (;;) {
    const auto session = read_session(folder);
    const bool again = session && session->id == served && SpoolAnswers(folder, *session).next() == session->total;
    if (!session || session->state == "done" || again) {
      if (!asker.idle(served.empty() ? "Waiting for questions." : "All answered. Waiting for more questions.", kPollSeconds)) return !stop_requested();
      continue;
    }
    SpoolQuestions source(folder, *session);
    SpoolAnswers answers(folder, *session);
    log::info("session ", session->id, ": ", answers.next(), " of ", session->total, " answered");
    const int64_t next = answers.next();
    while (next < session->total && !source.ready(next)) {
      if (!asker.idle("Waiting for questions.", kPollSeconds)) return false;
    }
    const bool pictures = next < session->total && !source.question(next).tiles.front().png.empty();
    const End end = ask_all(source, asker, answers, per_screen(pictures));
    if (end == End::kQuit) answers.quit();
    if (end != End::kAll) return false;
    served = session->id;
    while (once) {  // until the other side has taken them; it may not have taken all, and asks again
      const auto now = read_session(folder);
      if (!now || now->id != served || now->state == "done") return true;
      if (SpoolAnswers(folder, *now).next() < now->total) break;
      if (!asker.idle("All answered.", kPollSeconds)) return false;
    }
  }
}

}  // namespace plumb::feedback
