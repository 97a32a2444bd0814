// Moments, Fréchet and spectral distance.   SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"
#include "metrics/frechet.h"
#include "metrics/gram.h"
#include "metrics/moments.h"
#include "metrics/spectral.h"
#include "unit/metrics/synthetic.h"

using namespace plumb;
using namespace plumb::metrics;
using namespace plumb::metrics::test;

namespace {

Gaussian gaussian(const std::vector<double>& mean, const Tensor& covariance) {
  Gaussian g;
  g.mean = at::tensor(mean, at::kDouble);
  g.covariance = covariance;
  return g;
}

Exit exit_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.exit();
  }
  return Exit::kDone;
}

Tensor float64(const Tensor& x) { return x.to(at::kDouble); }

}  // namespace

TEST_SUITE("moments") {
  TEST_CASE("equal the two-pass mean and covariance, far from the origin too") {
    for (const double shift : {0.0, 100.0}) {
      const Tensor x = features(11, 3000, 40, shift);
      const Tensor y = float64(x), centred = y - y.mean(0);
      const Tensor want = at::mm(centred.t(), centred) / 2999.0;
      Moments moments(40);
      moments.add(x);
      CHECK(moments.count() == 3000);
      CHECK((moments.mean() - y.mean(0)).abs().max().item<double>() < 1e-8);
      CHECK((moments.covariance() - want).norm().item<double>() / want.norm().item<double>() < 5e-7);
      Moments exact(40);
      exact.add(y);
      CHECK((exact.covariance() - want).norm().item<double>() / want.norm().item<double>() < 1e-12);
    }
  }
  TEST_CASE("how rows are split over calls changes no bit") {
    const Tensor x = features(11, 2500, 16, 3);
    Moments whole(16), parts(16);
    whole.add(x);
    for (const Tensor& part : x.split(37)) parts.add(part);
    CHECK(whole.covariance().equal(parts.covariance()));
    CHECK(whole.mean().equal(parts.mean()));
  }
  TEST_CASE("the lower panels mirror to the whole product, over several panels") {
    const Tensor x = float64(features(5, 30, 1100));
    CHECK(at::allclose(gram(x), at::mm(x.t(), x), 1e-12, 1e-12));
    CHECK(at::allclose(gram(x, false), at::mm(x.t(), x), 1e-5, 1e-5));
  }
  TEST_CASE("refuse what has no covariance") {
    CHECK(exit_of([] { fit_gaussian(features(1, 1, 4)); }) == Exit::kBadNumbers);
    Tensor bad = features(1, 10, 4);
    bad[3][2] = std::nan("");
    CHECK(exit_of([&] { fit_gaussian(bad); }) == Exit::kBadNumbers);
    CHECK(exit_of([] { Moments(3).add(features(1, 10, 4)); }) == Exit::kBadInput);
  }
}

TEST_SUITE("frechet") {
  TEST_CASE("closed forms") {
    const Tensor eye = at::eye(3, at::kDouble);
    // Equal covariances, means 2 apart: 2² = 4.
    CHECK(frechet_distance(gaussian({0, 0, 0}, eye), gaussian({2, 0, 0}, eye)).value == doctest::Approx(4).epsilon(1e-12));
    // Diagonal covariances commute: Σ (√a - √b)² = (1-2)² + (2-3)² + (3-1)² = 6.
    const auto diagonal = [](std::vector<double> v) { return at::diag(at::tensor(v, at::kDouble)); };
    CHECK(frechet_distance(gaussian({0, 0, 0}, diagonal({1, 4, 9})), gaussian({0, 0, 0}, diagonal({4, 9, 1}))).value ==
          doctest::Approx(6).epsilon(1e-12));
    // 2 x 2: Tr √M = √(Tr M + 2 √det M) for M = S_a S_b, which do not commute here.
    const Tensor a = at::tensor({2.0, 1.0, 1.0, 3.0}, at::kDouble).view({2, 2});
    const Tensor b = at::tensor({5.0, -2.0, -2.0, 1.0}, at::kDouble).view({2, 2});
    const double want = 5 + 6 - 2 * std::sqrt(at::mm(a, b).trace().item<double>() + 2 * std::sqrt(5.0 * 1.0));
    CHECK(frechet_distance(gaussian({0, 0}, a), gaussian({0, 0}, b)).value == doctest::Approx(want).epsilon(1e-12));
  }
  TEST_CASE("equals pytorch-fid on the same features") {
    for (const io::Json& c : reference().at("frechet")) {
      const int64_t n = c["n"], m = c["m"], d = c["d"];
      FrechetOptions options;
      options.allow_rank_deficient = n <= d;
      const FrechetResult r = frechet_distance(fit_gaussian(features(11, n, d)),
                                               fit_gaussian(features(21, m, d, c["shift"].get<double>())), options);
      CAPTURE(c.dump());
      // Rank-deficient: the peer's own rounding is 1e-6 (square root of a singular product).
      CHECK(relative(r.value, c["value"]) < (n <= d ? 1e-5 : 1e-6));
      CHECK(r.path == (n <= d ? "low-rank" : "cholesky"));
      CHECK(r.rank == std::min(n - 1, d));
    }
  }
  TEST_CASE("invariances: order, common rotation and translation; scale by its square") {
    const Tensor x = float64(features(11, 300, 24)), y = float64(features(21, 400, 24, 0.25)), q = rotation(7, 24);
    const auto distance = [](const Tensor& a, const Tensor& b) { return frechet_distance(fit_gaussian(a), fit_gaussian(b)).value; };
    const double base = distance(x, y);
    CHECK(distance(y, x) == doctest::Approx(base).epsilon(1e-9));
    CHECK(distance(at::mm(x, q) + 3, at::mm(y, q) + 3) == doctest::Approx(base).epsilon(1e-9));
    CHECK(distance(3 * x, 3 * y) == doctest::Approx(9 * base).epsilon(1e-9));
    CHECK(distance(x, x) < 1e-10);
    CHECK(distance(x, x + 0.5) == doctest::Approx(24 * 0.25).epsilon(1e-9));
  }
  TEST_CASE("the low-rank form equals the full one, each side and both") {
    FrechetOptions allow;
    allow.allow_rank_deficient = true;
    const Gaussian few = fit_gaussian(float64(features(11, 20, 32))), many = fit_gaussian(float64(features(21, 90, 32)));
    const Gaussian other = fit_gaussian(float64(features(31, 30, 32)));
    const auto full = [](const Gaussian& g) {
      Gaussian f;
      f.mean = g.mean;
      f.covariance = g.full_covariance();
      return f;
    };
    for (const auto& [a, b] : {std::pair{few, many}, {many, few}, {few, other}}) {
      const FrechetResult low = frechet_distance(a, b, allow), eig = frechet_distance(full(a), full(b), allow);
      CHECK(low.path == "low-rank");
      CHECK(eig.path != "low-rank");
      CHECK(relative(low.value, eig.value) < 1e-6);
    }
  }
  TEST_CASE("several panels: a common linear map of commuting spreads has a closed form") {
    // S_a = Q diag(a) Qᵀ, S_b = Q diag(b) Qᵀ: Σ (√a - √b)², d = 300.
    const Tensor q = rotation(3, 300), a = uniform(4, 300, 1).squeeze(1) + 0.5, b = uniform(5, 300, 1).squeeze(1) + 0.5;
    const auto spread = [&](const Tensor& v) { return gaussian(std::vector<double>(300), at::mm(q * v, q.t())); };
    CHECK(frechet_distance(spread(a), spread(b)).value == doctest::Approx((a.sqrt() - b.sqrt()).square().sum().item<double>()).epsilon(1e-10));
  }
  TEST_CASE("a singular covariance takes the eigenvectors; constant columns are left out and cost nothing") {
    Tensor x = float64(features(11, 200, 12)), y = float64(features(21, 200, 12));
    x.select(1, 5).copy_(x.select(1, 4) * 2);  // rank 11, no constant column
    const Tensor zero = at::zeros({200, 12}, at::kDouble);
    Gaussian a = fit_gaussian(x), b = fit_gaussian(y);
    a.covariance = a.covariance - 1e-9 * at::eye(12, at::kDouble);  // surely not positive definite
    const FrechetResult r = frechet_distance(a, b);
    CHECK(r.path == "eigh");
    CHECK(r.rank == 11);
    // A collapsed set: the distance to a point is |Δmu|² + Tr S.
    const FrechetResult point = frechet_distance(fit_gaussian(zero), b);
    CHECK(point.value == doctest::Approx(b.mean.square().sum().item<double>() + b.trace()).epsilon(1e-12));
    const Tensor padded_x = at::cat({y * 2, zero}, 1), padded_y = at::cat({y, zero}, 1);
    const FrechetResult padded = frechet_distance(fit_gaussian(padded_x), fit_gaussian(padded_y));
    CHECK(padded.path == "cholesky");
    CHECK(padded.rank == 12);
    CHECK(padded.value == doctest::Approx(frechet_distance(fit_gaussian(y * 2), b).value).epsilon(1e-12));
  }
  TEST_CASE("more items than dimensions and yet singular, as of a model that collapsed: equals the distance from exact products") {
    const Tensor few = features(31, 30, 60, 5).repeat({10, 1});  // 300 items in 60 dimensions, of rank 29
    const Tensor many = features(32, 400, 60, 5);
    const Gaussian collapsed = fit_gaussian(few);
    CHECK((collapsed.covariance - fit_gaussian(float64(few)).covariance).abs().max().item<double>() < 1e-12);
    const Gaussian rows = [&] {  // the same covariance by its factor, from the 30 alone
      Gaussian g;
      const Tensor x = float64(few.slice(0, 0, 30));
      g.mean = x.mean(0);
      g.rows = (x - g.mean) * std::sqrt(10.0 / 299.0);
      g.n = 30;
      return g;
    }();
    const FrechetOptions allowed{.allow_rank_deficient = true};
    const FrechetResult want = frechet_distance(rows, fit_gaussian(float64(many)), allowed), got = frechet_distance(collapsed, fit_gaussian(many), allowed);
    CHECK(got.value == doctest::Approx(want.value).epsilon(1e-6));
    CHECK(got.rank == 29);
  }
  TEST_CASE("refuses too few items and unequal dimensions") {
    const Gaussian few = fit_gaussian(features(1, 16, 16)), many = fit_gaussian(features(2, 17, 16));
    CHECK(exit_of([&] { frechet_distance(few, many); }) == Exit::kBadNumbers);
    CHECK(exit_of([&] { frechet_distance(many, few); }) == Exit::kBadNumbers);
    CHECK(exit_of([&] { frechet_distance(many, many); }) == Exit::kDone);
    CHECK(exit_of([&] { frechet_distance(many, fit_gaussian(features(2, 17, 8))); }) == Exit::kBadInput);
  }
}

TEST_SUITE("spectral") {
  TEST_CASE("closed form, invariances, and a lower bound of the Frechet distance") {
    const auto diagonal = [](std::vector<double> v) { return at::diag(at::tensor(v, at::kDouble)); };
    // Sorted roots 1,2,3 and 1,2,5: only the last differs, by 2.
    CHECK(spectral_distance(gaussian({0, 0, 0}, diagonal({9, 1, 4})), gaussian({1, 2, 3}, diagonal({4, 25, 1}))).value ==
          doctest::Approx(2).epsilon(1e-12));
    const Tensor x = float64(features(11, 300, 24)), y = float64(features(21, 400, 24)), q = rotation(7, 24);
    const double base = spectral_distance(fit_gaussian(x), fit_gaussian(y)).value;
    CHECK(spectral_distance(fit_gaussian(at::mm(x, q) + 4), fit_gaussian(y)).value == doctest::Approx(base).epsilon(1e-9));
    CHECK(spectral_distance(fit_gaussian(x), fit_gaussian(x)).value == 0);
    const double mean_part = (x.mean(0) - y.mean(0)).square().sum().item<double>();
    CHECK(base * base <= frechet_distance(fit_gaussian(x), fit_gaussian(y)).value - mean_part + 1e-12);
    CHECK(spectral_distance(fit_gaussian(2 * x), fit_gaussian(x)).trace_ratio == doctest::Approx(4).epsilon(1e-9));
  }
  TEST_CASE("fewer items than dimensions: the missing eigenvalues are 0") {
    const Tensor x = float64(features(11, 10, 24)), y = float64(features(21, 300, 24));
    Gaussian a = fit_gaussian(x), full;
    full.mean = a.mean;
    full.covariance = a.full_covariance();
    CHECK(spectral_distance(a, fit_gaussian(y)).value == doctest::Approx(spectral_distance(full, fit_gaussian(y)).value).epsilon(1e-6));
  }
  TEST_CASE("refuses a reference without variance and unequal dimensions") {
    const Gaussian g = fit_gaussian(features(1, 30, 4));
    CHECK(exit_of([&] { spectral_distance(g, fit_gaussian(at::ones({30, 4}))); }) == Exit::kBadNumbers);
    CHECK(exit_of([&] { spectral_distance(g, fit_gaussian(features(1, 30, 5))); }) == Exit::kBadInput);
  }
}
