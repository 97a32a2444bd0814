// SPDX-License-Identifier: Apache-2.0
#include "feedback/session.h"

#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/log.h"
#include "core/sha256.h"
#include "core/signals.h"
#include "core/text.h"
#include "feedback/asker.h"

namespace plumb::feedback {
namespace {

/// How many of the next questions go on one screen: those that are there, and as many on each screen as on the others.
int64_t screen_size(QuestionSource& source, int64_t first, int64_t most) {
  const int64_t left = source.total() - first, screens = (left + most - 1) / most, each = (left + screens - 1) / screens;
  int64_t count = 1;
  while (count < each && first + count < source.total() && source.ready(first + count)) ++count;
  return count;
}

/// Of all pairs of values under one key, how many are equal.
io::Json count_agreeing(const auto& values_by_key) {
  int64_t pairs = 0, agree = 0;
  for (const auto& [key, values] : values_by_key) {
    for (size_t i = 0; i < values.size(); ++i) {
      for (size_t j = i + 1; j < values.size(); ++j) ++pairs, agree += values[i] == values[j];
    }
  }
  return {{"pairs", pairs}, {"agree", agree}};
}

/// Of all pairs of raters who gave the same question an answer: the share that agree on its sign. Ranks: on the item ranked best.
io::Json agreement(Mode mode, const std::vector<LoggedAnswer>& answers) {
  std::map<int64_t, std::vector<double>> by_question;
  for (const LoggedAnswer& a : answers) {
    if (a.answer.skip) continue;
    const auto& ranks = a.answer.ranks;
    const double sign = a.answer.y > 0 ? 1 : a.answer.y < 0 ? -1 : 0;
    by_question[a.question].push_back(mode == Mode::kRank ? static_cast<double>(std::min_element(ranks.begin(), ranks.end()) - ranks.begin()) : sign);
  }
  return count_agreeing(by_question);
}

/// Of all pairs of answers that one rater gave to the same items at two times: the share that agree, as above; a pair that was shown
/// the other way round counts the other way round.
io::Json consistency(Mode mode, const std::vector<LoggedAnswer>& answers) {
  std::map<std::pair<std::string, std::vector<int64_t>>, std::vector<double>> by_items;
  for (const LoggedAnswer& a : answers) {
    if (a.answer.skip) continue;
    std::vector<int64_t> items = a.items;
    std::sort(items.begin(), items.end());
    const auto& ranks = a.answer.ranks;
    const double sign = (a.answer.y > 0 ? 1 : a.answer.y < 0 ? -1 : 0) * (mode == Mode::kPairs && items != a.items ? -1 : 1);
    by_items[{a.rater, items}].push_back(
        mode == Mode::kRank ? static_cast<double>(a.items[static_cast<size_t>(std::min_element(ranks.begin(), ranks.end()) - ranks.begin())]) : sign);
  }
  return count_agreeing(by_items);
}

/// Rows of the artefact, column by column.
struct Columns {
  std::vector<int64_t> item, rater, rating, skipped, pair, pair_rater, ranked, rank;
  std::vector<float> y, pair_y;

  void add_pair(int64_t first, int64_t second, double better, int64_t who) {
    pair.insert(pair.end(), {first, second});
    pair_y.push_back(static_cast<float>(better));
    pair_rater.push_back(who);
  }
  void add(Mode mode, const LoggedAnswer& a, int64_t who) {
    if (a.answer.skip) {
      skipped.insert(skipped.end(), a.items.begin(), a.items.end());
    } else if (mode == Mode::kPairs) {
      add_pair(a.items[0], a.items[1], a.answer.y, who);
    } else if (mode == Mode::kRank) {
      ranked.insert(ranked.end(), a.items.begin(), a.items.end());
      rank.insert(rank.end(), a.answer.ranks.begin(), a.answer.ranks.end());
      rater.push_back(who);
      for (size_t i = 0; i < a.items.size(); ++i) {
        for (size_t j = i + 1; j < a.items.size(); ++j) {
          const int64_t by = a.answer.ranks[j] - a.answer.ranks[i];
          add_pair(a.items[i], a.items[j], by > 0 ? 1 : by < 0 ? -1 : 0, who);
        }
      }
    } else {
      item.push_back(a.items[0]);
      y.push_back(static_cast<float>(a.answer.y));
      rater.push_back(who);
      if (mode == Mode::kRating) rating.push_back(a.answer.rating);
    }
  }
};

int64_t rows(const auto& column) { return static_cast<int64_t>(column.size()); }

void write_columns(io::H5Writer& file, Mode mode, const Columns& c, int64_t set_size) {
  const auto whole = [&](const char* name, const std::vector<int64_t>& v, int64_t width = 1) {
    const int64_t n = rows(v) / std::max<int64_t>(1, width);
    file.write(name, io::Type::kI64, width > 1 ? std::vector<int64_t>{n, width} : std::vector<int64_t>{n}, v.data());
  };
  if (mode == Mode::kPairs || mode == Mode::kRank) {
    whole("pair", c.pair, 2);
    file.write("pair_y", io::Type::kF32, {rows(c.pair_y)}, c.pair_y.data());
    whole("pair_rater", c.pair_rater);
  }
  if (mode == Mode::kRank) {
    whole("ranked", c.ranked, set_size);
    whole("rank", c.rank, set_size);
  }
  if (mode == Mode::kSingle || mode == Mode::kRating) {
    whole("item", c.item);
    file.write("y", io::Type::kF32, {rows(c.y)}, c.y.data());
    if (mode == Mode::kRating) whole("rating", c.rating);
  }
  if (mode != Mode::kPairs) whole("rater", c.rater);
  if (!c.skipped.empty()) whole("skipped", c.skipped);
}

}  // namespace

End ask_all(QuestionSource& source, Asker& asker, AnswerSink& sink, int64_t per_screen) {
  const int64_t most = asker.is_person() && source.mode() == Mode::kSingle ? std::min(per_screen, kMostShown) : 1;
  while (sink.next() < source.total()) {
    if (stop_requested()) return End::kStopped;
    const bool known = sink.ready();
    const int64_t first = sink.next();
    if (!known || !source.ready(first)) {
      const char* const why = known ? "Waiting for the next questions." : "Waiting for the other side to take the last screen back.";
      if (!asker.idle(why, 0.25)) return stop_requested() ? End::kStopped : End::kQuit;
      continue;
    }
    const Reply reply = asker.ask(source, first, screen_size(source, first, most), sink.can_undo());
    if (reply.what == Reply::What::kQuit) return End::kQuit;
    if (reply.what == Reply::What::kStopped) return End::kStopped;
    if (reply.what == Reply::What::kUndo) {
      if (sink.can_undo()) sink.undo();
      continue;
    }
    std::vector<std::vector<int64_t>> items;
    for (size_t k = 0; k < reply.answers.size(); ++k) items.push_back(source.items(first + static_cast<int64_t>(k)));
    sink.put(items, reply);
  }
  return End::kAll;
}

int64_t questions_on_screen(const SessionOptions& o, bool pictures) { return o.per_page > 0 ? o.per_page : o.ask == "tty" || !pictures ? 4 : kMostShown; }

std::vector<LoggedAnswer> collect(const SessionOptions& o, const Items& items, const io::Manifest& input, PlannedQuestions& questions, Asker* lasting) {
  const AnswerSession session{questions.mode(), questions.total(), items.digest(), digest_of(questions.plan())};
  AnswerLog answers(o.record, session, o.rater, o.ask, o.remedy);
  if (!o.finish) answers.check_who();
  for (const LoggedAnswer& a : answers.standing()) {
    if (a.items != questions.items(a.question)) throw Error(Exit::kBadInput, o.record, cat("says other items of question ", a.question, " than were asked about"));
  }
  const int64_t before = answers.next(), total = questions.total();
  if (before > 0) log::info(o.record, ": ", before, " of ", total, " answered before");
  if (!o.finish && (before < total || asker_name(o.ask) == "spool")) {  // a folder may have to be told that all is done
    auto own = lasting ? nullptr : make_asker(o.ask, {.mode = questions.mode(), .items = &items, .input = &input, .session = sha256_of(session.samples + session.plan), .port = o.port, .score = o.score});
    Asker* const asker = lasting ? lasting : own.get();
    const End end = ask_all(questions, *asker, answers, questions_on_screen(o, items.space().type == "image"));
    const std::string so_far = cat(answers.next(), " of ", total, " answered");
    if (!lasting || end != End::kAll) asker->finish(end == End::kAll, end == End::kAll ? "All answered. Thank you." : so_far + ", all of it saved.");
    own.reset();  // a terminal is as before
    if (end != End::kAll) throw Error(Exit::kTryAgain, o.record, so_far, "run the same command again to go on, or with --finish to make do with these");
  }
  std::vector<LoggedAnswer> standing = answers.standing();
  if (standing.empty()) throw Error(Exit::kBadInput, o.record, "holds no answers yet", "leave --finish out");
  return standing;
}

io::Json write_feedback(io::H5Writer& file, Mode mode, const std::vector<LoggedAnswer>& answers, int64_t& count) {
  Columns columns;
  std::vector<std::string> raters, asked;
  int64_t liked = 0, disliked = 0, neutral = 0, skips = 0;
  for (const LoggedAnswer& a : answers) {
    const int64_t who = std::find(raters.begin(), raters.end(), a.rater) - raters.begin();
    if (who == rows(raters)) raters.push_back(a.rater);
    if (std::find(asked.begin(), asked.end(), a.who) == asked.end()) asked.push_back(a.who);
    columns.add(mode, a, who);
    skips += a.answer.skip;
    if (a.answer.skip || mode == Mode::kRank) continue;
    (a.answer.y > 0 ? liked : a.answer.y < 0 ? disliked : neutral) += 1;
  }
  const int64_t set_size = answers.empty() ? 1 : rows(answers.front().items);
  write_columns(file, mode, columns, set_size);
  count = mode == Mode::kPairs ? rows(columns.pair_y) : rows(columns.rater);
  io::Json told{{"mode", name_of(mode)}, {"answers", rows(answers)}, {"skipped", skips}};
  if (mode == Mode::kSingle || mode == Mode::kRating) told.update({{"liked", liked}, {"disliked", disliked}, {"neutral", neutral}});
  if (mode == Mode::kPairs) told.update({{"first", liked}, {"second", disliked}, {"ties", neutral}});
  told["raters"] = raters;
  told["who"] = asked;
  if (raters.size() > 1) told["agreement"] = agreement(mode, answers);
  const io::Json repeats = consistency(mode, answers);
  if (repeats["pairs"] > 0) told["repeats"] = repeats;
  return told;
}

}  // namespace plumb::feedback
