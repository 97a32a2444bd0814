// Context: inputs, outputs, manifests.   SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "core/version.h"
#include "io/atomic_file.h"
#include "unit/cli/table.h"

namespace fs = std::filesystem;
using plumb::cli::CommonOptions;
using plumb::cli::Context;
using plumb::io::Manifest;

namespace {

/// A fresh working folder, left and removed at the end.
struct Folder {
  Folder() : before(fs::current_path()) {
    std::string name = (fs::temp_directory_path() / "plumb-cli-XXXXXX").string();
    path = mkdtemp(name.data());
    fs::current_path(path);
  }
  ~Folder() {
    fs::current_path(before);
    fs::remove_all(path);
  }
  fs::path before, path;
};

struct Run {
  explicit Run(const CommonOptions& given = {}) : common(given) {
    table.add("steps", &steps, "steps");
    table.add("batch-size", &batch_size, "speed only").runtime();
    context = std::make_unique<Context>(plumb::cli::ToolInfo{"tool", "s", "a -> b"}, std::vector<std::string>{"tool", "-x"},
                                        table, common);
  }
  int64_t steps = 3, batch_size = 4;
  plumb::OptionTable table;
  CommonOptions common;
  std::unique_ptr<Context> context;
};

void write_artefact(const std::string& path, const std::string& kind, const std::vector<std::pair<std::string, Manifest>>& inputs = {}) {
  plumb::io::H5Writer writer(path);
  const std::vector<uint8_t> bytes(8, 1);
  writer.write("images", plumb::io::Type::kU8, {2, 1, 2, 2}, bytes.data());
  plumb::io::Json json{{"format", "plumb/1"}, {"kind", kind}, {"count", 2}};
  for (const auto& [name, input] : inputs) json["inputs"][name] = input.json();
  plumb::io::commit_artefact(writer, Manifest(json));
}

CommonOptions with_output(const std::string& path, bool force = false) {
  CommonOptions o;
  o.output = path;
  o.force = force;
  return o;
}

}  // namespace

TEST_SUITE("context") {
  TEST_CASE("manifest: format, tool, version, argv, and only the options that shape the result") {
    Run run;
    CHECK(run.context->manifest("scores").json().dump() ==
          std::string(R"({"format":"plumb/1","kind":"scores","tool":"tool","version":")") + plumb::kVersion +
              R"(","argv":["tool","-x"],"config":{"steps":3}})");
  }
  TEST_CASE("inputs are nested whole; a repeated name becomes a list") {
    Run run;
    const Manifest a(plumb::io::Json{{"kind", "model"}}), b(plumb::io::Json{{"kind", "reward"}});
    const auto json = run.context->manifest("metrics", {{"model", a}, {"metrics", a}, {"metrics", b}}).json();
    CHECK(json["inputs"].dump() == R"({"model":{"kind":"model"},"metrics":[{"kind":"model"},{"kind":"reward"}]})");
  }
  TEST_CASE("output: default names") {
    Folder folder;
    CHECK(Run().context->output_path("samples") == "samples.h5");
    CHECK(Run().context->output_path("metrics") == "metrics.json");
    CHECK(Run(with_output("x.h5")).context->output_path("samples") == "x.h5");
  }
  TEST_CASE("output: replaces its own kind, refuses everything else") {
    Folder folder;
    write_artefact("s.h5", "samples");
    plumb::io::write_file("notes.txt", "mine");
    plumb::io::write_file("empty.h5", "");
    CHECK(Run(with_output("s.h5")).context->output_path("samples") == "s.h5");
    CHECK(Run(with_output("empty.h5")).context->output_path("samples") == "empty.h5");
    CHECK(error_of([] { Run(with_output("s.h5")).context->output_path("model"); }) ==
          "s.h5: is there and holds samples, not model: name another with -o, or replace it with --force");
    CHECK(error_of([] { Run(with_output("notes.txt")).context->output_path("model"); }) ==
          "notes.txt: is there and no artefact of plumb's: name another with -o, or replace it with --force");
    CHECK(Run(with_output("notes.txt", true)).context->output_path("model") == "notes.txt");
    CHECK(error_of([&] { Run(with_output(folder.path)).context->output_path("model"); }).find("is a folder") != std::string::npos);
    CHECK(error_of([] { Run(with_output("/dev/null", true)).context->output_path("model"); }) ==
          "/dev/null: is not a regular file: name a file with -o");
    CHECK_FALSE(error_of([] { Run(with_output("-")).context->output_path("model"); }).empty());
  }
  TEST_CASE("an input is never replaced, not even with --force or under another name") {
    Folder folder;
    write_artefact("model.h5", "model");
    fs::create_hard_link("model.h5", "same.h5");
    for (const char* name : {"model.h5", "./model.h5", "same.h5"}) {
      Run run(with_output(name, true));
      run.context->read("model.h5", "model");
      plumb::Exit exit = plumb::Exit::kDone;
      CHECK(error_of([&] { run.context->output_path("model"); }, &exit).find("is an input") != std::string::npos);
      CHECK(exit == plumb::Exit::kUsage);
    }
  }
  TEST_CASE("what an input is no good without is an input: an adapter's base, the samples of scores, what was needed of a lineage") {
    Folder folder;
    write_artefact("base.h5", "model");
    write_artefact("adapter.h5", "model", {{"model", Manifest::read("base.h5")}});
    write_artefact("samples.h5", "samples", {{"model", Manifest::read("adapter.h5")}});
    write_artefact("scores.h5", "scores", {{"samples", Manifest::read("samples.h5")}});
    const auto refused = [](const char* read, const char* output, const char* needed) {
      CommonOptions o = with_output(output, true);
      o.input = {read};
      Run run(o);
      run.context->input();
      if (*needed) run.context->need(needed);
      return error_of([&] { run.context->output_path("model"); }).find("is an input") != std::string::npos;
    };
    CHECK(refused("adapter.h5", "base.h5", ""));
    CHECK(refused("scores.h5", "samples.h5", ""));
    CHECK_FALSE(refused("samples.h5", "adapter.h5", ""));  // drawn by it once, which is no reason to keep it
    CHECK(refused("samples.h5", "adapter.h5", "model"));
    CHECK(refused("samples.h5", "base.h5", "model"));
  }
  TEST_CASE("a log takes the place of an earlier log, and of nothing else") {
    Folder folder;
    write_artefact("data.h5", "dataset");
    plumb::io::write_file("mine.txt", "mine");
    plumb::io::write_file("run.jsonl", "{\"event\":\"start\",\"step\":0,\"tool\":\"pretrain\"}\n");
    const auto answer = [](const std::string& log, bool force) {
      CommonOptions o = with_output("m.h5", force);
      o.log = log;
      Run run(o);
      std::string init = "mine.txt", features = "classifier:mine.txt";
      run.table.add("log", &run.common.log, "log").file();
      if (log == "./mine.txt") run.table.add("init", &init, "model").file();
      if (log == ".//mine.txt") run.table.add("features", &features, "network");
      run.context->read("data.h5", "dataset");
      return error_of([&] { run.context->create("model"); });
    };
    for (const bool force : {false, true}) {
      for (const char* good : {"", "run.jsonl", "new.jsonl", "/dev/null", "/dev/stderr"}) CHECK(answer(good, force) == "");
      CHECK(answer("data.h5", force) == "data.h5: is an input of this command and would be emptied for its log: name another with --log");
      CHECK(answer("./mine.txt", force).find("is an input") != std::string::npos);
      CHECK(answer(".//mine.txt", force).find("is an input") != std::string::npos);
      CHECK(answer("./m.h5", force) == "./m.h5: is the output of this command, not its log: name another with --log");
    }
    CHECK(answer("mine.txt", false) == "mine.txt: is there and no log of plumb's: name another with --log, or replace it with --force");
    CHECK(answer("mine.txt", true) == "");
    plumb::io::write_file("m.h5.jsonl", "{\"kind\":\"session\"}\n");
    CHECK(answer("", false).find("m.h5.jsonl: is there and no log") == 0);
  }
  TEST_CASE("a printed result's file is looked at before the work, and that no other is the same") {
    Folder folder;
    plumb::io::write_file("mine.txt", "mine");
    const auto answer = [](const std::string& output, const std::string& features, const std::string& stats = "") {
      Run run(with_output(output));
      return error_of([&] { run.context->check_printed_output({{"--save-features", features}, {"--save-stats", stats}}); });
    };
    CHECK(answer("", "") == "");
    CHECK(answer("-", "f.h5", "s.npz") == "");
    CHECK(answer("mine.txt", "").find("mine.txt: is there and no artefact") == 0);
    CHECK(answer("no/m.json", "") == "no/m.json: No such file or directory: make the folder no first");
    CHECK(answer("m.json", "no/f.h5") == "no/f.h5: No such file or directory: make the folder no first");
    CHECK(answer("f.h5", "./f.h5") == "--save-features: names the same file as --output");
    CHECK(answer("m.json", "f.h5", "./f.h5") == "--save-stats: names the same file as --save-features");
  }
  TEST_CASE("read finds the kind on the lineage, and says what is there if it is not") {
    Folder folder;
    write_artefact("model.h5", "model");
    Run run;
    Manifest samples = run.context->manifest("samples", {{"model", Manifest::read("model.h5")}});
    plumb::io::H5Writer writer = run.context->create("samples");
    const std::vector<uint8_t> bytes(8, 1);
    writer.write("images", plumb::io::Type::kU8, {2, 1, 2, 2}, bytes.data());
    plumb::io::commit_artefact(writer, samples);
    CHECK(run.context->read("samples.h5", "model").path() == (folder.path / "model.h5").string());
    plumb::Exit exit = plumb::Exit::kDone;
    const std::string message = error_of([&] { run.context->read("samples.h5", "reward"); }, &exit);
    CHECK(exit == plumb::Exit::kBadInput);
    CHECK(message.find("'reward'") != std::string::npos);
    CHECK(message.find("samples, model") != std::string::npos);
  }
  TEST_CASE("two inputs where one is read") {
    CommonOptions o;
    o.input = {"a.h5", "b.h5"};
    Run run(o);
    CHECK(error_of([&] { run.context->input(); }) == "b.h5: unexpected argument: one input is read");
  }
  TEST_CASE("threads and was_set") {
    CommonOptions o;
    o.threads = 3;
    Run run(o);
    CHECK(run.context->threads() == 3);
    CHECK(Run().context->threads() >= 1);
    CHECK_FALSE(run.context->was_set("steps"));
    run.table.find("steps")->set({"9"});
    CHECK(run.context->was_set("steps"));
  }
  TEST_CASE("stopping after a checkpoint") {
    plumb::Exit exit = plumb::Exit::kDone;
    CHECK(error_of([] { plumb::cli::stop_after_checkpoint("m.h5.ckpt"); }, &exit) ==
          "m.h5.ckpt: stopped after this checkpoint: run the same command again to go on");
    CHECK(exit == plumb::Exit::kTryAgain);
  }
}
