// Nearest neighbours, precision/recall/density/coverage, memorisation, pairwise.   SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"
#include "metrics/memorisation.h"
#include "metrics/nearest.h"
#include "metrics/pairwise.h"
#include "metrics/prdc.h"
#include "unit/metrics/synthetic.h"

using namespace plumb;
using namespace plumb::metrics;
using namespace plumb::metrics::test;

namespace {

Exit exit_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.exit();
  }
  return Exit::kDone;
}

/// All distances in float64 from differences [N,M].
Tensor brute(const Tensor& x, const Tensor& y) {
  return (x.to(at::kDouble).unsqueeze(1) - y.to(at::kDouble).unsqueeze(0)).square().sum(2).sqrt();
}

Tensor points(const std::vector<double>& line) { return at::tensor(line, at::kDouble).unsqueeze(1); }

}  // namespace

TEST_SUITE("nearest") {
  TEST_CASE("equal brute force over several blocks, far from the origin too") {
    for (const double shift : {0.0, 1000.0}) {
      const Tensor x = features(11, 1100, 6, shift), y = features(21, 1300, 6, shift);
      Tensor within = brute(x, x);
      within.fill_diagonal_(1e30);
      const Neighbours a = nearest_within(x, 5);
      CHECK((a.distance - std::get<0>(at::topk(within, 5, 1, false, true))).abs().max().item<double>() < 1e-12);
      CHECK((within.gather(1, a.index) - a.distance).abs().max().item<double>() < 1e-12);
      const Neighbours b = nearest_between(x, y, 3);
      CHECK((b.distance - std::get<0>(at::topk(brute(x, y), 3, 1, false, true))).abs().max().item<double>() < 1e-12);
    }
  }
  TEST_CASE("ties beyond the candidates: many items at nearly one distance") {
    // 60 items on a circle around the query, at radii that differ by 1e-12: float32 cannot order them.
    const Tensor angle = at::arange(60, at::kDouble) * 0.1;
    const Tensor radius = 1 + (at::arange(60, at::kDouble) * 17).remainder(60) * 1e-12;
    const Tensor ring = at::stack({angle.cos() * radius, angle.sin() * radius}, 1);
    const Neighbours found = nearest_between(at::zeros({1, 2}, at::kDouble), ring, 2);
    CHECK(found.index[0][0].item<int64_t>() == 0);
    CHECK(found.index[0][1].item<int64_t>() == 53);  // 17 * 53 = 901 = 15 * 60 + 1
  }
  TEST_CASE("a query set that is the point set finds itself at 0; within leaves itself out") {
    const Tensor x = features(11, 50, 4);
    CHECK(nearest_between(x, x, 1).distance.abs().max().item<double>() == 0);
    CHECK(nearest_within(x, 1).distance.min().item<double>() > 0);
    CHECK(exit_of([&] { nearest_within(x, 50); }) == Exit::kBadNumbers);
    CHECK(exit_of([&] { nearest_between(x, features(1, 5, 3), 1); }) == Exit::kBadInput);
    for (const Tensor& large : {x * 1e30, (x * 1e30).to(at::kDouble), x * 3e19}) {
      CHECK(exit_of([&] { nearest_within(large, 1); }) == Exit::kBadNumbers);
      CHECK(exit_of([&] { prdc(large, large); }) == Exit::kBadNumbers);
      CHECK(exit_of([&] { memorisation(large, large); }) == Exit::kBadNumbers);
      CHECK(exit_of([&] { pairwise(large); }) == Exit::kBadNumbers);
    }
    CHECK(relative(nearest_within(x * 1e18, 1).distance.mean().item<double>(), 1e18 * nearest_within(x, 1).distance.mean().item<double>()) < 1e-6);
  }
}

TEST_SUITE("prdc") {
  TEST_CASE("equals the prdc package") {
    for (const io::Json& c : reference().at("prdc")) {
      const Tensor x = features(11, c["n"], c["d"]), y = features(21, c["m"], c["d"], c["shift"].get<double>());
      PrdcOptions options;
      options.precision_k = options.density_k = c["k"];
      const PrdcResult r = prdc(x, y, options);
      CAPTURE(c.dump());
      CHECK(std::abs(r.precision - c["precision"].get<double>()) < 1e-8);
      CHECK(std::abs(r.recall - c["recall"].get<double>()) < 1e-8);
      CHECK(std::abs(r.density - c["density"].get<double>()) < 1e-8);
      CHECK(std::abs(r.coverage - c["coverage"].get<double>()) < 1e-8);
    }
  }
  TEST_CASE("each pair of measures has its own k") {
    const Tensor x = features(11, 600, 32), y = features(21, 700, 32, 0.0625);
    const PrdcResult r = prdc(x, y);  // 3 and 5
    CHECK(r.precision == doctest::Approx(reference().at("prdc")[0]["precision"].get<double>()).epsilon(1e-9));
    CHECK(r.recall == doctest::Approx(reference().at("prdc")[0]["recall"].get<double>()).epsilon(1e-9));
    CHECK(r.density == doctest::Approx(reference().at("prdc")[1]["density"].get<double>()).epsilon(1e-9));
    CHECK(r.coverage == doctest::Approx(reference().at("prdc")[1]["coverage"].get<double>()).epsilon(1e-9));
  }
  TEST_CASE("by hand on a line") {
    // k = 1: reference radii 1,1,1,7; sample radii 0.25,0.25,80.
    PrdcOptions options;
    options.precision_k = options.density_k = 1;
    const PrdcResult r = prdc(points({0.25, 0.5, 80.5}), points({0, 1, 2, 9}), options);
    CHECK(r.precision == doctest::Approx(2.0 / 3));   // 80.5 is outside all
    CHECK(r.recall == 1);                             // the ball of 80.5 holds 1, 2 and 9; 0 lies on the edge of that of 0.25
    CHECK(r.density == doctest::Approx(4.0 / 3));     // 0.25 and 0.5 each in the balls of 0 and 1
    CHECK(r.coverage == doctest::Approx(2.0 / 4));
  }
  TEST_CASE("too few items: the number of neighbours that binds is named") {
    const auto said = [](int64_t n, int64_t m, const PrdcOptions& options) -> std::string {
      try {
        prdc(features(1, n, 3), features(2, m, 3), options);
      } catch (const Error& e) {
        return e.what();
      }
      return "";
    };
    CHECK(said(3, 20, {}) == "prdc: samples: 3 items for 3 neighbours: give more, or lower --prdc.precision-k");
    CHECK(said(9, 5, {}) == "prdc: reference: 5 items for 5 neighbours: give more, or lower --prdc.density-k");
    CHECK(said(9, 3, {}) == "prdc: reference: 3 items for 5 neighbours: give more, or lower --prdc.precision-k and --prdc.density-k");
    CHECK(said(9, 6, {.precision_k = 7}) == "prdc: reference: 6 items for 7 neighbours: give more, or lower --prdc.precision-k");
  }
  TEST_CASE("a hair inside a ball, a hair outside: float64 decides") {
    PrdcOptions options;
    options.precision_k = options.density_k = 1;
    const Tensor reference_set = points({0, 1, 2, 3});  // radii 1
    for (const double hair : {1e-9, -1e-9}) {
      const PrdcResult r = prdc(points({-1 + hair, 4 - hair, 10, 20}), reference_set, options);
      CHECK(r.precision == (hair > 0 ? 0.5 : 0));
      CHECK(r.density == (hair > 0 ? 0.5 : 0));
      CHECK(r.coverage == (hair > 0 ? 0.5 : 0));
    }
    // Sample radii 5, from (-1, 4); 9 is a hair inside and outside of that of 4.
    for (const double hair : {1e-9, -1e-9}) {
      CHECK(prdc(points({-1, 4, 30, 40}), points({9 - hair, 100, 200}), options).recall == doctest::Approx(hair > 0 ? 1.0 / 3 : 0));
    }
  }
  TEST_CASE("equals brute force over several blocks, each block with pairs at a radius") {
    const Tensor x = features(11, 1100, 3), y = at::cat({features(21, 1200, 3), x.slice(0, 0, 50)});
    Tensor xx = brute(x, x), yy = brute(y, y);
    const Tensor xy = brute(x, y);
    xx.fill_diagonal_(1e30);
    yy.fill_diagonal_(1e30);
    const auto radius = [](const Tensor& d, int64_t k) { return std::get<0>(at::topk(d, k, 1, false, true)).select(1, k - 1); };
    const auto share = [](const Tensor& hit) { return hit.to(at::kDouble).mean().item<double>(); };
    const Tensor dense = xy < radius(yy, 5);
    const PrdcResult r = prdc(x, y);
    CHECK(r.precision == share((xy <= radius(yy, 3)).any(1)));
    CHECK(r.recall == share((xy <= radius(xx, 3).unsqueeze(1)).any(0)));
    CHECK(r.coverage == share(dense.any(0)));
    CHECK(r.density == doctest::Approx(dense.sum().item<double>() / 5 / 1100).epsilon(1e-12));
    CHECK(r.density_deviation == doctest::Approx(dense.sum(1).to(at::kDouble).std(0, true).item<double>() / 5).epsilon(1e-12));
  }
  TEST_CASE("identical sets give 1, distant sets 0, exactly: the radius itself is outside for density") {
    const Tensor x = features(11, 200, 8);
    const PrdcResult same = prdc(x, x.clone());
    CHECK(same.precision == 1);
    CHECK(same.recall == 1);
    CHECK(same.density == doctest::Approx(1).epsilon(1e-12));  // k of k: itself and k - 1 inside
    CHECK(same.coverage == 1);
    const PrdcResult far = prdc(x, x + 1000);
    CHECK(far.precision + far.recall + far.density + far.coverage == 0);
    CHECK(prdc(x, x).density == doctest::Approx(1).epsilon(1e-12));
  }
  TEST_CASE("copies: balls of no size hold the copies of their centre") {
    const Tensor x = features(11, 20, 8), copies = x.repeat({6, 1});  // each item six times, k = 3 and 5
    const PrdcResult same = prdc(copies, copies.clone()), one = prdc(x.slice(0, 0, 10).repeat({6, 1}), copies);
    CHECK(same.precision == 1);
    CHECK(same.recall == 1);
    CHECK(same.coverage == 1);
    CHECK(same.density == doctest::Approx(6.0 / 5).epsilon(1e-12));
    CHECK(one.precision == 1);
    CHECK(one.recall == 0.5);
    CHECK(one.coverage == 0.5);
  }
  TEST_CASE("ties at the edge, as letters have them: inside for precision and recall, outside for density and coverage") {
    const Tensor corners = at::tensor({0, 0, 0, 1, 1, 0, 1, 1}, at::kDouble).view({4, 2});  // a square: two neighbours at 1, one at the root of 2
    PrdcOptions options;
    options.precision_k = options.density_k = 1;  // all radii are 1
    const PrdcResult r = prdc(corners.slice(0, 0, 3), corners.slice(0, 1, 4), options);
    CHECK(r.precision == 1);
    CHECK(r.recall == 1);
    CHECK(r.density == doctest::Approx(2.0 / 3));   // the two that are on both sides, each in its own ball
    CHECK(r.coverage == doctest::Approx(2.0 / 3));
  }
  TEST_CASE("refuses fewer items than neighbours") {
    CHECK(exit_of([] { prdc(features(1, 3, 2), features(2, 50, 2)); }) == Exit::kBadNumbers);
    CHECK(exit_of([] { prdc(features(1, 50, 2), features(2, 5, 2)); }) == Exit::kBadNumbers);
    CHECK(exit_of([] { prdc(features(1, 4, 2), features(2, 6, 2)); }) == Exit::kDone);
  }
}

TEST_SUITE("memorisation") {
  TEST_CASE("by hand on a line") {
    MemorisationOptions options;
    options.list = 2;
    // Nearest and second nearest: 0,1 (copy); 0.1,0.9 (ratio 1/9); 0.5,0.5; 97,98.
    const MemorisationResult r = memorisation(points({1, 2.1, 0.5, 100}), points({0, 1, 2, 3}), options);
    CHECK(r.exact_duplicates == doctest::Approx(0.25));
    CHECK(r.near_duplicates == doctest::Approx(0.5));
    CHECK(r.mean == doctest::Approx((0 + 0.1 + 0.5 + 97) / 4));
    REQUIRE(r.nearest.size() == 2);
    CHECK(r.nearest[0].sample == 0);
    CHECK(r.nearest[0].reference == 1);
    CHECK(r.nearest[1].sample == 1);
    CHECK(r.nearest[1].reference == 2);
    CHECK(r.nearest[1].ratio == doctest::Approx(1.0 / 9));
    CHECK(r.quantiles.front().second == 0);
    CHECK(r.quantiles.back().second == doctest::Approx(97));
  }
  TEST_CASE("a training set that holds each item twice still shows copies") {
    const Tensor train = features(11, 20, 4);
    const MemorisationResult r = memorisation(train.slice(0, 0, 5), at::cat({train, train}));
    CHECK(r.exact_duplicates == 1);
    CHECK(r.near_duplicates == 1);
    CHECK(exit_of([&] { memorisation(train, train.slice(0, 0, 1)); }) == Exit::kBadNumbers);
  }
}

TEST_SUITE("pairwise") {
  TEST_CASE("three points by hand") {
    // (3,0), (0,4), (3,4): distances 5, 4, 3; cosines 0, 3/5, 4/5.
    const PairwiseResult r = pairwise(at::tensor({3.0, 0.0, 0.0, 4.0, 3.0, 4.0}, at::kDouble).view({3, 2}));
    CHECK(r.euclidean.mean == doctest::Approx(4).epsilon(1e-6));
    CHECK(r.euclidean.minimum == doctest::Approx(3).epsilon(1e-14));
    CHECK(r.euclidean.nearest == std::pair<int64_t, int64_t>{1, 2});
    CHECK(r.cosine.mean == doctest::Approx((1 + 0.4 + 0.2) / 3).epsilon(1e-12));
    CHECK(r.cosine.minimum == doctest::Approx(0.2).epsilon(1e-12));
    CHECK(r.cosine.nearest == std::pair<int64_t, int64_t>{1, 2});
  }
  TEST_CASE("equals brute force over blocks, with the jackknife's standard error") {
    const Tensor x = features(11, 1200, 5);
    const Tensor all = brute(x, x);
    const PairwiseResult r = pairwise(x);
    CHECK(relative(r.euclidean.mean, all.sum().item<double>() / (1200.0 * 1199)) < 1e-6);
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < 1200; ++i) {
      const double without = (all.sum() - 2 * all[i].sum()).item<double>() / (1199.0 * 1198);
      mean += without / 1200;
      squares += without * without / 1200;
    }
    CHECK(relative(r.euclidean.standard_error, std::sqrt(1199 * (squares - mean * mean))) < 1e-3);
  }
  TEST_CASE("the nearest pairs, wherever their blocks are; far from the origin too") {
    for (const double shift : {0.0, 100.0}) {
      Tensor x = features(11, 2300, 6, shift).to(at::kDouble);
      x[2200].copy_(x[30] + 1e-7);       // nearest, by far
      x[1500].copy_(x[40] * (1 + 1e-4)); // nearly one direction, some way apart
      const PairwiseResult r = pairwise(x);
      CHECK(r.euclidean.nearest == std::pair<int64_t, int64_t>{30, 2200});
      CHECK(r.euclidean.minimum == doctest::Approx(std::sqrt(6.0) * 1e-7).epsilon(1e-6));
      const Tensor u = x / x.square().sum(1, true).sqrt();
      Tensor cosine = brute(u, u).square() / 2;
      cosine.fill_diagonal_(1e30);
      CHECK(r.cosine.minimum == doctest::Approx(cosine.min().item<double>()).epsilon(1e-9));
      CHECK(r.cosine.nearest == std::pair<int64_t, int64_t>{40, 1500});
    }
  }
  TEST_CASE("pairs that float32 cannot order: float64 decides among all of them") {
    // The origin and 30 points on axes, 1 and a hair from it, √2 from each other.
    const Tensor hair = (at::arange(30, at::kDouble) * 17).remainder(30) * 1e-10;
    const PairwiseResult r = pairwise(at::cat({at::zeros({1, 30}, at::kDouble), at::diag(1 + hair.roll(7, 0))}));
    CHECK(r.euclidean.nearest == std::pair<int64_t, int64_t>{0, 8});
    CHECK(r.euclidean.minimum == 1);
  }
  TEST_CASE("items without direction: 1 from all others, alike among themselves") {
    Tensor x = at::eye(5, at::kDouble);
    x[2].zero_();
    CHECK(pairwise(x).cosine.minimum == doctest::Approx(1).epsilon(1e-12));
    CHECK(pairwise(x).cosine.mean == doctest::Approx(1).epsilon(1e-12));
    x[4].zero_();
    CHECK(pairwise(x).cosine.minimum == 0);
    CHECK(pairwise(x).cosine.nearest == std::pair<int64_t, int64_t>{2, 4});
    CHECK(pairwise(x).cosine.mean == doctest::Approx(0.9).epsilon(1e-12));  // 9 of 10 pairs
  }
  TEST_CASE("equal items have distance 0 exactly") {
    const PairwiseResult r = pairwise(features(11, 1, 7).expand({5, 7}).contiguous());
    CHECK(r.cosine.minimum == 0);
    CHECK(r.euclidean.minimum == 0);
    CHECK(r.cosine.mean == doctest::Approx(0).epsilon(1e-12));
    CHECK(exit_of([] { pairwise(features(1, 1, 3)); }) == Exit::kBadNumbers);
  }
}
