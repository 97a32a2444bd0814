// exec, file, oracle, spool: whoever answers without being a person at this machine.   SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include "core/signals.h"
#include "feedback/spool.h"
#include "scene.h"
#include "unit/cases.h"

using namespace plumb::test;
using plumb::Exit;
namespace io = plumb::io;

namespace {

/// Everything asked of `who`: the y of each item, a skip as 9.
std::vector<double> ask(Scene& scene, const std::string& who, const io::Manifest* lineage = nullptr) {
  AnswerLog log(scene.record(), scene.session, "r", who);
  REQUIRE(ask_all(*scene.questions, *make_asker(who, scene.input(lineage)), log, 9) == End::kAll);
  std::vector<double> y(static_cast<size_t>(scene.items.count()), 99);
  for (const LoggedAnswer& a : log.standing()) y[static_cast<size_t>(a.items[0])] = a.answer.skip ? 9 : a.answer.y;
  return y;
}

/// |observed - p| within 4 standard errors of n draws.
void check_rate(double observed, double p, double n) {
  CAPTURE(observed);
  CHECK(std::abs(observed - p) <= 4 * std::sqrt(p * (1 - p) / n));
}

/// A person behind a folder; the command that asks is away until the person first has to wait.
class LateJob : public Scripted {
 public:
  LateJob(std::vector<Reply> replies, std::function<void()> job) : Scripted(std::move(replies)), job_(std::move(job)) {}
  bool idle(const std::string& what, double seconds) override {
    why.push_back(what);
    if (!thread_.joinable()) thread_ = std::thread(job_);
    return Asker::idle(what, seconds) && why.size() < 50;
  }
  void end(const std::string& folder) {
    if (read_session(folder)->state != "done") SpoolAnswers(folder, *read_session(folder)).quit();
    if (thread_.joinable()) thread_.join();
  }
  std::vector<std::string> why;

 private:
  std::function<void()> job_;
  std::thread thread_;
};

}  // namespace

TEST_SUITE("oracle") {
  TEST_CASE("classes, and thresholds of a score") {
    Scene scene(20);
    const std::vector<double> y = ask(scene, "oracle:label=5,7");
    for (size_t i = 0; i < 20; ++i) CHECK(y[i] == (i % 10 == 5 || i % 10 == 7 ? 1 : -1));
    const io::Manifest scores = make_scores(scene.folder / "scores.h5", scene.samples, [](int64_t i) { return static_cast<float>(i); });
    const std::vector<std::pair<std::string, size_t>> liked{{"r>=12", 8}, {"r>12", 7}, {"r<3", 3}, {"r<=3", 4}};
    for (const auto& [rule, number] : liked) {
      std::filesystem::remove(scene.record());
      const std::vector<double> of = ask(scene, "oracle:reward=" + rule, &scores);
      CHECK(std::count(of.begin(), of.end(), 1) == static_cast<int64_t>(number));
    }
  }

  TEST_CASE("P16 of preference.json: a class of the preference set is liked, another disliked") {
    Scene scene(10);
    const nlohmann::json c = numeric_case("preference.json", "P16_feedback_split");
    const auto predicted = c["inputs"]["predicted"].get<std::vector<int64_t>>(), liked = c["inputs"]["preference"].get<std::vector<int64_t>>();
    const io::Manifest scores = make_scores(scene.folder / "scores.h5", scene.samples, [&](int64_t i) {
      return std::count(liked.begin(), liked.end(), predicted.at(static_cast<size_t>(i))) > 0 ? 1.0F : 0.0F;
    });
    CHECK(ask(scene, "oracle:reward=r>=0.5", &scores) == c["expected"]["y_full_exploitation"].get<std::vector<double>>());
  }

  TEST_CASE("D09 of preference.json: several rewards by Pareto dominance") {
    const nlohmann::json c = numeric_case("preference.json", "D09_preference_compare");
    for (size_t k = 0; k < c["inputs"]["a"].size(); ++k) {
      const auto a = c["inputs"]["a"][k].get<std::vector<double>>(), b = c["inputs"]["b"][k].get<std::vector<double>>();
      const auto pair = c["expected"]["pref"][k].get<std::vector<double>>();  // (1,-1), (-1,1) or (0,0)
      CHECK(pareto_preference(a, b) == pair[0]);
      CHECK(pareto_preference(b, a) == pair[1]);
    }
    Scene scene(6, Mode::kPairs, "all");
    AskerInput in = scene.input();
    in.score = [](const std::string& name, const Items& items) {
      std::vector<double> values;
      for (int64_t i = 0; i < items.count(); ++i) values.push_back(static_cast<double>(name == "up" ? i : -(i % 3)));
      return values;
    };
    AnswerLog log(scene.record(), scene.session, "r", "x");
    CHECK(ask_all(*scene.questions, *make_asker("oracle:pareto=up;down", in), log, 9) == End::kAll);
    for (const LoggedAnswer& a : log.standing()) {
      const int64_t i = a.items[0], j = a.items[1];
      CHECK(a.answer.y == (i > j && i % 3 <= j % 3 ? 1 : j > i && j % 3 <= i % 3 ? -1 : 0));
    }
  }

  TEST_CASE("the error rate is what was asked for, keyed by item and seed, whatever the order or budget") {
    const int64_t n = 4000;
    Scene scene(n);
    const auto wrong = [&](const std::vector<double>& y) {
      double sum = 0;
      for (int64_t i = 0; i < n; ++i) sum += y[static_cast<size_t>(i)] != (i % 10 < 3 ? 1 : -1);
      return sum / static_cast<double>(n);
    };
    std::vector<std::vector<double>> by_seed;
    for (const std::string seed : {"3", "4"}) {
      std::filesystem::remove(scene.record());
      by_seed.push_back(ask(scene, "oracle:label=0,1,2,error=0.1,seed=" + seed));
      check_rate(wrong(by_seed.back()), 0.1, static_cast<double>(n));
    }
    CHECK(by_seed[0] != by_seed[1]);
    std::filesystem::remove(scene.record());
    const PlanOptions other{Mode::kSingle, "random", 500, 3, 0, 77};
    PlannedQuestions few(scene.items, make_plan(other, n, {}), Mode::kSingle, "");
    AnswerLog log(scene.record(), {Mode::kSingle, 500, scene.items.digest(), digest_of(few.plan())}, "r", "x");
    CHECK(ask_all(few, *make_asker("oracle:label=0,1,2,seed=3,error=0.1", scene.input()), log, 9) == End::kAll);
    for (const LoggedAnswer& a : log.standing()) REQUIRE(a.answer.y == by_seed[0][static_cast<size_t>(a.items[0])]);
  }

  TEST_CASE("pairs: the higher reward wins, ties are ties, errors turn the answer round") {
    const int64_t n = 80;
    Scene scene(n, Mode::kPairs, "all");
    const io::Manifest scores = make_scores(scene.folder / "scores.h5", scene.samples, [](int64_t i) { return static_cast<float>(i / 2); });
    AnswerLog log(scene.record(), scene.session, "r", "x");
    ask_all(*scene.questions, *make_asker("oracle:reward=r,error=0.2,seed=1", scene.input(&scores)), log, 9);
    double turned = 0, decided = 0, ties = 0;
    for (const LoggedAnswer& a : log.standing()) {
      const int64_t by = a.items[0] / 2 - a.items[1] / 2;
      if (by == 0) {
        CHECK(a.answer.y == 0);
        ++ties;
      } else {
        ++decided;
        turned += a.answer.y != (by > 0 ? 1 : -1);
      }
    }
    CHECK(ties == 40);
    check_rate(turned / decided, 0.2, decided);
  }

  TEST_CASE("the error of a pair is that of its two samples, however these were cut into files") {
    std::map<std::set<int64_t>, double> whole, part;
    for (const int64_t first : {0, 10}) {
      Scene scene(first == 0 ? 20 : 10, Mode::kPairs, "all", 0, first);
      const io::Manifest scores = make_scores(scene.folder / "scores.h5", scene.samples, [&](int64_t i) { return static_cast<float>(first + i); });
      AnswerLog log(scene.record(), scene.session, "r", "x");
      ask_all(*scene.questions, *make_asker("oracle:reward=r,error=0.5,seed=1", scene.input(&scores)), log, 9);
      for (const LoggedAnswer& a : log.standing()) {
        const double first_is_better = a.items[0] < a.items[1] ? a.answer.y : -a.answer.y;
        (first == 0 ? whole : part)[{first + a.items[0], first + a.items[1]}] = first_is_better;
      }
    }
    REQUIRE(part.size() == 45);
    for (const auto& [pair, y] : part) CHECK(whole.at(pair) == y);
  }

  TEST_CASE("rank: best first, ties shared") {
    Scene scene(9, Mode::kRank);
    const io::Manifest scores = make_scores(scene.folder / "scores.h5", scene.samples, [](int64_t i) { return static_cast<float>(i / 2); });
    AnswerLog log(scene.record(), scene.session, "r", "x");
    ask_all(*scene.questions, *make_asker("oracle:reward=r", scene.input(&scores)), log, 9);
    for (const LoggedAnswer& a : log.standing()) {
      for (size_t i = 0; i < 3; ++i) {
        int64_t better = 0;
        for (const int64_t other : a.items) better += other / 2 > a.items[i] / 2;
        CHECK(a.answer.ranks[i] == better + 1);
      }
    }
  }

  TEST_CASE("specifications that are none") {
    Scene scene(4);
    const auto refused = [&](const std::string& who, const std::string& what) {
      check_error([&] { make_asker(who, scene.input()); }, Exit::kUsage, "--ask", what);
    };
    refused("oracle", "needs something");
    refused("orcle:label=1", "did you mean 'oracle'");
    refused("oracle:colour=red", "neither label= nor reward=");
    refused("oracle:label=shoe", "no class 'shoe'");
    io::Json named = scene.samples.json();
    named["classes"] = {"cat", "dog"};
    const Items of_two{io::Manifest(named)};
    AskerInput in = scene.input();
    in.items = &of_two;
    check_error([&] { make_asker("oracle:label=2", in); }, Exit::kUsage, "--ask", "no class 2: they are 0 to 1");
    check_error([] { check_asker("oracle:reward=r", Mode::kSingle); }, Exit::kUsage, "--ask", "needs a threshold");
    check_error([] { check_asker("file:nosuch.jsonl", Mode::kSingle); }, Exit::kBadInput, "nosuch.jsonl", "No such file");
    check_asker("oracle:reward=r", Mode::kPairs);
    refused("oracle:label=1,error=2", "from 0 to 1");
    refused("oracle:label=1,error=x", "error");
    refused("oracle:label=1,error=0.1,error=0.2", "no class");
    refused("oracle:reward=r", "needs a threshold");
    check_error([&] { make_asker("oracle:reward=r>=1", scene.input()); }, Exit::kBadInput, "samples.h5", "no scores 'r'");
    refused("page:x", "takes nothing");
  }
}

TEST_SUITE("file") {
  TEST_CASE("another session's record, read for another order; the last line of an item wins") {
    Scene scene(8, Mode::kPairs, "all");
    {
      AnswerLog log(scene.record(), scene.session, "r", "x");
      const io::Manifest scores = make_scores(scene.folder / "scores.h5", scene.samples, [](int64_t i) { return static_cast<float>(i); });
      ask_all(*scene.questions, *make_asker("oracle:reward=r", scene.input(&scores)), log, 9);
    }
    const PlanOptions other{Mode::kPairs, "random", 20, 3, 0, 9};
    PlannedQuestions again(scene.items, make_plan(other, 8, {}), Mode::kPairs, "");
    AnswerLog log(scene.folder / "b.jsonl", {Mode::kPairs, 20, scene.items.digest(), digest_of(again.plan())}, "r", "x");
    CHECK(ask_all(again, *make_asker("file:" + scene.record(), scene.input()), log, 9) == End::kAll);
    for (const LoggedAnswer& a : log.standing()) CHECK(a.answer.y == (a.items[0] > a.items[1] ? 1 : -1));
  }

  TEST_CASE("lines of one's own") {
    Scene scene(3);
    put(scene.folder / "own.jsonl", "{\"items\":[0],\"y\":1}\n{\"items\":[1],\"y\":-0.25}\n{\"items\":[2],\"y\":null}\n{\"items\":[0],\"y\":-1}\n");
    CHECK(ask(scene, "file:" + (scene.folder / "own.jsonl")) == std::vector<double>{-1, -0.25, 9});
    put(scene.folder / "few.jsonl", "{\"items\":[0],\"y\":1}\n");
    std::filesystem::remove(scene.record());
    AnswerLog log(scene.record(), scene.session, "r", "x");
    check_error([&] { ask_all(*scene.questions, *make_asker("file:" + (scene.folder / "few.jsonl"), scene.input()), log, 9); }, Exit::kBadInput, "few.jsonl", "no answer about item");
    const std::string other = "{\"items\":[0],\"y\":1,\"samples\":\"00\"}\n";
    put(scene.folder / "other.jsonl", other);
    check_error([&] { make_asker("file:" + (scene.folder / "other.jsonl"), scene.input()); }, Exit::kBadInput, "line 1", "other samples");
    // Records of several rounds behind one another: each round finds its own.
    const std::string mine = "{\"items\":[0],\"y\":-1,\"samples\":\"" + scene.items.digest() + "\"}\n";
    put(scene.folder / "all.jsonl", other + mine + "{\"items\":[1],\"y\":1}\n{\"items\":[2],\"y\":1}\n" + other);
    std::filesystem::remove(scene.record());
    CHECK(ask(scene, "file:" + (scene.folder / "all.jsonl")) == std::vector<double>{-1, 1, 1});
  }
}

TEST_SUITE("exec") {
  TEST_CASE("a program that answers line by line, and one that reads everything first") {
    const std::string python = R"(python3 -c "
import json, sys
lines = sys.stdin if len(sys.argv) == 1 else list(sys.stdin)
for line in lines:
    q = json.loads(line)
    open(q['paths'][0], 'rb').read(8) == b'\x89PNG\r\n\x1a\n' or sys.exit(3)
    print(json.dumps({'question': q['question'], 'y': 1 if q['items'][0] % 2 else None, 'ms': 5}), flush=len(sys.argv) == 1)
")";
    for (const std::string how : {"", " all"}) {
      Scene scene(300);
      const std::vector<double> y = ask(scene, "exec:" + python + how);
      for (size_t i = 0; i < 300; ++i) REQUIRE(y[i] == (i % 2 ? 1 : 9));
    }
  }

  TEST_CASE("bare numbers are answers in order") {
    Scene scene(3);
    const std::vector<double> y = ask(scene, "exec:echo 1; echo -0.5; echo null");
    CHECK(y[static_cast<size_t>(scene.questions->plan()[1][0])] == -0.5);
    CHECK(y[static_cast<size_t>(scene.questions->plan()[2][0])] == 9);
  }

  TEST_CASE("a question that was not asked, a number that is none, and an answer too many, however late") {
    Scene scene(2);
    const auto wrong = [&](const std::string& command, const char* what) {
      std::filesystem::remove(scene.record());
      AnswerLog log(scene.record(), scene.session, "r", "x");
      const auto asker = make_asker("exec:" + command, scene.input());
      check_error([&] { asker->finish(ask_all(*scene.questions, *asker, log, 9) == End::kAll, ""); }, Exit::kFailed, "exec:", what);
    };
    wrong(R"(echo '{"question":2,"y":1}')", "question 2, which was not asked");
    wrong(R"(echo '{"question":"1","y":1}'; echo 1; echo 1)", "no whole number");
    wrong("echo 1; echo 1; echo 1", "question 2, which was not asked");
    wrong("echo 1; echo 1; sleep 0.3; echo 1", "question 2, which was not asked");
    std::filesystem::remove(scene.record());
    AnswerLog log(scene.record(), scene.session, "r", "x");
    const auto asker = make_asker("exec:echo 1; echo 1; cat > /dev/null; sleep 0.2; touch " + (scene.folder / "ended"), scene.input());
    asker->finish(ask_all(*scene.questions, *asker, log, 9) == End::kAll, "");
    CHECK(std::filesystem::exists(scene.folder / "ended"));  // it was let end by itself
  }

  TEST_CASE("a program that fails: what it answered before is kept, and a second one is asked the rest") {
    Scene scene(4);
    {
      AnswerLog log(scene.record(), scene.session, "r", "x");
      check_error([&] { ask_all(*scene.questions, *make_asker("exec:echo 1; echo 1; exit 7", scene.input()), log, 9); }, Exit::kFailed, "exec:", "ended with status 7 without an answer to question 2 of 4");
    }
    {
      AnswerLog log(scene.record(), scene.session, "r", "x");
      CHECK(log.next() == 2);
      check_error([&] { ask_all(*scene.questions, *make_asker("exec:echo yes", scene.input()), log, 9); }, Exit::kFailed, "line 'yes'", "not JSON");
      check_error([&] { ask_all(*scene.questions, *make_asker("exec:echo 7", scene.input()), log, 9); }, Exit::kFailed, "line '7'", "from -1 to 1");
      check_error([&] { ask_all(*scene.questions, *make_asker("exec:echo -1; echo no", scene.input()), log, 9); }, Exit::kFailed, "line 'no'", "not JSON");
      CHECK(log.next() == 3);  // what it said before counts
      CHECK(ask_all(*scene.questions, *make_asker("exec:grep -c . > /dev/null; echo -1", scene.input()), log, 9) == End::kAll);
      CHECK(standing(log) == std::vector<double>{1, 1, -1, -1});
    }
  }
}

TEST_SUITE("spool") {
  TEST_CASE("two sides, one folder: answers, an undo across sides, a quit and going on") {
    Scene scene(7);
    const std::string folder = scene.folder / "spool";
    const auto person = [&](std::vector<Reply> replies) {
      Scripted asker(std::move(replies));
      const auto three = [](bool pictures) {
        CHECK(pictures);
        return 3;
      };
      return serve_spool(folder, asker, three, true);
    };
    End end = End::kAll;
    std::vector<double> got;
    const auto trainer = [&] {
      return std::thread([&] {
        AnswerLog log(scene.record(), scene.session, "r", "spool");
        auto asker = make_asker("spool:" + folder, scene.input());
        end = ask_all(*scene.questions, *asker, log, 9);
        asker->finish(end == End::kAll, "");
        got = standing(log);
      });
    };
    std::thread first = trainer();
    CHECK_FALSE(person({reply({said(1), said(1), said(1)}), reply({said(-1), said(-1), said(-1)}), {Reply::What::kUndo, {}, {}},
                        reply({said(0), skip(), said(1)}), {Reply::What::kQuit, {}, {}}}));
    first.join();
    CHECK(end == End::kQuit);
    CHECK(got == std::vector<double>{1, 1, 1, 0, 9, 1});
    std::thread second = trainer();
    CHECK(person({reply({said(-1)})}));
    second.join();
    CHECK(end == End::kAll);
    CHECK(got == std::vector<double>{1, 1, 1, 0, 9, 1, -1});
    CHECK(read_session(folder)->state == "done");
    size_t left = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) left += entry.path().filename() != "session.json";
    CHECK(left == 0);
  }

  TEST_CASE("the person may go on while the other side is down; an event that was taken before is not taken twice") {
    Scene scene(4);
    const std::string folder = scene.folder / "spool";
    const auto round = [&](AnswerLog& log) {  // one answer event, as a command that is killed right after writing it down
      auto asker = make_asker("spool:" + folder, scene.input());
      const Reply reply = asker->ask(*scene.questions, log.next(), 1, true);
      std::vector<std::vector<int64_t>> items;
      for (size_t k = 0; k < reply.answers.size(); ++k) items.push_back(scene.questions->items(log.next() + static_cast<int64_t>(k)));
      log.put(items, reply);
    };
    std::filesystem::create_directories(folder);
    write_session(folder, {scene.session.plan.substr(0, 16), Mode::kSingle, 4, 0, "", "open"});
    for (int64_t q = 0; q < 4; ++q) put(question_path(folder, scene.session.plan.substr(0, 16), q), to_json(scene.questions->question(q)).dump());
    {
      SpoolAnswers answers(folder, *read_session(folder));  // nobody takes these yet
      answers.put({scene.questions->items(0), scene.questions->items(1)}, reply({said(1), said(-1)}));
      answers.put({scene.questions->items(2)}, reply({said(1)}));
    }
    CHECK(SpoolAnswers(folder, *read_session(folder)).next() == 3);  // a person who comes back sees them
    {
      AnswerLog log(scene.record(), scene.session, "r", "spool");
      round(log);
      CHECK(log.next() == 2);
    }
    CHECK(waiting_events(folder, scene.session.plan.substr(0, 16)).size() == 2);  // the first is still there
    {
      AnswerLog log(scene.record(), scene.session, "r", "spool");
      round(log);
      CHECK(standing(log) == std::vector<double>{1, -1, 1});
    }
  }

  TEST_CASE("an undo while the other side is away: nothing is asked until it is taken, and no later answer is lost") {
    for (const bool came_back : {false, true}) {  // the person, behind an undo that was left waiting; else he waits for it at once
      CAPTURE(came_back);
      Scene scene(6);
      const std::string folder = scene.folder / "spool", id = scene.session.plan.substr(0, 16);
      std::filesystem::create_directories(folder);
      write_session(folder, {id, Mode::kSingle, 6, 0, "", "open"});
      for (int64_t q = 0; q < 6; ++q) put(question_path(folder, id, q), to_json(scene.questions->question(q)).dump());
      std::vector<double> got;
      LateJob person({reply({said(1), said(1)}), reply({said(1), said(1)}), {Reply::What::kUndo, {}, {}}, reply({said(-1), said(-1)}), reply({said(0), skip()})}, [&] {
        AnswerLog log(scene.record(), scene.session, "r", "spool");
        auto asker = make_asker("spool:" + folder, scene.input());
        const End end = ask_all(*scene.questions, *asker, log, 9);
        asker->finish(end == End::kAll, "");
        got = standing(log);
      });
      if (came_back) {
        SpoolAnswers before(folder, *read_session(folder));
        for (int64_t first : {0, 2}) before.put({scene.questions->items(first), scene.questions->items(first + 1)}, person.ask(*scene.questions, first, 2, true));
        CHECK(before.ready());
        CHECK(person.ask(*scene.questions, 4, 2, true).what == Reply::What::kUndo);
        before.undo();
        CHECK_FALSE(before.ready());
      }
      CHECK(serve_spool(folder, person, [](bool) { return 2; }, true));
      person.end(folder);
      CHECK(got == std::vector<double>{1, 1, -1, -1, 0, 9});
      CHECK(person.asked == std::vector<std::vector<int64_t>>{{0, 2, came_back}, {2, 2, 1}, {4, 2, 1}, {2, 2, 1}, {4, 2, 1}});
      CHECK(person.why.front() == "Waiting for the other side to take the last screen back.");
    }
  }

  TEST_CASE("answers that the other side did not take are asked for again") {
    Scene scene(4);
    const std::string folder = scene.folder / "spool";
    std::filesystem::create_directories(folder);
    write_session(folder, {scene.session.plan.substr(0, 16), Mode::kSingle, 4, 0, "", "open"});
    for (int64_t q = 0; q < 4; ++q) put(question_path(folder, scene.session.plan.substr(0, 16), q), to_json(scene.questions->question(q)).dump());
    std::vector<double> got;
    LateJob person({reply({said(1), said(1)}), reply({said(1), said(1)}), reply({said(-1), said(-1)})}, [&] {
      std::filesystem::remove(waiting_events(folder, scene.session.plan.substr(0, 16)).rbegin()->second);  // of a disk that loses one
      AnswerLog log(scene.record(), scene.session, "r", "spool");
      auto asker = make_asker("spool:" + folder, scene.input());
      const End end = ask_all(*scene.questions, *asker, log, 9);
      asker->finish(end == End::kAll, "");
      got = standing(log);
    });
    CHECK(serve_spool(folder, person, [](bool) { return 2; }, true));
    person.end(folder);
    CHECK(got == std::vector<double>{1, 1, -1, -1});
  }

  TEST_CASE("a folder with another session that is not done is refused") {
    Scene scene(4);
    write_session(scene.folder.folder(), {"0123456789abcdef", Mode::kSingle, 4, 0, "", "open"});
    check_error([&] { make_asker("spool:" + scene.folder.folder(), scene.input()); }, Exit::kUsage, scene.folder.folder(), "another session");
    AskerInput nothing;
    check_error([&] { make_asker("oracle:label=1", nothing); }, Exit::kUsage, "--ask", "only a person");
  }
}
