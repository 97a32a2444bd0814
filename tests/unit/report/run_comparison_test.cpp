// Runs side by side.   SPDX-License-Identifier: Apache-2.0
#include "report/run_comparison.h"

#include <cmath>

#include <doctest/doctest.h>

using namespace plumb;
using namespace plumb::report;

namespace {

RunLog run(const std::string& name, std::vector<double> proxy, std::vector<double> gold, bool parted, double seconds) {
  RunLog r;
  r.name = name;
  const std::vector<double> steps = {0, 10, 20}, errors(3, 0.1);
  r.curves = {{"proxy", steps, std::move(proxy), errors}, {"reward/true", steps, gold, errors}, {"diversity", steps, gold, errors}};
  r.verdict = Verdict{parted, 10, 0, 20, 10, 20, "last", "", "they parted"};
  r.seconds = seconds;
  return r;
}

std::string raw(const Table& table, size_t row, const std::string& key) {
  for (size_t i = 0; i < table.columns.size(); ++i)
    if (table.columns[i].key == key) return table.rows.at(row).at(i).raw;
  FAIL("no column " << key);
  return "";
}

}  // namespace

TEST_SUITE("run comparison") {
  TEST_CASE("a number at the end of a name is a seed") {
    CHECK(group_name("tdpo-r-12") == "tdpo-r");
    CHECK(group_name("dpok-0.1-2") == "dpok-0.1");
    CHECK(group_name("dpok-0.1") == "dpok-0.1");  // a decimal is no seed
    CHECK(group_name("tuned") == "tuned");
    CHECK(group_name("run7") == "run");
    CHECK(group_name("2026") == "2026");
  }

  TEST_CASE("Student's t") {
    CHECK(std::isinf(t95(1)));
    CHECK(t95(3) == doctest::Approx(4.30265));
    CHECK(t95(31) == doctest::Approx(2.04227));
    CHECK(t95(101) == doctest::Approx(1.98397).epsilon(1e-5));
  }

  TEST_CASE("runs of one group are drawn as their mean with its t-interval") {
    const std::vector<RunLog> runs = {run("a-1", {0, 1, 4}, {2, 3, 1}, true, 10), run("b", {0, 2, 2}, {2, 2, 2}, false, 5),
                                      run("a-2", {0, 3, 6}, {2, 5, 2}, false, 14)};
    const std::vector<RunLog> all = pooled(runs);
    REQUIRE(all.size() == 2);
    CHECK(all[0].name == "a");
    CHECK_FALSE(all[0].verdict.has_value());
    CHECK(all[0].find("proxy")->y == std::vector<double>{0, 2, 5});
    // sd of 1 and 3 is sqrt 2, over sqrt 2; t for one degree of freedom
    CHECK(all[0].find("proxy")->se[1] * 1.959963984540054 == doctest::Approx(12.7062));
    CHECK(all[1].name == "b");
    CHECK(all[1].verdict.has_value());
  }

  TEST_CASE("runs with unequal updates an epoch are counted in reward queries") {
    std::vector<RunLog> runs = {run("a", {0, 1, 4}, {2, 3, 1}, true, 10), run("b", {0, 2, 2}, {2, 2, 2}, false, 5)};
    count_by_queries(runs);  // they do not say how many
    CHECK(runs[0].find("proxy")->x == std::vector<double>{0, 10, 20});
    for (RunLog& r : runs) r.samples_per_epoch = 64, r.updates_per_epoch = 2;
    count_by_queries(runs);
    CHECK(runs[0].x_unit == "updates");
    runs[1].updates_per_epoch = 8;
    count_by_queries(runs);
    CHECK(runs[0].find("proxy")->x == std::vector<double>{0, 320, 640});
    CHECK(runs[1].find("proxy")->x == std::vector<double>{0, 80, 160});
    CHECK(runs[1].x_unit == "reward queries");
    CHECK(runs[0].verdict->step == 320);
  }

  TEST_CASE("runs that were not monitored share the figures, and so the unit") {
    std::vector<RunLog> runs = {run("a", {0, 1, 4}, {2, 3, 1}, true, 10), run("b", {0, 2, 2}, {2, 2, 2}, false, 5), RunLog{}, RunLog{}};
    for (RunLog& r : runs) r.samples_per_epoch = 64, r.updates_per_epoch = 2;
    runs[1].updates_per_epoch = 8;
    runs[2].curves = {{"reward", {1, 2}, {0, 0}, {0, 0}}};
    runs[3].curves = {{"loss", {1, 2}, {0, 0}, {0, 0}}};  // of pretraining: counted in steps
    std::vector<RunLog> without = runs;
    count_by_queries(runs);
    CHECK(runs[2].find("reward")->x == std::vector<double>{32, 64});
    CHECK(runs[2].x_unit == "reward queries");
    CHECK(runs[3].find("loss")->x == std::vector<double>{1, 2});
    without[2].samples_per_epoch = std::nan("");  // it cannot be counted, so none is
    count_by_queries(without);
    CHECK(without[0].x_unit == "updates");
    CHECK(without[0].find("proxy")->x == std::vector<double>{0, 10, 20});
  }

  TEST_CASE("runs without a trained reward are compared by what they have") {
    std::vector<RunLog> runs = {run("a", {0, 1, 4}, {2, 3, 1}, true, 10), run("b", {0, 2, 2}, {2, 2, 2}, false, 5)};
    runs[1].curves.erase(runs[1].curves.begin());
    const Table mixed = comparison_table(runs, false);
    REQUIRE(mixed.rows.size() == 2);
    CHECK(mixed.note.find("first reached 4, the largest value that every run with one reached") != std::string::npos);
    CHECK(raw(mixed, 0, "gold_equal_reward") == "1");
    CHECK(raw(mixed, 1, "gold_end") == "2");
    CHECK(raw(mixed, 1, "proxy_end").empty());
    runs[0].curves.erase(runs[0].curves.begin());
    const Table none = comparison_table(runs, false);
    REQUIRE(none.rows.size() == 2);
    CHECK(raw(none, 0, "gold_best") == "3");
    CHECK(none.note.find("Equal reward") == std::string::npos);
    for (const Column& c : none.columns) CHECK(c.key.find("equal_reward") == std::string::npos);
    CHECK(none.rows[0].size() == none.columns.size());
  }

  TEST_CASE("where runs ended, and where they were at equal reward") {
    const std::vector<RunLog> runs = {run("a-1", {0, 1, 4}, {2, 3, 1}, true, 10), run("b", {0, 2, 2}, {2, 2, 2}, false, 5),
                                      run("a-2", {0, 3, 6}, {2, 5, 2}, false, 14)};
    const Table single = comparison_table(runs, false);
    REQUIRE(single.rows.size() == 3);
    CHECK(raw(single, 0, "proxy_end") == "4");
    CHECK(raw(single, 0, "gold_best") == "3");
    // Every run reached 2: a-1 a third of the way from 1 to 4, so gold 3 - 2/3.
    CHECK(std::stod(raw(single, 0, "gold_equal_reward")) == doctest::Approx(3 - 2.0 / 3));
    CHECK(std::stod(raw(single, 2, "gold_equal_reward")) == doctest::Approx(2 + 3 * 2.0 / 3));
    CHECK(raw(single, 1, "seconds") == "5");

    const Table grouped = comparison_table(runs, true);
    REQUIRE(grouped.rows.size() == 2);
    CHECK(raw(grouped, 0, "run") == "a");
    CHECK(raw(grouped, 0, "runs") == "2");
    CHECK(raw(grouped, 0, "proxy_end") == "5");
    CHECK(std::stod(raw(grouped, 0, "proxy_end_ci95")) == doctest::Approx(12.7062));
    CHECK(raw(grouped, 0, "parted") == "1");
    CHECK(raw(grouped, 0, "seconds") == "12");
    CHECK(raw(grouped, 1, "proxy_end_ci95").empty());
    CHECK(comparison_table({runs[0]}, false).rows.empty());
  }
}
