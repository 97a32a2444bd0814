// feedback: asks a person, a program, a file or a simulated user about samples.   Man page: feedback(1).
// SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"
#include "core/log.h"
#include "core/signals.h"
#include "feedback/asker.h"
#include "feedback/session.h"
#include "feedback/spool.h"
#include "io/atomic_file.h"
#include "io/exporter.h"

namespace {

using namespace plumb;
using namespace plumb::feedback;

struct Options {
  std::string ask = "page", mode = "single", choose = "random", question, rater = "anonymous", features, by = "uncertainty";
  int64_t count = 0, per_page = 0, port = 0;
  double repeats = 0;
  uint64_t seed = 0;
  std::string answers, resume = "auto", serve_spool;
  bool finish = false, once = false;
  double time_limit = 0;
  cli::CommonOptions common;
};

void describe(OptionTable& t, Options& o) {
  t.group("Whom to ask");
  t.add("ask", &o.ask, "who answers: page, tty, exec:CMD, file:PATH, spool:DIR or oracle:SPEC").metavar("WHO").suggest({"page", "tty"});
  t.add("rater", &o.rater, "name of whoever answers; several may answer the same questions, one after the other").metavar("NAME");
  t.add("port", &o.port, "port of the page on 127.0.0.1; 0 = any that is free").range(0, 65535).runtime();
  t.add("serve-spool", &o.serve_spool, "ask nothing of one's own, but what a command with --ask spool:DIR elsewhere asks").metavar("DIR").file().runtime();
  t.add("once", &o.once, "with --serve-spool: end when one session is answered, do not wait for the next").runtime();
  t.group("What to ask");
  t.add("mode", &o.mode, "kind of question: like or dislike, which of two, an order, or 1 to 5").one_of(mode_names());
  t.add("choose", &o.choose,
        "what to ask about: random, all (every item or pair), diverse (each as far as can be from those before), or uncertain (the highest --by)")
      .one_of({"random", "all", "diverse", "uncertain"});
  t.add("by", &o.by, "column of the scores of the samples that --choose uncertain goes by").metavar("COLUMN");
  t.add("count", &o.count, "budget: number of answers; 0 = as many as show each item once").short_name('n').range(0, 1e9);
  t.add("per-page", &o.per_page, "items shown at once, at most; 0 = 9 pictures of single (4 in a terminal, or of text), 4 of rank").range(0, kMostShown);
  t.add("repeats", &o.repeats, "share of the questions that are asked a second time, beyond the budget: whether a person agrees with himself").range(0, 1);
  t.add("features", &o.features, "features of the samples, for --choose diverse; by default their pixels, letters or numbers").metavar("FEATURES.h5").file();
  t.add("seed", &o.seed, "seed of what is asked, and of its order");
  t.add("question", &o.question, "the question that a person reads").metavar("TEXT");
  t.group("The record of answers");
  t.add("answers", &o.answers, "JSON lines that each answer is appended to before the next question; by default OUT.jsonl").metavar("FILE.jsonl").file().runtime();
  t.add("resume", &o.resume, "auto: go on behind the answers that are there; never: set them aside and begin anew").one_of({"auto", "never"}).runtime();
  t.add("finish", &o.finish, "ask nothing more: make the artefact of the answers there are").runtime();
  t.add("time-limit", &o.time_limit, "stop asking after this many seconds; 0 = no limit").range(0, 1e9).runtime();
  cli::CommonSet set;
  set.tensors = false;
  cli::describe_common(t, o.common, set);
}

void refuse_if_set(const cli::Context& context, const std::vector<std::string>& options, const std::string& with) {
  for (const std::string& option : options) {
    if (context.was_set(option)) throw Error(Exit::kUsage, "--" + option, "has no effect with " + with, "leave it out");
  }
}

/// Options that belong to another mode or asker.
void check(const cli::Context& context, const Options& o) {
  const std::string name = asker_name(o.ask);
  if (!o.serve_spool.empty()) {
    refuse_if_set(context, {"rater", "mode", "choose", "count", "repeats", "features", "seed", "question", "answers", "resume", "finish", "output", "force"}, "--serve-spool");
    if (!o.common.input.empty()) throw Error(Exit::kUsage, o.common.input[0], "has no effect with --serve-spool: the questions bring the items");
  } else if (o.once) {
    throw Error(Exit::kUsage, "--once", "has no effect without --serve-spool", "leave it out");
  }
  if (o.finish && o.resume == "never") throw Error(Exit::kUsage, "--finish", "has no answers to make do with where --resume never sets them aside", "leave one out");
  if (o.port && name != "page") throw Error(Exit::kUsage, "--port", "is for --ask page");
  if (o.mode == "pairs" || o.mode == "rating") refuse_if_set(context, {"per-page"}, "--mode " + o.mode);
  const bool screen = name == "page" || name == "tty";
  if (o.mode == "single" && !screen) refuse_if_set(context, {"per-page"}, "--ask " + name + " and --mode single");
  if (name == "oracle" || name == "file") refuse_if_set(context, {"question"}, "--ask " + name + ", which reads no question");
  if (o.mode == "rank" && o.per_page == 1) throw Error(Exit::kUsage, "--per-page", "is 1: a single item has no order", "give 2 or more");
  if (o.choose == "all") refuse_if_set(context, {"count"}, "--choose all");
  if (o.choose != "uncertain") refuse_if_set(context, {"by"}, "--choose " + o.choose);
  if (o.choose == "uncertain" && (o.mode == "pairs" || o.mode == "rank")) throw Error(Exit::kUsage, "--choose", "uncertain is of single items", "--mode single or rating");
  if (o.choose != "diverse") refuse_if_set(context, {"features"}, "--choose " + o.choose);
}

int serve(const Options& o) {
  install_stop_handlers();
  set_time_limit(o.time_limit);
  auto asker = make_asker(o.ask, {.port = o.port});
  const bool done = serve_spool(o.serve_spool, *asker, [&](bool pictures) { return questions_on_screen({.ask = o.ask, .per_page = o.per_page}, pictures); }, o.once);
  asker->finish(done, done ? "Thank you." : "All of it saved.");
  asker.reset();
  if (!done) throw Error(Exit::kTryAgain, o.serve_spool, "stopped, and all answers are in it", "run the same command again to go on");
  return 0;
}

int run(cli::Context& context, const Options& o) {
  check(context, o);
  if (!o.serve_spool.empty()) return context.dry_run() ? context.finish_dry_run({{"folder", o.serve_spool}}) : serve(o);
  const Items items(io::items_of(context.input()));
  PlanOptions how{parse_mode(o.mode, "--mode"), o.choose, o.count, set_size(o.per_page), o.repeats, o.seed, items.manifest().json().value("share_start", int64_t{1})};
  std::vector<std::pair<std::string, io::Manifest>> inputs{{items.manifest().kind(), items.manifest()}};
  std::vector<float> points;
  if (o.choose == "diverse") {
    if (!o.features.empty()) inputs.emplace_back("features", context.read(o.features, "features"));
    points = points_for(items, o.features.empty() ? nullptr : &inputs.back().second);
  }
  const Plan plan = o.choose == "uncertain" ? plan_by_value(how, score_column(context.input(), items, o.by)) : make_plan(how, items.count(), points);
  PlannedQuestions questions(items, plan, how.mode, o.question);
  const std::string output = context.output_path("feedback"), record = o.answers.empty() ? output + ".jsonl" : o.answers;
  if (context.dry_run()) {
    return context.finish_dry_run({{"items", items.count()}, {"space", items.space().text()}, {"questions", questions.total()}, {"answers", record},
                                   {"first", questions.plan().front()}});
  }
  { const io::AtomicFile writable(output); }  // found out before anybody is asked
  if (o.resume == "never") {
    const std::string aside = set_aside(record);
    if (!aside.empty()) log::info("earlier answers are in ", aside);
  }
  install_stop_handlers();
  set_time_limit(o.time_limit);
  const SessionOptions session{o.ask, o.rater, record, o.per_page, o.port, o.finish};
  const std::vector<LoggedAnswer> answers = collect(session, items, context.input(), questions);

  io::H5Writer file = context.create("feedback");
  int64_t count = 0;
  const io::Json told = write_feedback(file, how.mode, answers, count);
  io::Manifest manifest = context.manifest("feedback", inputs);
  manifest.json()["count"] = count;
  manifest.json()["seed"] = o.seed;
  manifest.json()["feedback"] = told;
  return context.finish(file, manifest);
}

}  // namespace

PLUMB_PLAIN_TOOL(Options, "feedback", "ask a person, a program or a simulated user about samples", "samples -> feedback")
