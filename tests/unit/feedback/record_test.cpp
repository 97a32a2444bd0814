// The record of answers: durable, resumable, undone by records.   SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "io/jsonl.h"
#include "io/schema.h"
#include "scene.h"

using namespace plumb::test;
using plumb::Exit;
namespace io = plumb::io;

namespace {

const Reply kUndo{Reply::What::kUndo, {}, {}};
const Reply kQuit{Reply::What::kQuit, {}, {}};

}  // namespace

TEST_SUITE("record") {
  TEST_CASE("answers, an undo and a quit; then another run goes on where it ended") {
    Scene scene(6);
    {
      AnswerLog log(scene.record(), scene.session, "ann", "page");
      Scripted asker({reply({said(1), said(-1)}), reply({said(1), skip()}), kUndo, reply({said(-1), said(0.5)}), kQuit});
      CHECK(ask_all(*scene.questions, asker, log, 2) == End::kQuit);
      CHECK(asker.asked == std::vector<std::vector<int64_t>>{{0, 2, 0}, {2, 2, 1}, {4, 2, 1}, {2, 2, 1}, {4, 2, 1}});
      CHECK(standing(log) == std::vector<double>{1, -1, -1, 0.5});
    }
    AnswerLog log(scene.record(), scene.session, "ann", "tty");
    CHECK(log.next() == 4);
    Scripted asker({kUndo, kUndo, kUndo, reply({skip()})});  // also screens of the run before; the third has nothing left to undo
    CHECK(ask_all(*scene.questions, asker, log, 2) == End::kStopped);
    CHECK(asker.asked.back() == std::vector<int64_t>{1, 2, 1});
    CHECK(standing(log) == std::vector<double>{9});
  }

  TEST_CASE("each line is by the schema, says what was shown, and undo erases nothing") {
    Scene scene(4);
    AnswerLog log(scene.record(), scene.session, "ann", "page");
    Reply two = reply({said(1), said(-1)});
    two.shown = {scene.questions->items(0)[0], scene.questions->items(1)[0]};
    Scripted asker({two, kUndo, reply({said(1), said(1)})});
    ask_all(*scene.questions, asker, log, 2);
    const std::vector<Json> lines = io::read_jsonl(scene.record());
    REQUIRE(lines.size() == 6);  // session, 2, undo, 2
    for (const Json& line : lines) CHECK(io::schema_problems(line, "answers").empty());
    const auto items = [&](int64_t q) { return scene.questions->plan()[static_cast<size_t>(q)]; };
    CHECK(lines[2]["items"] == items(1));
    CHECK(lines[2]["shown"] == two.shown);
    CHECK(lines[5]["shown"] == items(1));  // as a program or a file, each alone
    CHECK(lines[2]["samples"] == scene.items.digest());
    CHECK(lines[1]["screen"] == 0);
    CHECK(lines[3] == Json{{"kind", "undo"}, {"question", 0}, {"rater", "ann"}, {"who", "page"}, {"time", lines[3]["time"]}, {"samples", scene.items.digest()}});
    CHECK(lines[4]["screen"] == 1);
  }

  TEST_CASE("cut anywhere, the whole lines stay answered and the rest is asked again") {
    Scene scene(3);
    {
      AnswerLog log(scene.record(), scene.session, "ann", "page");
      Scripted asker({reply({said(1)}), reply({said(-1)}), reply({said(1)})});
      ask_all(*scene.questions, asker, log, 1);
    }
    const std::string whole = io::read_file(scene.record());
    for (size_t size = 0; size <= whole.size(); ++size) {
      put(scene.record(), whole.substr(0, size));
      AnswerLog log(scene.record(), scene.session, "ann", "page");
      int64_t lines = 0;
      for (size_t i = 0; i < size; ++i) lines += whole[i] == '\n';
      const bool closed = size < whole.size() && whole[size] == '\n' && size > 0;  // a whole object without its newline
      REQUIRE(log.next() == std::max<int64_t>(0, lines + closed - 1));
      REQUIRE(log.next() == static_cast<int64_t>(standing(log).size()));
    }
    put(scene.record(), whole.substr(0, whole.size() - 7));
    AnswerLog log(scene.record(), scene.session, "ann", "page");
    Scripted asker({reply({said(0)})});
    CHECK(ask_all(*scene.questions, asker, log, 1) == End::kAll);
    CHECK(standing(log) == std::vector<double>{1, -1, 0});
    CHECK(io::read_jsonl(scene.record()).size() == 4);
  }

  TEST_CASE("several raters share a record; the artefact holds them all") {
    Scene scene(3);
    for (const std::string rater : {"ann", "bob"}) {
      AnswerLog log(scene.record(), scene.session, rater, "page");
      CHECK(log.next() == 0);
      Scripted asker({reply({said(1)}), reply({rater == "ann" ? said(1) : said(-1)}), reply({skip()})});
      CHECK(ask_all(*scene.questions, asker, log, 1) == End::kAll);
    }
    AnswerLog log(scene.record(), scene.session, "ann", "page");
    io::H5Writer file(scene.folder / "f.h5");
    int64_t count = 0;
    const Json told = write_feedback(file, Mode::kSingle, log.standing(), count);
    file.commit();
    CHECK(told == Json{{"mode", "single"}, {"answers", 6}, {"skipped", 2}, {"liked", 3}, {"disliked", 1}, {"neutral", 0},
                       {"raters", {"ann", "bob"}}, {"who", {"page"}}, {"agreement", {{"pairs", 2}, {"agree", 1}}}});
    const io::H5Reader read(scene.folder / "f.h5");
    CHECK(count == 4);
    const auto item = [&](size_t q) { return scene.questions->plan()[q][0]; };
    CHECK(read.read_i64("item") == std::vector<int64_t>{item(0), item(0), item(1), item(1)});
    CHECK(read.read_f32("y") == std::vector<float>{1, 1, 1, -1});
    CHECK(read.read_i64("rater") == std::vector<int64_t>{0, 1, 0, 1});
    CHECK(read.read_i64("skipped") == std::vector<int64_t>{item(2), item(2)});
  }

  TEST_CASE("ranks become pairs; ratings become y") {
    Scene scene(6, Mode::kRank);
    Answer order;
    order.ranks = {2, 1, 2};
    io::H5Writer file(scene.folder / "f.h5");
    int64_t count = 0;
    write_feedback(file, Mode::kRank, {{0, {4, 0, 5}, order, "ann"}}, count);
    file.commit();
    const io::H5Reader read(scene.folder / "f.h5");
    CHECK(count == 1);
    CHECK(read.read_i64("pair") == std::vector<int64_t>{4, 0, 4, 5, 0, 5});
    CHECK(read.read_f32("pair_y") == std::vector<float>{-1, 0, 1});
    CHECK(read.info("ranked").shape == std::vector<int64_t>{1, 3});
    CHECK(answer_from_json(Json{{"rating", 4}}, Mode::kRating, 1, "x").y == 0.5);
    CHECK(answer_from_json(Json{{"rating", 1}}, Mode::kRating, 1, "x").y == -1);
  }

  TEST_CASE("a rater who is asked twice agrees with himself, or not, whichever way round") {
    Scratch folder;
    const auto logged = [](int64_t question, std::vector<int64_t> items, double y, const char* rater) { return LoggedAnswer{question, std::move(items), said(y), rater}; };
    io::H5Writer file(folder / "f.h5");
    int64_t count = 0;
    const Json told = write_feedback(file, Mode::kPairs, {logged(0, {4, 7}, 1, "ann"), logged(1, {7, 4}, -1, "ann"), logged(2, {1, 2}, 1, "ann"), logged(3, {1, 2}, 0, "ann"),
                                                         logged(0, {4, 7}, -1, "bob")}, count);
    CHECK(told["repeats"] == Json{{"pairs", 2}, {"agree", 1}});
    CHECK(told["agreement"] == Json{{"pairs", 1}, {"agree", 0}});
  }

  TEST_CASE("an artefact of skips alone is whole") {
    Scene scene(2);
    io::H5Writer file(scene.folder / "f.h5");
    int64_t count = -1;
    write_feedback(file, Mode::kSingle, {{0, {1}, skip(), "ann"}}, count);
    file.commit();
    CHECK(count == 0);
    CHECK(io::H5Reader(scene.folder / "f.h5").read_i64("item").empty());
  }

  TEST_CASE("records of other questions, of other samples and of nothing are refused; so is a second writer") {
    Scene scene(4);
    AnswerSession other = scene.session;
    { AnswerLog log(scene.record(), scene.session, "ann", "page"); }
    CHECK_FALSE(std::filesystem::exists(scene.record()));  // nothing was answered
    {
      AnswerLog log(scene.record(), scene.session, "ann", "page");
      log.put({scene.questions->items(0)}, reply({said(1)}));
      check_error([&] { AnswerLog second(scene.record(), scene.session, "bob", "page"); }, Exit::kUsage, scene.record(), "in use by another");
    }
    other.plan = std::string(64, '0');
    check_error([&] { AnswerLog log(scene.record(), other, "ann", "page"); }, Exit::kUsage, scene.record(), "other questions");
    other.samples = std::string(64, '1');
    check_error([&] { AnswerLog log(scene.record(), other, "ann", "page"); }, Exit::kUsage, scene.record(), "other samples");
    put(scene.folder / "run.jsonl", "{\"step\":1}\n");
    check_error([&] { AnswerLog log(scene.folder / "run.jsonl", scene.session, "ann", "page"); }, Exit::kUsage, "run.jsonl", "no record of answers");
    for (const char* foreign : {"a note without a newline", "{\"step\":1}", "{\"step\":1}\n{\"step\":2,\"lo", "{\"kind\":\"single\"}\nx", "\n\nnote", "\x89HDF\r\n\x1a\n"}) {
      put(scene.folder / "foreign", foreign);
      check_error([&] { AnswerLog log(scene.folder / "foreign", scene.session, "ann", "page"); }, Exit::kUsage, "foreign", "no record of answers");
      CHECK(io::read_file(scene.folder / "foreign") == foreign);
    }
    put(scene.record(), io::read_file(scene.record()) + R"({"kind":"single","question":2,"items":[0],"y":1,"screen":0,"rater":"ann"})" + "\n");
    check_error([&] { AnswerLog log(scene.record(), scene.session, "ann", "page"); }, Exit::kBadInput, "line 3", "1 was next");
    CHECK(set_aside(scene.record()) == scene.record() + ".1");
    CHECK(set_aside(scene.record()) == "");
  }

  TEST_CASE("answers are about items: the same ones in another file are the same, others are not") {
    Scratch folder;
    const io::Manifest one = make_samples(folder / "one.h5", 5), again = make_samples(folder / "again.h5", 5, 3);  // other labels
    CHECK(one.sha256() != again.sha256());
    CHECK(Items(one).digest() == Items(again).digest());
    CHECK(Items(make_samples(folder / "more.h5", 6)).digest() != Items(one).digest());
    io::H5Writer file(folder / "other.h5");
    const std::vector<uint8_t> pixels(20, 7);
    file.write("images", io::Type::kU8, {5, 1, 2, 2}, pixels.data());
    const io::Manifest other = io::commit_artefact(file, io::Manifest(Json{{"format", "plumb/1"}, {"kind", "samples"}, {"count", 5}, {"space", {{"type", "image"}, {"shape", {1, 2, 2}}}}}));
    CHECK(Items(other).digest() != Items(one).digest());
    const io::Manifest many = make_samples(folder / "many.h5", 3000);  // read in parts
    ItemsDigest whole(many.space(), 3000);
    for (int64_t i = 0; i < 3000; ++i) {
      const std::vector<uint8_t> row(4, static_cast<uint8_t>(i % 256));
      whole.add(row.data(), row.size());
    }
    CHECK(Items(many).digest() == whole.hex());
  }

  TEST_CASE("a person may go from a page to a terminal; answers of a program are not those of another") {
    Scene scene(4);
    const auto say = [&](const std::string& rater, const std::string& who) {
      AnswerLog log(scene.record(), scene.session, rater, who);
      log.check_who();
      log.put({scene.questions->items(log.next())}, reply({said(1)}));
    };
    say("ann", "page");
    say("ann", "tty");
    say("ann", "spool:there");
    check_error([&] { say("ann", "exec:yes 1"); }, Exit::kUsage, scene.record(), "of 'ann' that page gave, not exec:yes 1");
    say("bob", "exec:yes 1");
    say("bob", "exec:yes 1");
    check_error([&] { say("bob", "exec:yes 2"); }, Exit::kUsage, scene.record(), "that exec:yes 1 gave, not exec:yes 2");
    check_error([&] { say("bob", "page"); }, Exit::kUsage, scene.record(), "not page");
    REQUIRE(session_of(scene.record()).has_value());
    CHECK(*session_of(scene.record()) == scene.session);
    CHECK_FALSE(session_of(scene.folder / "none.jsonl").has_value());
  }

  TEST_CASE("records behind one another: an undo in one takes back nothing of another") {
    Scene scene(6);
    std::string both;
    for (const double y : {1.0, -1.0}) {
      std::filesystem::remove(scene.record());
      AnswerLog log(scene.record(), scene.session, "ann", "page");
      Scripted asker({reply({said(y), said(y)}), reply({said(y), said(y)}), kUndo, reply({said(0), said(0)})});
      ask_all(*scene.questions, asker, log, 2);
      both += io::read_file(scene.record());
    }
    put(scene.record(), both);
    std::vector<double> values;
    for (const LoggedAnswer& a : read_answers(scene.record(), Mode::kSingle, scene.items.digest())) values.push_back(a.answer.y);
    CHECK(values == std::vector<double>{1, 1, 0, 0, -1, -1, 0, 0});
  }

  TEST_CASE("screens have as many questions as one another") {
    for (const auto& [total, counts] : std::vector<std::pair<int64_t, std::vector<int64_t>>>{{10, {5, 5}}, {9, {9}}, {20, {7, 7, 6}}, {1, {1}}}) {
      Scene scene(total);
      AnswerLog log(scene.record(), scene.session, "ann", "page");
      std::vector<Reply> replies;
      for (const int64_t n : counts) replies.push_back(reply(std::vector<Answer>(static_cast<size_t>(n), said(1))));
      Scripted asker(replies);
      CHECK(ask_all(*scene.questions, asker, log, 9) == End::kAll);
      for (size_t k = 0; k < counts.size(); ++k) CHECK(asker.asked.at(k)[1] == counts[k]);
    }
  }

  TEST_CASE("answers that are none") {
    const auto wrong = [](const char* text, Mode mode, const char* what) {
      check_error([&] { answer_from_json(Json::parse(text), mode, 3, "here"); }, Exit::kBadInput, "here", what);
    };
    wrong(R"({"y":1.5})", Mode::kSingle, "from -1 to 1");
    wrong(R"({"y":"like"})", Mode::kSingle, "from -1 to 1");
    wrong(R"({})", Mode::kPairs, "no \"y\"");
    wrong(R"({"ranks":[1,2]})", Mode::kRank, "3 ranks");
    wrong(R"({"ranks":[0,1,2]})", Mode::kRank, "3 ranks");
    wrong(R"({"rating":6})", Mode::kRating, "from 1 to 5");
    CHECK(answer_from_json(Json{{"y", nullptr}}, Mode::kSingle, 1, "x").skip);
  }
}
