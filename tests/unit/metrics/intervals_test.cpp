// Standard errors and intervals: the parts, and each metric's against the spread of fresh samples.   SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>

#include "metrics/bootstrap.h"
#include "metrics/frechet.h"
#include "metrics/inception_score.h"
#include "metrics/kernel_distance.h"
#include "metrics/memorisation.h"
#include "metrics/pairwise.h"
#include "metrics/prdc.h"
#include "metrics/registry.h"
#include "metrics/spectral.h"
#include "metrics/vendi.h"
#include "unit/metrics/synthetic.h"

using namespace plumb;
using namespace plumb::metrics;
using namespace plumb::metrics::test;

namespace {

/// Spread of `value` over fresh samples, seeds 1000, 1002, ...
template <typename Value>
double spread(int count, Value value) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i) values.push_back(value(static_cast<uint64_t>(1000 + 4 * i)));
  return at::tensor(values, at::kDouble).std(0, true).item<double>();
}

/// Mean of `value` over a few of them: one estimate of an error is itself uncertain.
template <typename Value>
double mean_of(int count, Value value) {
  double sum = 0;
  for (int i = 0; i < count; ++i) sum += value(static_cast<uint64_t>(1000 + 4 * i));
  return sum / count;
}

/// The fit with weight 1 - t of the items of `g` and t of one item x: exact moments (divisor N).
Gaussian moved(const Gaussian& g, const Tensor& x, double t) {
  const Tensor c = x - g.mean;
  Gaussian out;
  out.n = g.n;
  out.mean = g.mean + t * c;
  out.covariance = (1 - t) * g.covariance + t * (1 - t) * at::outer(c, c);
  return out;
}

/// Largest relative difference between the slopes of `distance` along the first rows and `influence`, both less their value at row 0.
template <typename Distance>
double slope_error(const Tensor& rows, const Tensor& influence, const Distance& distance) {
  constexpr double kStep = 1e-5;
  std::vector<double> slopes;
  for (int64_t i = 0; i < 6; ++i) slopes.push_back((distance(rows[i], kStep) - distance(rows[i], -kStep)) / (2 * kStep));
  const Tensor slope = at::tensor(slopes, at::kDouble), wanted = influence.slice(0, 0, 6);
  return ((slope - slope[0]) - (wanted - wanted[0])).abs().max().item<double>() / wanted.std(0, true).item<double>();
}

Tensor float64(const Tensor& x) { return x.to(at::kDouble); }

}  // namespace

TEST_SUITE("intervals") {
  TEST_CASE("of a share: Wilson's by hand, with a width at 0 and 1") {
    // n = 10, share 0: centre z²/(2n) / (1 + z²/n) and half the same, so 0 to z²/(n + z²) = 3.8415/13.8415.
    const Interval none = share_interval(0, 10), half = share_interval(0.5, 100), all = share_interval(1, 10);
    CHECK(none.standard_error == 0);
    CHECK(none.low == 0);
    CHECK(none.high == doctest::Approx(3.841458820694124 / 13.841458820694124).epsilon(1e-12));
    CHECK(all.low == doctest::Approx(1 - none.high).epsilon(1e-12));
    for (int64_t n = 1; n <= 300; ++n) {  // exactly: 0 of 300 once gave a low end of 9e-19
      CHECK(share_interval(0, n).low == 0);
      CHECK(share_interval(1, n).high == 1);
    }
    CHECK(half.standard_error == doctest::Approx(0.05).epsilon(1e-12));
    CHECK(half.low == doctest::Approx(0.4038315).epsilon(1e-6));  // the value of published tables
    CHECK(half.high == doctest::Approx(0.5961685).epsilon(1e-6));
  }
  TEST_CASE("keys: beside value, and by name where an object has several numbers") {
    io::Json json{{"value", 2}};
    add_interval(json, normal_interval(2, 0.5));
    add_interval(json, "other", normal_interval(1, 0));
    CHECK(json["stderr"] == 0.5);
    CHECK(json["high"].get<double>() == doctest::Approx(2 + 0.9799819922700268));
    CHECK(json["intervals"]["other"] == io::Json{{"stderr", 0.0}, {"low", 1.0}, {"high", 1.0}});
  }
  TEST_CASE("the infinitesimal jackknife of a mean is s²/n, a constant changes nothing") {
    const Tensor x = uniform(11, 300, 1).squeeze(1);
    CHECK(influence_variance(x + 7, 300) == doctest::Approx(x.var(0, true).item<double>() / 300).epsilon(1e-12));
    CHECK(influence_variance(x.slice(0, 0, 1), 300) == 0);
    // Some of the items stand for all.
    const Tensor many = uniform(12, 40000, 1).squeeze(1), some = influence_items(40000, 3);
    CHECK(some.size(0) == 10000);
    CHECK(relative(influence_variance(many.index_select(0, some), 40000), influence_variance(many, 40000)) < 0.05);
  }
  TEST_CASE("drawn rows: distinct, ascending, by seed and purpose") {
    const Tensor a = draw_rows(50, 20, 7, 2);
    CHECK(a.size(0) == 20);
    CHECK((a.slice(0, 1) > a.slice(0, 0, 19)).all().item<bool>());
    CHECK(a.equal(draw_rows(50, 20, 7, 2)));
    CHECK_FALSE(a.equal(draw_rows(50, 20, 8, 2)));
    CHECK_FALSE(a.equal(draw_rows(50, 20, 7, 3)));
    CHECK(draw_rows(5, 20, 7, 2).equal(at::arange(5, at::kLong)));
  }
}

TEST_SUITE("interval of") {
  TEST_CASE("fid: the influences are the slopes of the distance, on both sides; constant columns too") {
    const Tensor zero = at::zeros({300, 1}, at::kDouble);
    const Tensor x = at::cat({float64(features(11, 300, 8)), zero}, 1), y = at::cat({float64(features(21, 300, 8)) * 1.5 + 0.25, zero}, 1);
    const Gaussian a = fit_gaussian(x), b = fit_gaussian(y);
    const auto influence = frechet_influence(a, b, x, y);
    REQUIRE(influence);
    CHECK(slope_error(x, influence->of_a, [&](const Tensor& row, double t) { return frechet_distance(moved(a, row, t), b).value; }) < 1e-6);
    CHECK(slope_error(y, influence->of_b, [&](const Tensor& row, double t) { return frechet_distance(a, moved(b, row, t)).value; }) < 1e-6);
    CHECK_FALSE(frechet_influence(fit_gaussian(x.slice(0, 0, 9)), b, x, y));  // N <= d
    Gaussian singular = a;
    singular.covariance = a.covariance.clone();
    singular.covariance.select(0, 1).copy_(singular.covariance.select(0, 0));
    singular.covariance.select(1, 1).copy_(singular.covariance.select(1, 0));
    CHECK_FALSE(frechet_influence(b, singular, y, x));
  }
  TEST_CASE("fid: of items that are all the same, without an interval") {
    const Tensor y = features(9, 200, 4), x = at::full({200, 4}, 2.0, y.options());
    const Gaussian a = fit_gaussian(x), b = fit_gaussian(y);
    const FrechetResult found = frechet_distance(a, b, {}, {x}, {y});
    CHECK(found.value == doctest::Approx((a.mean - b.mean).square().sum().item<double>() + b.trace()));
    CHECK_FALSE(found.interval.has_value());
  }

  TEST_CASE("fid: its error is the spread over fresh samples; of one side if the other's items are not known") {
    const auto distance = [](uint64_t seed, bool both) {
      const Tensor x = features(seed, 400, 6), y = features(seed + 2, 300, 6, 0.25) * 1.25;
      return frechet_distance(fit_gaussian(x), fit_gaussian(y), {}, {x}, both ? FittedItems{y} : FittedItems{});
    };
    const double error = mean_of(8, [&](uint64_t seed) { return distance(seed, true).interval->standard_error; });
    CHECK(relative(error, spread(150, [&](uint64_t seed) { return distance(seed, true).value; })) < 0.2);
    CHECK(distance(1, false).interval->standard_error < 0.9 * distance(1, true).interval->standard_error);
    CHECK(distance(1, true).interval->low < distance(1, true).value);
  }
  TEST_CASE("spectral: the influences are the slopes, on both sides; none for N <= d or a distance of 0") {
    const Tensor x = float64(features(11, 300, 8)), y = float64(features(21, 300, 8)) * 1.5;
    const Gaussian a = fit_gaussian(x), b = fit_gaussian(y);
    const double value = spectral_distance(a, b).value;
    CHECK(slope_error(x, spectral_influence(a, b, value, x), [&](const Tensor& row, double t) { return spectral_distance(moved(a, row, t), b).value; }) < 1e-6);
    CHECK(slope_error(y, spectral_influence(b, a, value, y), [&](const Tensor& row, double t) { return spectral_distance(a, moved(b, row, t)).value; }) < 1e-6);
    CHECK_FALSE(spectral_distance(fit_gaussian(x.slice(0, 0, 8)), b, {x.slice(0, 0, 8)}, {y}).interval);
    CHECK_FALSE(spectral_distance(a, a, {x}, {x}).interval);
    const auto distance = [](uint64_t seed) {
      const Tensor v = features(seed, 400, 6), w = features(seed + 2, 300, 6) * 1.25;
      return spectral_distance(fit_gaussian(v), fit_gaussian(w), {v}, {w});
    };
    const double error = mean_of(8, [&](uint64_t seed) { return distance(seed).interval->standard_error; });
    CHECK(relative(error, spread(150, [&](uint64_t seed) { return distance(seed).value; })) < 0.2);
    const double ratio = mean_of(8, [&](uint64_t seed) { return distance(seed).trace_ratio_interval->standard_error; });
    CHECK(relative(ratio, spread(150, [&](uint64_t seed) { return distance(seed).trace_ratio; })) < 0.2);
  }
  TEST_CASE("vendi: the gradient is the slope of the score along each eigenvalue, less what all have in common") {
    const Tensor values = at::tensor({0.5, 0.25, 0.15, 0.1, 0.0}, at::kDouble);
    for (const double order : {0.5, 1.0, 2.0, HUGE_VAL}) {
      const Tensor gradient = vendi_gradient(values, order);
      const auto along = [&](int64_t j, double t) {  // weight t of an item on eigenvector j
        Tensor there = values * (1 - t);
        there[j] += t;
        return vendi_of_spectrum(there, order);
      };
      for (int64_t j = 0; j < 4; ++j) {
        const double slope = (along(j, 1e-6) - along(j, -1e-6)) / 2e-6, wanted = gradient[j].item<double>() - (gradient * values).sum().item<double>();
        CAPTURE(order);
        CHECK(slope == doctest::Approx(wanted).epsilon(1e-5));
      }
      CHECK(gradient[4].item<double>() == 0);
    }
  }
  TEST_CASE("vendi: jackknife and bootstrap agree where both can be had; which is used by default") {
    // The rbf kernel of 1300 items costs more than 2^34 operations.
    const Tensor x = features(11, 1300, 24, 0.3);
    VendiOptions options;
    options.orders = {"1", "2", "inf"};
    const VendiResult jackknife = vendi(x, "rbf", options);
    CHECK(jackknife.interval == "infinitesimal jackknife");
    CHECK(jackknife.bootstrap == 0);
    options.bootstrap = 30;
    options.bootstrap_chosen = true;
    const VendiResult bootstrap = vendi(x, "rbf", options);
    CHECK(bootstrap.interval == "bootstrap");
    for (size_t q = 0; q < 3; ++q) {
      CHECK(jackknife.scores[q].value == doctest::Approx(bootstrap.scores[q].value).epsilon(1e-9));
      CHECK(relative(jackknife.scores[q].interval->standard_error, bootstrap.scores[q].interval->standard_error) < 0.4);
    }
    CHECK(vendi(x, "cosine").interval == "bootstrap");  // costs little
    // Both sides of one spectrum say the same: fewer dimensions than items, and more by columns of zeros.
    const Tensor narrow = features(31, 1250, 1240, 0.3), wide = at::cat({narrow, at::zeros({1250, 20})}, 1);
    options.bootstrap_chosen = false;
    const VendiResult on_features = vendi(narrow, "cosine", options), on_items = vendi(wide, "cosine", options);
    CHECK(on_features.side == "features");
    CHECK(on_items.side == "items");
    for (size_t q = 0; q < 3; ++q) {
      CHECK(relative(on_features.scores[q].value, on_items.scores[q].value) < 1e-7);
      CHECK(relative(on_features.scores[q].interval->standard_error, on_items.scores[q].interval->standard_error) < 1e-6);
    }
    options.bootstrap = 0;
    CHECK_FALSE(vendi(x, "cosine", options).scores[0].interval);
  }
  TEST_CASE("vendi: the jackknife's error is the spread over fresh samples") {
    // On the side of the items, forced by dimensions above N; of the features by the test above through the same formula.
    VendiOptions options;
    options.orders = {"1"};
    const auto score = [&](uint64_t seed, bool interval) {
      options.bootstrap = interval ? 100 : 0;
      const Tensor own = features(seed, 1300, 6), x = at::cat({own, at::zeros({1300, 1400})}, 1);
      return vendi(x, "cosine", options).scores[0];
    };
    options.bootstrap = 0;
    const double fresh = spread(150, [&](uint64_t seed) { return vendi(features(seed, 1300, 6), "cosine", options).scores[0].value; });
    const VendiScore one = score(1000, true);
    CHECK(relative(one.interval->standard_error, fresh) < 0.3);
  }
  TEST_CASE("inception score: each item left out in turn") {
    const Tensor p = (features(31, 40, 5).to(at::kDouble) * 8).softmax(1);
    InceptionScoreOptions one;
    one.splits = 1;
    std::vector<double> without;
    for (int64_t i = 0; i < 40; ++i) without.push_back(inception_score(at::cat({p.slice(0, 0, i), p.slice(0, i + 1)}), one).value);
    CHECK(relative(inception_score(p, one).standard_error, std::sqrt(jackknife_variance(at::tensor(without, at::kDouble)))) < 1e-9);
    CHECK(inception_score(at::eye(4, at::kDouble).repeat({10, 1}).slice(0, 0, 1), one).standard_error == 0);
  }
  TEST_CASE("precision, recall, density and coverage: the spread over fresh samples where the balls are given") {
    // Precision and density with the reference as it is, recall with the samples as they are.
    const Tensor reference_set = features(5, 500, 6), sample_set = features(7, 150, 6, 0.0625);
    const auto of_samples = [&](uint64_t seed) { return prdc(features(seed, 150, 6, 0.0625), reference_set); };
    const auto of_reference = [&](uint64_t seed) { return prdc(sample_set, features(seed, 500, 6)); };
    const double precision = mean_of(8, [&](uint64_t s) { return of_samples(s).precision_interval().standard_error; });
    CHECK(relative(precision, spread(100, [&](uint64_t s) { return of_samples(s).precision; })) < 0.25);
    const double density = mean_of(8, [&](uint64_t s) { return of_samples(s).density_interval().standard_error; });
    CHECK(relative(density, spread(100, [&](uint64_t s) { return of_samples(s).density; })) < 0.3);
    const double recall = mean_of(8, [&](uint64_t s) { return of_reference(s).recall_interval().standard_error; });
    CHECK(relative(recall, spread(100, [&](uint64_t s) { return of_reference(s).recall; })) < 0.3);
    const io::Json json = of_samples(1).to_json();
    for (const char* name : {"precision", "recall", "density", "coverage"}) {
      CHECK(json["intervals"][name]["low"] <= json[name]);
      CHECK(json["intervals"][name]["high"] >= json[name]);
    }
  }
  TEST_CASE("pairwise: the spread over fresh samples, and its keys") {
    const auto mean = [](uint64_t seed) { return pairwise(features(seed, 300, 6)).euclidean; };
    const double error = mean_of(8, [&](uint64_t s) { return mean(s).standard_error; });
    CHECK(relative(error, spread(150, [&](uint64_t s) { return mean(s).mean; })) < 0.2);
    const io::Json json = pairwise(features(1, 30, 4)).to_json();
    CHECK(json["low"] == json["cosine"]["low"]);
    CHECK(json["euclidean"]["high"].get<double>() > json["euclidean"]["mean"].get<double>());
  }
  TEST_CASE("none of 2 items, nor of a mean over classes with such a one") {
    const Tensor two = features(1, 2, 4), five = features(3, 5, 4);
    const io::Json pair = pairwise(two).to_json();
    for (const io::Json& part : {pair, pair["cosine"], pair["euclidean"]}) {
      CHECK_FALSE(part.contains("stderr"));
      CHECK_FALSE(part.contains("low"));
    }
    CHECK(pairwise(five).to_json().contains("stderr"));
    const auto metric = [](const std::string& name, const Tensor& label) {
      const Sequences letters{uniform(7, label.size(0), 6).mul(4).to(at::kByte).contiguous(), "ACGT"};
      const Features samples{features(1, label.size(0), 4), {}, label, "raw", "", "none"};
      MetricInput in{samples};
      in.sequences = &letters;
      return evaluate_metrics({name}, true, in, {})[name];
    };
    for (const char* name : {"pairwise", "sequences"}) {
      CAPTURE(name);
      const io::Json of_two = metric(name, at::tensor({0, 0}, at::kLong));
      CHECK_FALSE(of_two.contains("stderr"));
      CHECK_FALSE(of_two["per_class"]["0"].contains("stderr"));
      const io::Json uneven = metric(name, at::tensor({0, 0, 0, 1, 1}, at::kLong)), even = metric(name, at::tensor({0, 0, 0, 1, 1, 1}, at::kLong));
      CHECK(uneven.contains("stderr"));
      CHECK(uneven["per_class"]["0"].contains("stderr"));
      CHECK_FALSE(uneven["per_class"]["1"].contains("stderr"));
      CHECK(uneven.contains("class_mean"));
      CHECK_FALSE((uneven.contains("intervals") && uneven["intervals"].contains("class_mean")));
      CHECK(even["intervals"].contains("class_mean"));
    }
    CHECK_FALSE(inception_score(at::eye(2, at::kDouble), {.splits = 1}).to_json().contains("stderr"));
    CHECK(inception_score(at::eye(3, at::kDouble), {.splits = 1}).to_json().contains("stderr"));
  }
  TEST_CASE("spectral: none of samples that are all the same") {
    const Tensor same = at::full({40, 3}, 0.1F), other = features(21, 60, 3);
    const SpectralResult r = spectral_distance(fit_gaussian(same), fit_gaussian(other), {same}, {other});
    CHECK(r.trace_ratio == 0);
    CHECK(r.value > 0);
    CHECK_FALSE(r.interval);
    CHECK_FALSE(r.trace_ratio_interval);
  }
  TEST_CASE("memorisation: a share's; the mean distance's is sd/√n") {
    const Tensor train = features(11, 100, 4);
    const io::Json json = memorisation(at::cat({train.slice(0, 0, 5), features(3, 15, 4, 1)}), train).to_json();
    CHECK(json["value"].get<double>() == doctest::Approx(0.25));
    CHECK(json["stderr"].get<double>() == doctest::Approx(std::sqrt(0.25 * 0.75 / 20)));
    CHECK(json["high"].get<double>() == doctest::Approx(share_interval(0.25, 20).high));
    CHECK(json["intervals"]["mean_distance"]["stderr"].get<double>() > 0);
  }
  TEST_CASE("a mean over classes: independent errors add by squares; classes of one item are left out") {
    Features samples{features(11, 61, 4), {}, at::cat({at::arange(60, at::kLong).remainder(3), at::tensor({9}, at::kLong)}), "raw", "", "none"};
    io::Json out = io::Json::object();
    add_per_class(out, samples, [](const Tensor& x) { return pairwise(x).to_json(); });
    REQUIRE(out["per_class"].size() == 3);
    double squares = 0, sum = 0;
    for (const io::Json& c : out["per_class"]) {
      squares += std::pow(c["stderr"].get<double>(), 2);
      sum += c["value"].get<double>();
    }
    CHECK(out["class_mean"].get<double>() == doctest::Approx(sum / 3));
    CHECK(out["intervals"]["class_mean"]["stderr"].get<double>() == doctest::Approx(std::sqrt(squares) / 3));
    io::Json plain = io::Json::object();
    add_per_class(plain, samples, [](const Tensor&) { return io::Json{{"value", 1.0}}; });
    CHECK_FALSE(plain.contains("intervals"));
    samples.label = Tensor();
    io::Json none = io::Json::object();
    add_per_class(none, samples, [](const Tensor& x) { return pairwise(x).to_json(); });
    CHECK(none.empty());
  }
}
