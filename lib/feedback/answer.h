// What is answered, by whomever.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "feedback/question.h"

namespace plumb::feedback {

constexpr int64_t kTopRating = 5;
constexpr int64_t kAtOnce = 256;   ///< answers that one who does not have to look gives at a time

/// One answer. What counts depends on the mode, unless it was skipped.
struct Answer {
  bool skip = false;
  double y = 0;                 ///< single: 1 like, -1 dislike, or between; pairs: 1 the first is better, -1 the second, 0 a tie, or
                                ///< between; rating: (rating - 3) / 2
  std::vector<int64_t> ranks;   ///< rank: one an item, in the order shown; 1 = best, equal = tie
  int64_t rating = 0;           ///< rating: 1 (worst) to 5
  int64_t ms = -1;              ///< from the moment the question was shown to the answer; -1 = unknown
};

/// Which of two items is better by several rewards: 1 if `a` is at least as good by all and better by one, -1 if `b` is, 0 if neither.
/// Source: the released code of D3PO (Yang et al. 2024), which compares vectors of rewards by Pareto dominance.
double pareto_preference(const std::vector<double>& a, const std::vector<double>& b);

/// The part of a JSON object that says the answer: {"y": 1} (single, pairs), {"ranks": [2,1,3]}, {"rating": 4}, null for a skip, and
/// "ms". `shown`: how many items the question shows. Throws Error(kBadInput, where, ...) for anything else.
Answer answer_from_json(const io::Json& json, Mode mode, size_t shown, const std::string& where);
/// The same part, written into `json`.
void put_answer(io::Json& json, const Answer& answer, Mode mode);

/// What came back for a screen.
struct Reply {
  enum class What {
    kAnswers,   ///< answers to the next questions, at least one
    kUndo,      ///< take back the last screen
    kQuit,      ///< save and end
    kStopped,   ///< a signal or the time limit
  };
  What what = What::kStopped;
  std::vector<Answer> answers;
  std::vector<int64_t> shown;   ///< items that were on the screen, in their order; empty: each question stood alone
};

/// Whoever is asked: a person, a program, a file, a simulated user. lib/feedback/askers.
class Asker {
 public:
  virtual ~Asker() = default;
  /// Asks questions [first, first + count), at least one of which is to be answered before it returns. It may look ahead in the
  /// source. `may_undo`: there is a screen to take back.
  virtual Reply ask(QuestionSource& source, int64_t first, int64_t count, bool may_undo) = 0;
  /// Waits up to `seconds` while there is nothing to ask, saying why. False: the person quits, or a stop was asked for.
  virtual bool idle(const std::string& why, double seconds);
  /// Says why nothing is asked for a while, in which nobody looks at what the person does: a wish to quit calls on_quit at once, from
  /// another thread.
  virtual void leave(const std::string& why, std::function<void()> on_quit) { (void)why, (void)on_quit; }
  /// The last word: whether all is answered, and what a person is told.
  virtual void finish(bool all, const std::string& words) { (void)all, (void)words; }
  /// Whether a person answers it, who sees several questions at once.
  virtual bool is_person() const { return false; }
};

}  // namespace plumb::feedback
