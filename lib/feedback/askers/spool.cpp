// A person on another machine, through a folder: this is the side that needs the answers.   SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "core/log.h"
#include "core/signals.h"
#include "feedback/asker.h"
#include "feedback/spool.h"
#include "io/atomic_file.h"

namespace plumb::feedback {
namespace {
namespace fs = std::filesystem;

constexpr double kPollSeconds = 0.2;
constexpr const char* kRemove = "remove it, and the person is asked again";

class Spool : public Asker {
 public:
  Spool(std::string folder, Mode mode, const std::string& session) : folder_(std::move(folder)) {
    std::error_code problem;
    fs::create_directories(folder_, problem);
    if (problem) throw Error(Exit::kFailed, folder_, "cannot be made: " + problem.message());
    session_.id = session.substr(0, 16);
    session_.mode = mode;
    session_.state = "open";
    const auto there = read_session(folder_);
    if (there && there->id != session_.id && there->state != "done") {
      throw Error(Exit::kUsage, folder_, "holds another session, which is not done", "name another folder, or remove its session.json");
    }
  }

  Reply ask(QuestionSource& source, int64_t first, int64_t, bool) override {
    begin(source, first);
    for (;;) {
      if (stop_requested()) return {};
      const auto events = waiting_events(folder_, session_.id);
      for (const auto& [number, path] : events) {
        Reply reply;
        if (!read_event(path, source, first, reply)) {
          drop(path);
          continue;
        }
        if (reply.what == Reply::What::kQuit) drop(path);
        else taken_ = path;  // removed when the answer is written down: at the next question
        return reply;
      }
      idle("", kPollSeconds);
    }
  }

  void finish(bool all, const std::string&) override {
    if (!all) return acknowledge();
    if (session_.total == 0) {  // nothing was left to ask: the end of an earlier run that was not told
      const auto there = read_session(folder_);
      if (!there || there->id != session_.id) return;
      session_ = *there;
    }
    session_.next = session_.total;
    session_.state = "done";
    write_session(folder_, session_);
    std::error_code ignored;
    for (int64_t q = 0; q < session_.total; ++q) fs::remove(question_path(folder_, session_.id, q), ignored);
    for (const auto& [number, path] : waiting_events(folder_, session_.id)) drop(path);
  }

 private:
  /// Says how far we are and lays out the questions ahead.
  void begin(QuestionSource& source, int64_t first) {
    const bool fresh = session_.total == 0;
    session_.total = source.total();
    session_.text = source.text();
    session_.next = first;
    for (int64_t q = first; q < std::min(first + kLookAhead, source.total()); ++q) {
      const std::string path = question_path(folder_, session_.id, q);
      if (::access(path.c_str(), F_OK) != 0) io::write_file(path, line_of(to_json(source.question(q))));
    }
    write_session(folder_, session_);
    if (!taken_.empty()) drop(taken_);
    taken_.clear();
    if (fresh) log::info("questions are in ", folder_, ": answer them with: feedback --serve-spool ", folder_, " --ask page");
  }

  void acknowledge() {
    if (taken_.empty()) return;
    session_.next += last_count_;
    write_session(folder_, session_);
    drop(taken_);
    taken_.clear();
  }

  static void drop(const std::string& path) { ::unlink(path.c_str()); }

  /// False: an event that was taken before.
  bool read_event(const std::string& path, QuestionSource& source, int64_t next, Reply& reply) {
    const io::Json event = io::Json::parse(io::read_file(path), nullptr, false);
    if (!event.is_object()) throw Error(Exit::kBadInput, path, "is not a JSON object", kRemove);
    last_count_ = 0;
    if (event.contains("quit")) {
      reply.what = Reply::What::kQuit;
      return true;
    }
    if (event.contains("undo")) {
      reply.what = Reply::What::kUndo;
      return event["undo"] == next;
    }
    if (!event.contains("first") || event["first"] != next) return false;
    const io::Json answers = event.value("answers", io::Json::array());
    if (!answers.is_array() || answers.empty() || next + static_cast<int64_t>(answers.size()) > source.total()) {
      throw Error(Exit::kBadInput, path, "does not hold answers to the next questions", kRemove);
    }
    for (size_t k = 0; k < answers.size(); ++k) {
      const size_t shown = source.question(next + static_cast<int64_t>(k)).tiles.size();
      reply.answers.push_back(answer_from_json(answers[k], session_.mode, shown, path));
    }
    try {
      reply.shown = event.value("shown", std::vector<int64_t>());
    } catch (const io::Json::exception&) {
      throw Error(Exit::kBadInput, path, "has no list of items as \"shown\"", kRemove);
    }
    reply.what = Reply::What::kAnswers;
    last_count_ = static_cast<int64_t>(answers.size());
    return true;
  }

  std::string folder_, taken_;
  SpoolSession session_;
  int64_t last_count_ = 0;
};

}  // namespace

std::unique_ptr<Asker> make_spool(const AskerInput& input) { return std::make_unique<Spool>(input.argument, input.mode, input.session); }

}  // namespace plumb::feedback
