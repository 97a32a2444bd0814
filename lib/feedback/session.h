// Asking, from the first question to the artefact.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "feedback/answer_log.h"
#include "feedback/plan.h"
#include "io/artefact.h"

namespace plumb::feedback {

enum class End { kAll, kQuit, kStopped };

/// Asks until every question of the source has its answer, the person quits, or a stop is asked for. Each screen is durable in
/// `sink` before the next is shown. `per_screen`: questions shown to a person at once.
End ask_all(QuestionSource& source, Asker& asker, AnswerSink& sink, int64_t per_screen);

/// Writes what stands into a feedback artefact: share/layout/feedback.json. Skips are kept apart. Returns the manifest's
/// `feedback` and sets `count`.
io::Json write_feedback(io::H5Writer& file, Mode mode, const std::vector<LoggedAnswer>& answers, int64_t& count);

}  // namespace plumb::feedback
