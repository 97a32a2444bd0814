// Logs of runs.   SPDX-License-Identifier: Apache-2.0
#include "report/run_log.h"

#include <cmath>

#include <doctest/doctest.h>

#include "core/error.h"
#include "io/atomic_file.h"
#include "report/run_figures.h"
#include "xml.h"

using namespace plumb;
using namespace plumb::report;

namespace {

const std::string kLog = R"({"event":"start","step":0,"time":"2026-01-01T00:00:00Z"}
{"event":"plan","step":0,"method":"ddpo-is","plan":{}}
{"step":0,"epoch":0,"proxy":1.0,"proxy_se":0.1,"reward/g:a":2.0,"reward_se/g:a":0.2,"kl":0,"kl_se":0,"diversity":5,"diversity_se":0.1}
{"step":1,"epoch":1,"loss":0.5,"reward":1.1,"reward_std":0.3,"grad_norm":null,"clip_fraction":0.1}
{"step":2,"epoch":1,"loss":0.4,"reward":1.1,"reward_std":0.3,"grad_norm":0.2,"proxy":3.0,"proxy_se":0.1,"reward/g:a":0.5,"reward_se/g:a":0.2,"kl":4,"kl_se":0.5,"diversity":2.5,"diversity_se":0.1}
{"event":"verdict","step":2,"kept":"best-gold","kept_step":0,"stopped_by":null,"verdict":"they parted","best_gold_step":0,"parted":true,"parted_step":0,"parted_interval":[0,1]}
)";

RunLog read(const std::string& text) {
  const test::Folder folder("run-log");
  io::write_file(folder / "tuned.h5.jsonl", text);
  return read_run_log(folder / "tuned.h5.jsonl");
}

}  // namespace

TEST_SUITE("run log") {
  TEST_CASE("curves with their errors, the method and the verdict") {
    const RunLog run = read(kLog);
    CHECK(run.name == "tuned");
    CHECK(run.method == "ddpo-is");
    REQUIRE(run.find("proxy"));
    CHECK(run.find("proxy")->x == std::vector<double>{0, 2});
    CHECK(run.find("proxy")->se[1] == 0.1);
    CHECK(run.golds() == std::vector<std::string>{"g:a"});
    CHECK(run.find("reward/g:a")->se[0] == 0.2);
    CHECK(run.find("proxy_se") == nullptr);
    CHECK(run.find("seconds") == nullptr);
    CHECK(run.find("reward")->y.size() == 1);  // once an epoch
    CHECK(std::isnan(run.find("grad_norm")->y[0]));
    REQUIRE(run.verdict);
    CHECK(run.verdict->parted);
    CHECK(run.verdict->high == 1);
    CHECK(run.verdict->kept == "best-gold");
  }

  TEST_CASE("a torn last line is left out; a bad line before it is an error") {
    CHECK(read(kLog + "{\"step\":3,\"proxy\":9").find("proxy")->y.size() == 2);
    CHECK_THROWS_AS(read("{\"step\":3,\"pro\n" + kLog), Error);
    CHECK(read("").curves.empty());
  }

  TEST_CASE("a run that went on after kill -9 overwrites what it did again") {
    const RunLog run = read(
        "{\"step\":1,\"loss\":1}\n{\"step\":2,\"loss\":2}\n{\"step\":3,\"loss\":3}\n{\"step\":2,\"loss\":20}\n{"
        "\"step\":3,\"loss\":30}\n");
    CHECK(run.find("loss")->x == std::vector<double>{1, 2, 3});
    CHECK(run.find("loss")->y == std::vector<double>{1, 20, 30});
  }

  TEST_CASE("an epoch that updates nothing repeats the step, and takes back no evaluation") {
    const std::string text =
        "{\"step\":0,\"epoch\":0,\"proxy\":1,\"reward/g\":5,\"diversity\":9}\n{\"step\":0,\"epoch\":1,\"drift\":2}\n"
        "{\"step\":10,\"epoch\":2,\"reward\":7,\"proxy\":2,\"reward/g\":4}\n{\"step\":10,\"epoch\":3,\"reward\":8,\"drift\":3}\n"
        "{\"step\":20,\"epoch\":4,\"proxy\":3,\"reward/g\":3}\n";
    const RunLog run = read(text);
    REQUIRE(run.find("reward/g"));
    CHECK(run.find("reward/g")->x == std::vector<double>{0, 10, 20});
    CHECK(run.find("reward/g")->y == std::vector<double>{5, 4, 3});
    CHECK(run.find("diversity")->y == std::vector<double>{9});
    CHECK(run.find("drift")->x == std::vector<double>{0, 10});
    // Resumed at the second of the lines of step 10: the first stays.
    const RunLog again = read(text + "{\"step\":10,\"epoch\":3,\"reward\":80,\"drift\":30}\n");
    CHECK(again.find("reward/g")->y == std::vector<double>{5, 4});
    CHECK(again.find("drift")->y == std::vector<double>{2, 30});
    CHECK(again.find("reward")->y == std::vector<double>{7, 80});
    CHECK(read(text + "{\"step\":10,\"epoch\":2,\"drift\":30}\n").find("reward/g")->y == std::vector<double>{5});
  }

  TEST_CASE("a run resumed within an epoch has the epoch's reward once") {
    const RunLog run = read(
        "{\"step\":1,\"epoch\":1,\"reward\":1,\"loss\":1}\n{\"step\":2,\"epoch\":1,\"reward\":1,\"loss\":2}\n"
        "{\"step\":2,\"epoch\":1,\"reward\":1,\"loss\":3}\n");
    CHECK(run.find("loss")->y == std::vector<double>{1, 3});
    CHECK(run.find("reward")->x == std::vector<double>{1});
  }

  TEST_CASE("lines without a step count by epoch; lines without either are passed over") {
    const RunLog run =
        read("{\"epoch\":1,\"loss\":1}\n{\"loss\":5}\n{\"epoch\":2,\"loss\":2,\"note\":\"text\",\"list\":[1]}\n");
    CHECK(run.find("loss")->x == std::vector<double>{1, 2});
    CHECK(run.curves.size() == 1);
  }

  TEST_CASE("names of runs differ") {
    std::vector<RunLog> runs(3);
    runs[0].name = runs[1].name = runs[2].name = "tuned";
    runs[0].path = "/a/one/tuned.jsonl";
    runs[1].path = runs[2].path = "/a/two/tuned.jsonl";
    name_runs(runs);
    CHECK(runs[0].name == "one/tuned");
    CHECK(runs[1].name == "two/tuned");
    CHECK(runs[2].name == "two/tuned (2)");
  }

  TEST_CASE("the running mean stays centred, and skips what is not finite") {
    CHECK(smooth({1, 2, 3, 4, 5}, 3) == std::vector<double>{1, 2, 3, 4, 5});
    CHECK(smooth({0, 3, 0, 3, 0}, 3) == std::vector<double>{0, 1, 2, 1, 0});
    CHECK(smooth({1, std::nan(""), 3}, 3)[1] == 2);
    CHECK(smooth({0, 0, 0, 0, 0, 0, 0, 0, 0, 12}, 8).back() ==
          6);  // a quarter of the window beyond the last value is not there
    CHECK(smooth({}, 3).empty());
  }

  TEST_CASE("thinning keeps extremes") {
    Curve curve{"c", {}, {}, {}};
    for (int i = 0; i < 10000; ++i) {
      curve.x.push_back(i);
      curve.y.push_back(i == 5001 ? 100 : i == 7003 ? -100 : std::sin(i));
      curve.se.push_back(0);
    }
    const Curve few = thin(curve, 200);
    CHECK(few.y.size() <= 200);
    CHECK(std::is_sorted(few.x.begin(), few.x.end()));
    CHECK(*std::max_element(few.y.begin(), few.y.end()) == 100);
    CHECK(*std::min_element(few.y.begin(), few.y.end()) == -100);
  }
}

TEST_SUITE("run figures") {
  TEST_CASE("the monitor's figure shows both rewards on one axis, in standard deviations of the start") {
    RunLog run = read(kLog);
    run.monitor_n = 100;  // standard deviation = 0.1 * sqrt(100) = 1 for the proxy, 2 for gold
    const Figure figure = monitor_figure({run});
    REQUIRE(figure.panels.size() == 5);
    REQUIRE(figure.panels[0].series.size() == 2);
    CHECK(figure.panels[0].series[0].y[1] == doctest::Approx(2.0));                     // (3 - 1) / 1
    CHECK(figure.panels[0].series[1].y[1] == doctest::Approx(-0.75));                   // (0.5 - 2) / 2
    CHECK(figure.panels[0].series[0].high[0] == doctest::Approx(0.196).epsilon(1e-3));  // 1.96 * 0.1
    REQUIRE(figure.marks.size() == 2);
    CHECK(figure.marks[0].low == 0);
    CHECK(figure.marks[0].high == 1);
    CHECK(figure.marks[1].text == "kept: best gold, step 0");
  }

  TEST_CASE("two runs: a line each, in the same panels") {
    RunLog a = read(kLog), b = read(kLog);
    b.name = "other";
    const Figure figure = monitor_figure({a, b});
    for (const Panel& panel : figure.panels) {
      CHECK(panel.series.size() == 2);
      CHECK(panel.series[1].name == "other");
    }
  }

  TEST_CASE("what happened, in words") {
    const std::vector<std::string> words = describe_run(read(kLog), false);
    REQUIRE(words.size() == 3);
    CHECK(words[0] == "The trained reward rose from 1.00 ± 0.10 to 3.00 ± 0.10 over 2 updates of ddpo-is.");
    CHECK(words[1] == "Gold g:a fell from 2.00 ± 0.20 to 0.50 ± 0.20.");
    CHECK(words[2] ==
          "Diversity (Vendi score) fell from 5.00 ± 0.10 to 2.50 ± 0.10, 50 % of where it began; path KL to the base "
          "model ended at 4.00 ± 0.50 nats.");
    CHECK(describe_run(RunLog{}, true).empty());
  }

  TEST_CASE("a run that learns from answers is monitored without a trained reward") {
    RunLog run = read(R"({"event":"start","step":0,"tool":"finetune"}
{"event":"plan","step":0,"method":"papa","plan":{"rounds":2}}
{"step":0,"epoch":0,"reward/g":2.0,"reward_se/g":0.2,"kl":0,"kl_se":0,"diversity":5,"diversity_se":0.1,"distance":1,"distance_se":0.1}
{"step":1,"epoch":1,"loss":0.5}
{"step":2,"epoch":2,"loss":0.4,"reward/g":0.5,"reward_se/g":0.2,"kl":4,"kl_se":0.5,"diversity":2.5,"diversity_se":0.1,"distance":1,"distance_se":0.1}
{"event":"verdict","step":2,"kept":"last","kept_step":2,"verdict":"g fell","best_gold_step":0,"parted":true,"parted_step":0,"parted_interval":[0,1]}
)");
    CHECK(run.monitored());
    CHECK(run.lacks_reward());
    const Figure figure = monitor_figure({run});
    REQUIRE(figure.panels.size() == 4);
    CHECK(figure.panels[0].title == "Gold");
    CHECK(figure.panels[2].title == "Diversity");
    REQUIRE(figure.marks.size() == 2);
    CHECK(figure.marks[0].text == "gold falls from step 0 (95 % interval 0 to 1)");
    CHECK(figure.caption.find("no trained reward") != std::string::npos);
    const std::vector<std::string> words = describe_run(run, false);
    REQUIRE(words.size() == 2);
    CHECK(words[0] == "Gold g fell from 2.00 ± 0.20 to 0.50 ± 0.20 over 2 updates of papa.");
    CHECK(words[1].find("Diversity (Vendi score) fell from 5.00 ± 0.10 to 2.50 ± 0.10, 50 % of where it began") == 0);
    CHECK(describe_run(run, true)[0] == "tuned: gold g fell from 2.00 ± 0.20 to 0.50 ± 0.20 over 2 updates of papa.");
    CHECK(training_figures({run}).empty());
    REQUIRE(finetuning_figure({run}).panels.size() == 1);
    CHECK(reward_paths_figure({run}).panels.empty());
    std::erase_if(run.curves, [](const Curve& c) { return c.name.rfind("reward/", 0) == 0; });  // neither reward nor gold
    CHECK(run.monitored());
    CHECK(describe_run(run, false)[0].find("began; path KL") != std::string::npos);
    CHECK(describe_run(run, false)[0].find("2.50 ± 0.10 over 2 updates of papa") != std::string::npos);
    run = read(kLog);
    CHECK_FALSE(run.lacks_reward());
    CHECK(describe_run(run, true)[0].find("tuned: the trained reward rose") == 0);
  }

  TEST_CASE("runs without a monitor, logs without a line") {
    CHECK(monitor_figure({RunLog{}}).panels.empty());
    const auto figures =
        training_figures({read("{\"step\":1,\"loss\":1}\n"),
                          read("{\"event\":\"start\",\"tool\":\"reward-train\"}\n{\"step\":1,\"loss\":1}\n")});
    REQUIRE(figures.size() == 2);
    CHECK(figures[0].id == "training");
    CHECK(figures[1].id == "reward-training");
    CHECK(figures[1].panels.size() == 1);
    CHECK(finetuning_figure({read("{\"step\":1,\"loss\":1}\n")}).panels.empty());
    CHECK(finetuning_figure({read(kLog)}).panels.size() == 4);  // reward, loss, clipped, gradient norm
  }
}
