// Pareto sets, hypervolumes and fronts at equal reward, by hand.   SPDX-License-Identifier: Apache-2.0
#include "report/front.h"

#include <cmath>

#include <doctest/doctest.h>

using namespace plumb::report;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
using Points = std::vector<PlanePoint>;
using Indices = std::vector<size_t>;

}  // namespace

TEST_SUITE("front") {
  TEST_CASE("the Pareto set: what no other point beats, by increasing reward") {
    // (2,4) and (3,5) lie below (3,6), (1,9) left of (2,9)
    CHECK(pareto_set({{3, 6}, {1, 9}, {2, 9}, {3, 5}, {0, 10}, {2, 4}}) == Indices{4, 2, 0});
    CHECK(pareto_set({{1, 1}}) == Indices{0});
    CHECK(pareto_set({}).empty());
    CHECK(pareto_set({{1, 1}, {1, 1}}) == Indices{0, 1});        // equal points do not dominate each other
    CHECK(pareto_set({{1, 1}, {1, 1}, {2, 1}}) == Indices{2});   // the same diversity at more reward does
    CHECK(pareto_set({{1, 1}, {1, 2}}) == Indices{1});
    CHECK(pareto_set({{kNaN, 9}, {1, 1}, {9, kNaN}, {INFINITY, 0}}) == Indices{1});
  }

  TEST_CASE("hypervolume: the area of boxes that overlap counts once") {
    CHECK(hypervolume({{1, 0.5}, {0.5, 1}}) == doctest::Approx(0.75).epsilon(1e-12));  // 1 * 0.5 + 0.5 * 0.5
    CHECK(hypervolume({{0.5, 1}, {0.4, 0.4}, {1, 0.5}}) == doctest::Approx(0.75).epsilon(1e-12));
    CHECK(hypervolume({{0.25, 2}, {1, 0.5}, {0.5, 1}}) == doctest::Approx(1.0).epsilon(1e-12));  // and 0.25 * 1
    CHECK(hypervolume({{1, 1}}) == 1);
    // Only what is better than the reference in both: the base model itself, less reward, less diversity than the worst.
    CHECK(hypervolume({{0, 1}, {-1, 2}, {2, -0.1}, {kNaN, 1}, {1, kNaN}}) == 0);
    CHECK(hypervolume({}) == 0);
  }

  TEST_CASE("the plane's units: the base model is at (0,1)") {
    const PlaneScale scale{2, 6, 1, 5};
    REQUIRE(scale.usable());
    CHECK(scale({2, 5}).reward == 0);
    CHECK(scale({2, 5}).diversity == 1);
    CHECK(scale({4, 4}).reward == 0.5);
    CHECK(scale({4, 4}).diversity == 0.75);
    CHECK_FALSE(PlaneScale{2, 2, 1, 5}.usable());
    CHECK_FALSE(PlaneScale{2, 6, 5, 5}.usable());
    CHECK_FALSE(PlaneScale{kNaN, 6, 1, 5}.usable());
  }

  TEST_CASE("diversity at a reward: straight lines along the Pareto set") {
    const Points points{{4, 2}, {0, 10}, {1, 3}, {2, 8}};  // (1,3) is dominated
    CHECK(diversity_at(points, 0) == 10);
    CHECK(diversity_at(points, 1) == doctest::Approx(9));
    CHECK(diversity_at(points, 2) == doctest::Approx(8));
    CHECK(diversity_at(points, 3) == doctest::Approx(5));
    CHECK(diversity_at(points, 3.5) == doctest::Approx(3.5));
    CHECK(diversity_at(points, 4) == 2);
    CHECK(diversity_at(points, -1) == 10);  // the front's first member offers that and more reward
    CHECK(std::isnan(diversity_at(points, 4.001)));
    CHECK(std::isnan(diversity_at(points, kNaN)));
    CHECK(std::isnan(diversity_at({}, 0)));
    CHECK(diversity_at({{0, 10}, {1, 11}, {2, 8}}, 0.5) == 11);  // a base model that is dominated
  }

  TEST_CASE("means over seeds, and differences paired by seed") {
    const Estimate e = estimate(std::vector<double>{1, kNaN, 3});  // s = sqrt 2, over sqrt 2; t of one degree of freedom
    CHECK(e.n == 2);
    CHECK(e.mean == 2);
    CHECK(e.half == doctest::Approx(12.7062));
    CHECK(e.low() == doctest::Approx(-10.7062));
    CHECK(e.high() == doctest::Approx(14.7062));
    CHECK(std::isnan(estimate(std::vector<double>{5}).half));
    CHECK(estimate(std::vector<double>{5}).mean == 5);
    CHECK(std::isnan(estimate(std::vector<double>{}).mean));
    const Estimate d = paired_difference({{1, 5}, {2, 7}, {3, kNaN}, {4, 100}}, {{1, 4}, {2, 3}, {3, 0}, {5, 0}});
    CHECK(d.n == 2);  // 5 - 4 and 7 - 3
    CHECK(d.mean == 2.5);
    CHECK(d.half == doctest::Approx(12.7062 * 1.5));
  }

  TEST_CASE("what intervals say about a claim") {
    CHECK(judge({{2, 1, 3}, {1, 1, 3}}) == Claim::kHolds);  // the second reaches down to 0
    CHECK(judge({{2, 1, 3}, {1, 1.1, 3}}) == Claim::kUnknown);
    CHECK(judge({{2, 1, 3}, {-2, 1, 3}}) == Claim::kFails);
    CHECK(judge({{-1, 1, 3}}) == Claim::kUnknown);  // up to 0: not below
    CHECK(judge({{2, kNaN, 1}}) == Claim::kUnknown);
    CHECK(judge({}) == Claim::kUnknown);
  }
}
