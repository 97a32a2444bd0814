// The record of answers: JSON lines that only ever grow. Schema: share/schema/answers.json, text: feedback(1), ANSWERS.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "feedback/answer.h"

namespace plumb::feedback {

/// Where answers go. Questions are answered in their order, so how far one is is a number; taking back is by screens.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  virtual int64_t next() const = 0;       ///< the first question without an answer
  virtual bool can_undo() const = 0;
  virtual bool ready() { return true; }   ///< false: what undo() took back is not known yet, nor is next()
  /// Makes the answers to questions next(), next() + 1, ... durable before it returns. `items`: those of each.
  virtual void put(const std::vector<std::vector<int64_t>>& items, const Reply& reply) = 0;
  /// Takes back the last screen, by a record of its own: nothing is erased.
  virtual void undo() = 0;
};

/// One answer that stands, as the record has it.
struct LoggedAnswer {
  int64_t question = 0;
  std::vector<int64_t> items;
  Answer answer;
  std::string rater;
  std::string who = {};   ///< WHO was asked
};

/// What a record belongs to: the first line of the file.
struct AnswerSession {
  Mode mode = Mode::kSingle;
  int64_t total = 0;       ///< questions
  std::string samples;     ///< Items::digest()
  std::string plan;        ///< digest_of(plan)
  bool operator==(const AnswerSession&) const = default;
};

inline constexpr const char* kRecordRemedy = "name another file with --answers, or set it aside with --resume never";

/// The record as a file. Each screen's answers are one write(2) and one fdatasync(2); a torn last line is cut off when the file is
/// opened. Several raters may share one file, one after the other; each answers all questions.
class AnswerLog : public AnswerSink {
 public:
  /// Opens the file, which appears with its first answer, and locks it against other commands. Throws Error(kBadInput) for a damaged file,
  /// Error(kUsage) for answers to other questions, or if another command is writing to it. `remedy`: what to do about these.
  AnswerLog(const std::string& path, AnswerSession session, std::string rater, std::string who, std::string remedy = kRecordRemedy);
  ~AnswerLog() override;
  AnswerLog(const AnswerLog&) = delete;
  AnswerLog& operator=(const AnswerLog&) = delete;
  int64_t next() const override { return static_cast<int64_t>(mine().answers.size()); }
  bool can_undo() const override { return !mine().screens.empty(); }
  void put(const std::vector<std::vector<int64_t>>& items, const Reply& reply) override;
  void undo() override;
  const std::string& path() const { return path_; }
  /// Throws Error(kUsage) for answers of this rater that somebody else than `who` gave; a person may go from a page to a terminal.
  void check_who() const;

  /// All answers that stand: by question, then by rater in the order of their first answers.
  std::vector<LoggedAnswer> standing() const;

 private:
  struct Rater {
    std::string name;
    std::vector<LoggedAnswer> answers;   // of questions 0, 1, ...
    std::vector<int64_t> screens;        // the first question of each
    int64_t last_screen = -1;            // its number in the file, which undo does not lower
  };
  void open();
  void read();
  void replay(const io::Json& line, const std::string& where);
  std::string header() const;
  void append(std::string lines);
  Rater& of(const std::string& name);
  Rater& mine() { return raters_[own_]; }
  const Rater& mine() const { return raters_[own_]; }

  std::string path_, who_, remedy_;
  AnswerSession session_;
  std::vector<Rater> raters_;
  size_t own_ = 0;
  int descriptor_ = -1;
  bool begun_ = false;   // whether the file has its first line
};

/// What a record says that it belongs to; nullopt if there is none. Throws Error(kBadInput).
std::optional<AnswerSession> session_of(const std::string& path);

/// Answers that stand in files made by AnswerLog, one or several behind one another, or in one that only has {"items", "y" | "ranks" |
/// "rating"} lines. Those that name other samples than `samples` (Items::digest()) are left out; all of them is Error(kBadInput), as is a
/// line that is no answer.
std::vector<LoggedAnswer> read_answers(const std::string& path, Mode mode, const std::string& samples);

/// Moves a record out of the way, to PATH.1, PATH.2, ...; returns its new name, "" if there was none.
std::string set_aside(const std::string& path);

}  // namespace plumb::feedback
