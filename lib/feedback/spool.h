// Questions and answers through a folder: the command that needs answers runs on a compute node, the person sits at the login node,
// and only a shared disk lies between. Every file appears whole, by a rename or a link; nothing is locked.
//
//   session.json      {"session", "mode", "total", "text", "next", "state": "open" | "done"}; next = answers taken so far
//   ID.qNNNNNNNN      question N of session ID, kLookAhead beyond `next`: the person need not wait, nor the other side be running
//   ID.aNNNNNNNN      event N of the person, taken in the order of N and then removed:
//                     {"first": q, "answers": [...], "shown": [...]}, {"undo": next} or {"quit": true}
//
// A command that is killed between writing down an event and removing its file finds it again; the event is then recognised, since
// its "first" is not `next` any more, and dropped.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "feedback/answer_log.h"

namespace plumb::feedback {

constexpr int64_t kLookAhead = 48;

struct SpoolSession {
  std::string id;          ///< of the plan: 16 hex digits
  Mode mode = Mode::kSingle;
  int64_t total = 0, next = 0;
  std::string text, state;
};

/// The folder's session, if there is one. Throws Error(kBadInput) for a file that is none.
std::unique_ptr<SpoolSession> read_session(const std::string& folder);
void write_session(const std::string& folder, const SpoolSession& session);

/// The events that wait, by number.
std::map<int64_t, std::string> waiting_events(const std::string& folder, const std::string& id);
std::string question_path(const std::string& folder, const std::string& id, int64_t index);

/// The person's side: questions as they come.
class SpoolQuestions : public QuestionSource {
 public:
  SpoolQuestions(std::string folder, SpoolSession session) : folder_(std::move(folder)), session_(std::move(session)) {}
  Mode mode() const override { return session_.mode; }
  int64_t total() const override { return session_.total; }
  std::string text() const override { return session_.text; }
  bool ready(int64_t index) override;
  Question question(int64_t index) override;

 private:
  std::string folder_;
  SpoolSession session_;
};

/// The person's side: answers as events.
class SpoolAnswers : public AnswerSink {
 public:
  /// Where the session stands: what was taken, and the events that wait.
  SpoolAnswers(std::string folder, SpoolSession session);
  int64_t next() const override { return next_; }
  bool can_undo() const override { return next_ > 0; }
  /// Whether no undo waits: which screen was the last, the other side knows, and it may be away.
  bool ready() override;
  void put(const std::vector<std::vector<int64_t>>& items, const Reply& reply) override;
  void undo() override;
  void quit();

 private:
  void catch_up();
  void send(const io::Json& event);
  std::string folder_;
  SpoolSession session_;
  int64_t next_ = 0;
  bool undoing_ = false;
};

/// Serves the sessions of a folder, one after the other, until the person quits, a stop is asked for, or, with `once`, the first is
/// done. `per_screen`: how many questions are shown at once, of pictures or others. False: questions are left open, or a stop was asked for.
bool serve_spool(const std::string& folder, Asker& asker, const std::function<int64_t(bool pictures)>& per_screen, bool once);

}  // namespace plumb::feedback
