// What is asked, and in which order.   SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "io/image_file.h"
#include "scene.h"

using namespace plumb::test;
using plumb::Exit;

namespace {

Plan plan_of(Mode mode, const std::string& choose, int64_t count, int64_t budget = 0, uint64_t seed = 0, const std::vector<float>& points = {}) {
  return make_plan({mode, choose, budget, 3, 0, seed}, count, points);
}

std::set<std::vector<int64_t>> as_sets(const Plan& plan) {
  std::set<std::vector<int64_t>> sets;
  for (std::vector<int64_t> items : plan) {
    std::sort(items.begin(), items.end());
    sets.insert(items);
  }
  return sets;
}

}  // namespace

TEST_SUITE("plan") {
  TEST_CASE("random: each item once, in an order of the seed; a smaller budget is its beginning") {
    const Plan all = plan_of(Mode::kSingle, "random", 50), part = plan_of(Mode::kSingle, "random", 50, 20);
    CHECK(as_sets(all).size() == 50);
    CHECK(std::equal(part.begin(), part.end(), all.begin()));
    CHECK(plan_of(Mode::kSingle, "random", 50, 0, 1) != all);
    CHECK(plan_of(Mode::kSingle, "all", 50) == all);
  }

  TEST_CASE("pairs: no pair twice, each item as often as the others, either side as likely") {
    const Plan some = plan_of(Mode::kPairs, "random", 20, 40), every = plan_of(Mode::kPairs, "all", 20);
    CHECK(some.size() == 40);
    CHECK(as_sets(some).size() == 40);
    CHECK(every.size() == 190);
    CHECK(as_sets(every).size() == 190);
    CHECK(as_sets(plan_of(Mode::kPairs, "random", 20, 180)).size() == 180);
    const Plan fewer = plan_of(Mode::kPairs, "random", 20, 90), more = plan_of(Mode::kPairs, "random", 20, 181);
    CHECK(Plan(more.begin(), more.begin() + 90) == fewer);  // a smaller budget is the beginning, also beyond half of all
    const Plan many = plan_of(Mode::kPairs, "all", 80);
    const auto swapped = std::count_if(many.begin(), many.end(), [](const auto& p) { return p[0] > p[1]; });
    CHECK(std::abs(static_cast<double>(swapped) / 3160 - 0.5) < 4 * 0.5 / std::sqrt(3160.0));  // 4 s.e. of 3160 throws
  }

  TEST_CASE("sets: all there are can be asked for") {
    CHECK(as_sets(plan_of(Mode::kRank, "random", 3, 1)) == std::set<std::vector<int64_t>>{{0, 1, 2}});
    const auto all = as_sets(plan_of(Mode::kRank, "random", 6, 20));
    CHECK(all.size() == 20);
    for (const auto& set : all) CHECK((set[0] >= 0 && set[0] < set[1] && set[1] < set[2] && set[2] < 6));
    CHECK(as_sets(plan_of(Mode::kRank, "random", 6, 15)).size() == 15);
    check_error([] { plan_of(Mode::kRank, "random", 6, 21); }, Exit::kUsage, "--count", "at most 20");
    check_error([] { make_plan({Mode::kRank, "random", 900'000'000, 9, 0, 0}, 48, {}); }, Exit::kUsage, "--count", "more than half");
  }

  TEST_CASE("diverse: a line of points is halved; no prefix leaves a gap above twice the best") {
    std::vector<float> line;
    for (int i = 0; i <= 64; ++i) line.push_back(static_cast<float>(i));
    CHECK(farthest_points(line, 65, 5, 0) == std::vector<int64_t>{0, 64, 32, 16, 48});
    CHECK(farthest_points({0, 0, 0, 0, 3, 4}, 3, 3, 0) == std::vector<int64_t>{0, 2, 1});  // equal points come last, still once
    const Plan plan = plan_of(Mode::kSingle, "diverse", 65, 9, 3, line);
    std::vector<int64_t> chosen;
    for (const auto& q : plan) chosen.push_back(q[0]);
    std::sort(chosen.begin(), chosen.end());
    double widest = 0;  // distance of the worst covered point; 9 points cover 65 with 4 at best
    for (int64_t i = 0; i <= 64; ++i) {
      double nearest = 99;
      for (const int64_t c : chosen) nearest = std::min(nearest, std::abs(static_cast<double>(c - i)));
      widest = std::max(widest, nearest);
    }
    CHECK(widest <= 8);
    CHECK(as_sets(plan_of(Mode::kPairs, "diverse", 65, 32, 3, line)).size() == 32);
  }

  TEST_CASE("repeats: a share of the questions twice, the second time at least a screen later, in place or turned round") {
    const Plan plan = make_plan({Mode::kPairs, "random", 100, 3, 0.2, 5}, 100, {});
    REQUIRE(plan.size() == 120);
    std::map<std::vector<int64_t>, std::vector<size_t>> places;
    for (size_t q = 0; q < plan.size(); ++q) places[{std::min(plan[q][0], plan[q][1]), std::max(plan[q][0], plan[q][1])}].push_back(q);
    CHECK(places.size() == 100);
    int64_t turned = 0;
    for (const auto& [items, at] : places) {
      if (at.size() < 2) continue;
      CHECK(at.size() == 2);
      CHECK((at[1] >= at[0] + 9 || at[1] >= 110));  // near the end there is no screen left between
      turned += plan[at[0]] != plan[at[1]];
    }
    CHECK((turned > 2 && turned < 18));
  }

  TEST_CASE("budgets that cannot be filled") {
    check_error([] { plan_of(Mode::kSingle, "random", 5, 6); }, Exit::kUsage, "--count", "at most 5");
    check_error([] { plan_of(Mode::kPairs, "random", 5, 11); }, Exit::kUsage, "--count", "at most 10");
    check_error([] { plan_of(Mode::kPairs, "diverse", 4, 3, 0, {1, 2, 3, 4}); }, Exit::kUsage, "--count", "that share none");
    check_error([] { plan_of(Mode::kRank, "random", 2); }, Exit::kUsage, "--mode rank", "3 items at a time");
    check_error([] { plan_of(Mode::kRank, "all", 9); }, Exit::kUsage, "--choose all", "rank");
    check_error([] { plan_of(Mode::kPairs, "all", 10000); }, Exit::kUsage, "--choose all", "pairs");
  }

  TEST_CASE("items are shown as what they are") {
    Scene scene(3);
    const Question question = scene.questions->question(0);
    const plumb::io::Image image = plumb::io::decode_image(question.tiles[0].png, "tile");
    CHECK(image.pixels == std::vector<uint8_t>(4, static_cast<uint8_t>(question.tiles[0].item)));
    const Question again = question_from_json(Json::parse(to_json(question).dump()), "x");
    CHECK(again.tiles[0].png == question.tiles[0].png);
    CHECK(again.items() == question.items());
    check_error([] { question_from_json(Json::parse(R"({"question":0,"tiles":[{"item":1,"png":"a*=="}]})"), "q"); }, Exit::kBadInput, "q", "base64");
  }

  TEST_CASE("samples that share a start are compared with one another only") {
    for (const std::string choose : {"all", "random"}) {
      const Plan plan = make_plan({Mode::kPairs, choose, choose == "all" ? 0 : 6, 3, 0, 5, 3}, 9, {});
      CHECK(plan.size() == (choose == "all" ? 9 : 6));
      CHECK(as_sets(plan).size() == plan.size());
      for (const auto& pair : plan) CHECK(pair[0] / 3 == pair[1] / 3);
    }
    const Plan sets = make_plan({Mode::kRank, "random", 0, 3, 0, 5, 3}, 9, {});
    CHECK(as_sets(sets) == std::set<std::vector<int64_t>>{{0, 1, 2}, {3, 4, 5}, {6, 7, 8}});
    check_error([] { make_plan({Mode::kPairs, "diverse", 2, 3, 0, 5, 3}, 9, {}); }, Exit::kUsage, "--choose diverse", "share a start");
    check_error([] { make_plan({Mode::kRank, "random", 0, 4, 0, 5, 3}, 9, {}); }, Exit::kUsage, "--per-page", "3 samples share a start");
    check_error([] { make_plan({Mode::kPairs, "random", 10, 3, 0, 5, 3}, 9, {}); }, Exit::kUsage, "--count", "at most 9");
  }

  TEST_CASE("by value: the highest first, and of equal ones the first") {
    const auto by_value = [](const std::vector<double>& values, int64_t budget, double repeats = 0) {
      return plan_by_value({Mode::kSingle, "uncertain", budget, 3, repeats, 0}, values);
    };
    CHECK(by_value({1, 5, 3, 5}, 3) == Plan{{1}, {3}, {2}});
    CHECK(by_value({1, 5, 3, 5}, 0) == Plan{{1}, {3}, {2}, {0}});
    const Plan twice = by_value({1, 5, 3, 5}, 3, 1);
    CHECK(twice.size() == 6);
    CHECK(as_sets(twice).size() == 3);
    check_error([&] { by_value({1}, 2); }, Exit::kUsage, "--count", "there are 1");
  }
}
