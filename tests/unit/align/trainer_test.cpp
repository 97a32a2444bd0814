// Whole runs on a toy UNet: rewards rise, stopped runs go on bit for bit, the monitor sees what happens.
// SPDX-License-Identifier: Apache-2.0
#include "align/trainer.h"

#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "core/signals.h"
#include "oracle.h"
#include "toy.h"

using namespace plumb;
using namespace plumb::align;

namespace {

std::string scratch(const std::string& name) {
  const auto folder = std::filesystem::temp_directory_path() / ("plumb-trainer-test." + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  return folder / name;
}

std::vector<io::Json> lines_of(const std::string& path) {
  std::vector<io::Json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    lines.push_back(io::Json::parse(line));
  return lines;
}

/// Lines of steps and the verdict, without what a clock put there.
std::vector<io::Json> without_times(const std::string& path) {
  std::vector<io::Json> kept;
  for (io::Json line : lines_of(path)) {
    line.erase("seconds");
    if (line.value("event", "") != "start" && line.value("event", "") != "plan")
      kept.push_back(line);
  }
  return kept;
}

struct Run {
  Toy toy;
  RawFeatures features;
  Monitor monitor;
  Trainer trainer;
  Run(const FinetuneOptions& o, RunFiles files, std::function<Tensor(const Tensor&)> f = darkness,
      bool gold = true)
      : toy(o, std::move(f)),
        monitor(toy.context, golds(gold ? toy.options.gold : std::vector<std::string>{}), features),
        trainer(toy.context, *toy.method, &monitor, std::move(files)) {}
  static std::vector<GoldReward> golds(const std::vector<std::string>& names) {
    std::vector<GoldReward> all;
    for (const std::string& name : names)
      all.push_back({name, std::make_unique<PixelReward>(name == "darkness" ? darkness : corner)});
    return all;
  }
};

}  // namespace

TEST_CASE("the reward improves within a few epochs") {
  FinetuneOptions o = toy_options();
  o.epochs = 8;
  o.samples_per_epoch = 32;
  o.monitor_every = 16;
  SUBCASE("ddpo-is, adapter") { o.train_batch_size = 16; }
  SUBCASE("ddpo-is, all weights") {
    o.train_batch_size = 16;
    o.full = true;
  }
  SUBCASE("ddpo-sf") {
    o.method = "ddpo-sf";
    o.train_batch_size = 32;
    o.epochs = 12;
    o.lr = 1e-2;
  }
  SUBCASE("dpok") { o.method = "dpok"; }
  SUBCASE("grpo") { o.method = "grpo"; }
  SUBCASE("tdpo") { o.method = "tdpo"; }
  SUBCASE("tdpo-r") {
    o.method = "tdpo-r";
    o.tdpo.reset_every = 3;
  }
  SUBCASE("draft") { o.method = "draft"; }
  SUBCASE("draft, all steps, without noise") {
    o.method = "draft";
    o.draft.k = 0;
    o.eta = 0;
    o.direct.checkpoint = true;
  }
  SUBCASE("draft-lv") { o.method = "draft-lv"; }
  SUBCASE("alignprop") { o.method = "alignprop"; }
  SUBCASE("refl") { o.method = "refl"; }
  Run run(o, {}, darkness, false);
  CHECK(run.trainer.run() == RunEnd::kFinished);
  const double first = run.monitor.points().front().proxy, last = run.monitor.points().back().proxy;
  MESSAGE("mean reward ", first, " -> ", last);
  CHECK(last > first + 0.05);
  CHECK((run.monitor.points().back().kl > 0) == (o.eta > 0));
}

TEST_CASE("a run stopped anywhere and resumed equals the uninterrupted one, weights and log") {
  FinetuneOptions o = toy_options();
  int64_t steps = 6;
  SUBCASE("ddpo-is") {}
  SUBCASE("ddpo-sf") {
    o.method = "ddpo-sf";
    o.train_batch_size = 16;
    steps = 3;
  }
  SUBCASE("dpok") {
    o.method = "dpok";
    o.dpok.value_updates = 2;
  }
  SUBCASE("grpo") { o.method = "grpo"; }
  SUBCASE("tdpo") {
    o.method = "tdpo";
    o.tdpo.critic_lr = 1e-2;
    steps = 24;
  }
  SUBCASE("tdpo-r") {
    o.method = "tdpo-r";
    o.tdpo.critic_lr = 1e-2;
    o.tdpo.reset_every = 2;
    o.inner_epochs = 2;
    steps = 48;
  }
  SUBCASE("alignprop, stopped between the batches of an update") {
    o.method = "alignprop";
    o.batch_size = 4;
  }
  SUBCASE("draft, without noise") {
    o.method = "draft";
    o.draft.k = 2;
    o.eta = 0;
  }
  SUBCASE("draft-lv") { o.method = "draft-lv"; }
  SUBCASE("refl") { o.method = "refl"; }
  for (const char* file : {"reference.ckpt", "stopped.ckpt", "reference.jsonl", "stopped.jsonl"})
    std::filesystem::remove(scratch(file));
  const std::string reference_log = scratch("reference.jsonl");
  Run reference(o, {scratch("reference.ckpt"), reference_log, "f"});
  REQUIRE(reference.trainer.run() == RunEnd::kFinished);
  REQUIRE(reference.trainer.steps() == steps);

  const std::string checkpoint = scratch("stopped.ckpt"), log = scratch("stopped.jsonl");
  int calls = 0, stops = 0;
  RunEnd end = RunEnd::kInterrupted;
  Tensor weights;
  io::Json summary;
  while (end == RunEnd::kInterrupted && stops < 40) {
    // The reward is asked once a rollout and once an evaluation, or by each batch: a signal at each third of them falls
    // on different stages, the second call comes after the evaluation of step 0 and before the first update.
    Run run(o, {checkpoint, log, "f"}, [&](const Tensor& pixels) {
      if ((++calls == 2 || calls % 3 == 0) && !stop_requested())  // a second signal would end the test
        std::raise(SIGTERM);
      return darkness(pixels);
    });
    reset_stop_request();
    install_stop_handlers();
    end = run.trainer.run();
    reset_stop_request();
    std::signal(SIGTERM, SIG_DFL);
    ++stops;
    weights = run.toy.weights();
    summary = run.trainer.summary();
  }
  CHECK(end == RunEnd::kFinished);
  CHECK(stops >= 2);
  CHECK(at::equal(weights, reference.toy.weights()));
  CHECK(summary == reference.trainer.summary());
  CHECK(without_times(log) == without_times(reference_log));
}

TEST_CASE("a run killed between checkpoints repeats what was lost") {
  const FinetuneOptions o = toy_options();
  const std::string reference_log = scratch("whole.jsonl");
  Run reference(o, {"", reference_log, "f"});
  REQUIRE(reference.trainer.run() == RunEnd::kFinished);
  const std::string checkpoint = scratch("killed.ckpt"), log = scratch("killed.jsonl");
  struct Killed {};
  FinetuneOptions often = o;
  often.save_every_s = 1e-9;
  int calls = 0;
  {
    Run run(often, {checkpoint, log, "f"}, [&](const Tensor& pixels) {
      if (++calls == 5)
        throw Killed();
      return darkness(pixels);
    });
    CHECK_THROWS_AS(run.trainer.run(), Killed);
  }
  std::ofstream(log, std::ios::app) << R"({"step": 5, "torn)";
  Run again(o, {checkpoint, log, "f"});
  CHECK(again.trainer.run() == RunEnd::kFinished);
  CHECK(at::equal(again.toy.weights(), reference.toy.weights()));
  CHECK(without_times(log) == without_times(reference_log));
}

TEST_CASE("the monitor sees a hacked reward: it stops, names the place and keeps the best weights") {
  FinetuneOptions o = toy_options();
  o.epochs = 30;
  o.lr = 1e-2;
  o.samples_per_epoch = 32;
  o.train_batch_size = 16;
  o.monitor_every = 4;
  o.monitor_n = 24;
  o.stop = {"gold-drop:z=2,k=2"};
  o.keep = "best-gold";
  const std::string log = scratch("hacked.jsonl");
  Run run(o, {"", log, "f"});
  CHECK(run.trainer.run() == RunEnd::kStopRule);
  const Verdict v = run.monitor.verdict();
  REQUIRE(v.partings.size() == 1);
  CHECK(v.partings[0].gold == "corner");
  CHECK(v.partings[0].step < run.trainer.steps());
  CHECK(v.partings[0].low <= v.partings[0].step);
  CHECK(v.partings[0].step <= v.partings[0].high);
  CHECK(run.trainer.steps() < 60);
  const io::Json summary = run.trainer.summary();
  CHECK(summary["kept"] == "best-gold");
  CHECK(summary["kept_step"] == v.best_gold_step);
  CHECK(summary["stopped_by"] == "gold-drop:z=2,k=2");
  CHECK(&run.trainer.kept_weights() == &run.trainer.best_gold_weights());
  const auto lines = lines_of(log);
  CHECK(lines.back()["event"] == "verdict");
  CHECK(lines.back()["parted"] == true);
  for (const io::Json& line : lines) {
    if (line.contains("event") || line["step"].get<int64_t>() % 4 != 0)
      continue;
    for (const char* field : {"proxy", "proxy_se", "reward/corner", "reward_se/corner", "kl", "kl_se", "kl_plain", "kl_plain_se", "diversity",
                              "diversity_se", "distance", "distance_se"})
      CHECK_MESSAGE(line.contains(field), field);
  }
}

TEST_CASE("a gold that rises with the trained reward does not hide one that falls") {
  FinetuneOptions o = toy_options();
  o.epochs = 20;
  o.lr = 1e-2;
  o.samples_per_epoch = 32;
  o.train_batch_size = 16;
  o.monitor_every = 4;
  o.monitor_n = 24;
  o.gold = {"darkness", "corner"};
  Run run(o, {});
  CHECK(run.trainer.run() == RunEnd::kFinished);
  const Verdict v = run.monitor.verdict();
  REQUIRE(v.partings.size() == 1);
  CHECK(v.partings[0].gold == "corner");
  CHECK(v.text.find("corner fell") != std::string::npos);
  CHECK(run.monitor.points().back().worst_gold().z > 2);
  CHECK(run.trainer.summary()["partings"][0]["gold"] == "corner");
}

TEST_CASE("a KL limit stops the run") {
  FinetuneOptions o = toy_options();
  o.epochs = 30;
  o.stop = {"kl:0.5"};
  Run run(o, {}, darkness, false);
  CHECK(run.trainer.run() == RunEnd::kStopRule);
  CHECK(run.monitor.points().back().kl > 0.5);
  CHECK(run.monitor.verdict().text.find("--gold") != std::string::npos);
}

TEST_CASE("a stop within an update drops it, and it is made again") {
  FinetuneOptions o = toy_options();
  o.method = "draft";
  o.batch_size = 2;
  Toy whole(o);
  REQUIRE(whole.method->collect(whole.context, 0));
  CHECK_FALSE(whole.method->accumulate_gradients(whole.context, 0, 0).abandoned());
  int calls = 0;
  Toy toy(o, [&](const Tensor& pixels) {
    if (++calls == 2)
      std::raise(SIGTERM);
    return darkness(pixels);
  });
  reset_stop_request();
  install_stop_handlers();
  CHECK(toy.method->accumulate_gradients(toy.context, 0, 0).abandoned());
  CHECK(calls == 2);
  reset_stop_request();
  std::signal(SIGTERM, SIG_DFL);
  toy.zero_grad();
  CHECK_FALSE(toy.method->accumulate_gradients(toy.context, 0, 0).abandoned());
  CHECK(at::equal(toy.gradients(), whole.gradients()));
}

TEST_CASE("chains without noise have no KL: none is logged, none can stop the run") {
  FinetuneOptions o = toy_options();
  o.method = "draft";
  o.eta = 0;
  o.epochs = 1;
  const std::string log = scratch("noiseless.jsonl");
  Run run(o, {"", log, "f"});
  CHECK(run.trainer.run() == RunEnd::kFinished);
  std::vector<double> plain;  // the form that needs no noise: 0 before the first update, and then not
  for (const io::Json& line : lines_of(log)) {
    CHECK_FALSE(line.contains("kl"));
    if (line.contains("proxy"))
      plain.push_back(line.at("kl_plain"));
  }
  REQUIRE(plain.size() >= 2);
  CHECK(plain.front() == 0);
  CHECK(plain.back() > 0);
  CHECK(lines_of(log).back().contains("best_gold_step"));
  o.stop = {"kl:12"};
  CHECK_THROWS_WITH_AS(Run(o, {}), doctest::Contains("'kl:12': no step has the noise"), Error);
}

TEST_CASE("the monitor does not disturb the run") {
  FinetuneOptions o = toy_options();
  Run watched(o, {});
  watched.trainer.run();
  Toy alone(o);
  Trainer trainer(alone.context, *alone.method, nullptr, {});
  trainer.run();
  CHECK(at::equal(alone.weights(), watched.toy.weights()));
}
