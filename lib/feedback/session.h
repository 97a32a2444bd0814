// Asking, from the first question to the artefact.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "feedback/answer_log.h"
#include "feedback/items.h"
#include "feedback/plan.h"
#include "io/artefact.h"

namespace plumb::feedback {

enum class End { kAll, kQuit, kStopped };

/// Asks until every question of the source has its answer, the person quits, or a stop is asked for. Each screen is durable in
/// `sink` before the next is shown. `per_screen`: questions shown to a person at once.
End ask_all(QuestionSource& source, Asker& asker, AnswerSink& sink, int64_t per_screen);

/// Who is asked, and where the answers are kept.
struct SessionOptions {
  std::string ask = "page", rater = "anonymous";
  std::string record = {};     ///< path of the record of answers
  int64_t per_page = 0;        ///< questions of mode single on a screen; 0 = 9 pictures (4 in a terminal, or of text)
  int64_t port = 0;            ///< page
  bool finish = false;         ///< ask nothing more
  ScoreItems score = {};       ///< a reward's values, for a simulated user; none: those of scores on the lineage
  std::string remedy = kRecordRemedy;   ///< what to do about a record of other answers
};

/// Asks what has no answer in the record yet, and returns all that stand; the caller has installed the stop handlers. `input`: the
/// manifest whose lineage a simulated user may look for scores in.
/// `lasting`: an asker that goes on after this session, such as the page of a person who waits for the next round; null: one is made.
/// Throws Error(kTryAgain) if the person quits or a stop is asked for before the last question: what was answered is in the record,
/// and the same call goes on.
std::vector<LoggedAnswer> collect(const SessionOptions& options, const Items& items, const io::Manifest& input, PlannedQuestions& questions,
                                  Asker* lasting = nullptr);
int64_t questions_on_screen(const SessionOptions& options, bool pictures);

/// Writes what stands into a feedback artefact: share/layout/feedback.json. Skips are kept apart. Returns the manifest's
/// `feedback` and sets `count`.
io::Json write_feedback(io::H5Writer& file, Mode mode, const std::vector<LoggedAnswer>& answers, int64_t& count);

}  // namespace plumb::feedback
