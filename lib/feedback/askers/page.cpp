// A person in a web browser.   SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdlib>

#include "core/error.h"
#include "core/log.h"
#include "core/signals.h"
#include "core/text.h"
#include "feedback/asker.h"
#include "feedback/web_server.h"

namespace plumb::feedback {
namespace {

constexpr double kStopPollSeconds = 0.1;

class Page : public Asker {
 public:
  explicit Page(int64_t port) : server_(port) {
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    const char* user = std::getenv("USER");
    // At any level: without the address there is nothing to do.
    log::write(log::Level::kQuiet, "open " + server_.url());
    log::write(log::Level::kQuiet, cat("from another machine, first: ssh -N -L ", server_.port(), ":127.0.0.1:", server_.port(), " ",
                                       user && *user ? std::string(user) + "@" : "", host));
  }

  bool is_person() const override { return true; }

  Reply ask(QuestionSource& source, int64_t first, int64_t count, bool may_undo) override {
    waiting_ = false;
    const Mode mode = source.mode();
    std::vector<size_t> sizes;
    std::vector<int64_t> shown;
    io::Json questions = io::Json::array();
    for (int64_t q = first; q < first + count; ++q) {
      const Question question = source.question(q);
      sizes.push_back(question.tiles.size());
      for (const Tile& tile : question.tiles) shown.push_back(tile.item);
      questions.push_back(to_json(question));
    }
    server_.publish({{"status", "ask"}, {"mode", name_of(mode)}, {"text", source.text()}, {"first", first}, {"total", source.total()},
                     {"undo", may_undo}, {"questions", std::move(questions)}},
                    [=](const io::Json& body) {
                      try {
                        read(body, mode, sizes);
                        return std::string();
                      } catch (const Error& error) {
                        return std::string(error.what());
                      }
                    });
    while (!stop_requested()) {
      const auto message = server_.receive(kStopPollSeconds);
      if (!message) continue;
      if (message->what == "undo") return {Reply::What::kUndo, {}, {}};
      if (message->what == "quit") return {Reply::What::kQuit, {}, {}};
      return {Reply::What::kAnswers, read(message->body, mode, sizes), shown};
    }
    return {};
  }

  bool idle(const std::string& why, double seconds) override {
    if (!waiting_ || why != why_) server_.publish({{"status", "wait"}, {"message", why}});
    waiting_ = true;
    why_ = why;
    const auto message = server_.receive(seconds);
    if (message) waiting_ = false;  // a new state for the next one
    return !stop_requested() && !(message && message->what == "quit");
  }

  void leave(const std::string& why, std::function<void()> on_quit) override {
    waiting_ = false;
    server_.publish({{"status", "wait"}, {"message", why}}, nullptr, std::move(on_quit));
  }

  void finish(bool all, const std::string& words) override {
    server_.publish({{"status", all ? "done" : "saved"}, {"message", words}});
    server_.deliver(1.5);
  }

 private:
  /// {"answers": [...], "ms"}: one answer a question of the screen.
  static std::vector<Answer> read(const io::Json& body, Mode mode, const std::vector<size_t>& sizes) {
    const io::Json answers = body.value("answers", io::Json());
    if (!answers.is_array() || answers.size() != sizes.size()) throw Error(Exit::kBadInput, "page", cat("there should be ", sizes.size(), " answers"));
    std::vector<Answer> result;
    for (size_t k = 0; k < sizes.size(); ++k) {
      io::Json one = answers[k];
      if (one.is_object() && body.contains("ms")) one["ms"] = body["ms"];
      result.push_back(answer_from_json(one, mode, sizes[k], "page"));
    }
    return result;
  }

  WebServer server_;
  bool waiting_ = false;
  std::string why_;
};

}  // namespace

std::unique_ptr<Asker> make_page(const AskerInput& input) { return std::make_unique<Page>(input.port); }

}  // namespace plumb::feedback
