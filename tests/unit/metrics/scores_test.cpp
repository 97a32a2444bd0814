// Kernel distance, inception score, Vendi score, bootstrap, the table of metrics.   SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"
#include "metrics/bootstrap.h"
#include "metrics/inception_score.h"
#include "metrics/kernel_distance.h"
#include "metrics/names.h"
#include "metrics/registry.h"
#include "metrics/vendi.h"
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

/// The subsets of the reference: subset s holds rows a s + b t, t = 0, 1, ...
Tensor subsets(int64_t count, int64_t size, int64_t a, int64_t b, int64_t n) {
  return (at::arange(count, at::kLong).unsqueeze(1) * a + at::arange(size, at::kLong) * b).remainder(n);
}

VendiOptions no_bootstrap(std::vector<std::string> orders) {
  VendiOptions options;
  options.orders = std::move(orders);
  options.bootstrap = 0;
  return options;
}

}  // namespace

TEST_SUITE("kid") {
  TEST_CASE("equals torch-fidelity on the same subsets, from float32 and float64") {
    const io::Json& c = reference().at("kid");
    const Tensor x = features(11, c["n"], c["d"]), y = features(21, c["m"], c["d"], c["shift"].get<double>());
    const Tensor xs = subsets(c["subsets"], c["subset_size"], 37, 7, c["n"]), ys = subsets(c["subsets"], c["subset_size"], 29, 3, c["m"]);
    const KernelDistanceResult f64 = kernel_distance(x.to(at::kDouble), y.to(at::kDouble), xs, ys);
    CHECK(relative(f64.value, c["mean"]) < 1e-10);
    CHECK(relative(f64.subset_std, c["std"]) < 1e-9);
    const KernelDistanceResult f32 = kernel_distance(x, y, xs, ys);
    CHECK(relative(f32.value, c["mean"]) < 1e-6);
    CHECK(f32.subset_stderr == doctest::Approx(f32.subset_std / std::sqrt(10.0)));
  }
  TEST_CASE("by hand: three points a side on a line") {
    // d = 1, k = (xy + 1)³. x = 0,1,2: pairs 1, 1, 27; y = 0,0,1: pairs 1, 1, 1; cross sum: 6 ones + (1+1)³ + (2+1)³ + 1.
    const Tensor x = at::tensor({0.0, 1.0, 2.0}, at::kDouble).unsqueeze(1), y = at::tensor({0.0, 0.0, 1.0}, at::kDouble).unsqueeze(1);
    const double want = 2.0 * (1 + 1 + 27) / 6 + 2.0 * 3 / 6 - 2 * (6.0 + 1 + 8 + 27) / 9;
    const KernelDistanceResult r = kernel_distance(x, y);
    CHECK(r.value == doctest::Approx(want).epsilon(1e-12));
    CHECK(r.full == doctest::Approx(want).epsilon(1e-12));
    CHECK(r.subset_size == 3);
  }
  TEST_CASE("the full estimate over blocks equals one subset of all; its error falls as 1/√N") {
    const Tensor x = features(11, 1500, 8).to(at::kDouble), y = features(21, 1300, 8).to(at::kDouble);
    const KernelDistanceResult r = kernel_distance(x.slice(0, 0, 1300), y);
    KernelDistanceOptions one;
    one.subsets = 1;
    one.subset_size = 1300;
    CHECK(kernel_distance(x.slice(0, 0, 1300), y, one).value == doctest::Approx(r.full).epsilon(1e-9));
    const double few = kernel_distance(x.slice(0, 0, 325), y.slice(0, 0, 325) + 0.25).standard_error;
    const double many = kernel_distance(x.slice(0, 0, 1300), y + 0.25).standard_error;
    CHECK(relative(few / many, 2) < 0.2);
  }
  TEST_CASE("the standard error is the jackknife's: each item left out in turn") {
    const Tensor x = features(11, 9, 3).to(at::kDouble), y = features(21, 7, 3, 0.5).to(at::kDouble);
    const auto without = [](const Tensor& z, int64_t i) { return at::cat({z.slice(0, 0, i), z.slice(0, i + 1)}); };
    std::vector<double> of_x, of_y;
    for (int64_t i = 0; i < 9; ++i) of_x.push_back(kernel_distance(without(x, i), y).full);
    for (int64_t i = 0; i < 7; ++i) of_y.push_back(kernel_distance(x, without(y, i)).full);
    const double variance = jackknife_variance(at::tensor(of_x, at::kDouble)) + jackknife_variance(at::tensor(of_y, at::kDouble));
    CHECK(relative(kernel_distance(x, y).standard_error, std::sqrt(variance)) < 1e-10);
  }
  TEST_CASE("beyond 10000 items the full estimate draws them at random: sets that come class by class do not mislead it") {
    // Two classes a unit apart, one after the other; the reference has them mixed. The first 10000 of the samples would be one class.
    const Tensor a = uniform(3, 20000, 2), step = (at::arange(20000, at::kDouble) >= 10000).to(at::kDouble).unsqueeze(1);
    const Tensor mixed = uniform(5, 20000, 2) + at::arange(20000, at::kDouble).remainder(2).unsqueeze(1);
    KernelDistanceOptions options;
    options.subsets = 1;
    const KernelDistanceResult r = kernel_distance(a + step, mixed, options);
    CHECK(std::abs(r.full) < 4 * r.standard_error);
    CHECK(kernel_distance((a + step).slice(0, 0, 10000), mixed, options).full > 100 * r.standard_error);
    CHECK(r.full == kernel_distance(a + step, mixed, options).full);
    options.items = 0;
    const KernelDistanceResult without = kernel_distance(a + step, mixed, options);
    CHECK(without.value == r.value);
    CHECK_FALSE(without.to_json().contains("full"));
    CHECK_FALSE(without.to_json().contains("stderr"));
    options.items = 2;
    CHECK(exit_of([&] { kernel_distance(a, mixed, options); }) == Exit::kUsage);
  }
  TEST_CASE("two halves of one set are 0 within the error, a shifted one is not") {
    const Tensor x = features(11, 1000, 16), y = features(41, 1000, 16);
    const KernelDistanceResult same = kernel_distance(x, y), other = kernel_distance(x, y + 0.25);
    CHECK(std::abs(same.full) < 4 * same.standard_error);
    CHECK(other.full > 10 * other.standard_error);
  }
  TEST_CASE("subsets are distinct rows, a function of seed, side and number alone") {
    const Tensor a = draw_subsets(50, 4, 20, 7, 0);
    for (int64_t s = 0; s < 4; ++s) CHECK(std::get<0>(at::_unique(a[s])).size(0) == 20);
    CHECK(draw_subsets(50, 9, 20, 7, 0).slice(0, 0, 4).equal(a));
    CHECK_FALSE(draw_subsets(50, 4, 20, 8, 0).equal(a));
    CHECK_FALSE(draw_subsets(50, 4, 20, 7, 1).equal(a));
    CHECK((a.min().item<int64_t>() >= 0 && a.max().item<int64_t>() < 50));
  }
  TEST_CASE("refuses subsets larger than a side and too few items") {
    KernelDistanceOptions options;
    options.subset_size = 31;
    CHECK(exit_of([&] { kernel_distance(features(1, 30, 4), features(2, 90, 4), options); }) == Exit::kUsage);
    options.subset_size = 1;
    CHECK(exit_of([&] { kernel_distance(features(1, 30, 4), features(2, 90, 4), options); }) == Exit::kUsage);
    for (const int64_t n : {1, 2}) CHECK(exit_of([&] { kernel_distance(features(1, n, 4), features(2, 90, 4)); }) == Exit::kBadNumbers);
    CHECK(exit_of([&] { kernel_distance(features(1, 20, 4), features(2, 90, 5)); }) == Exit::kBadInput);
  }
}

TEST_SUITE("inception-score") {
  TEST_CASE("closed forms: K classes in equal shares give K, one answer for all gives 1") {
    CHECK(inception_score(at::eye(5, at::kDouble).repeat({20, 1})).value == doctest::Approx(5).epsilon(1e-12));
    CHECK(inception_score(at::full({40, 4}, 0.25)).value == doctest::Approx(1).epsilon(1e-12));
    // Two certain answers, 3 : 1: exp of the entropy of (3/4, 1/4).
    const double entropy = -(0.75 * std::log(0.75) + 0.25 * std::log(0.25));
    InceptionScoreOptions one;
    one.splits = 1;
    const InceptionScoreResult r = inception_score(at::eye(2).index_select(0, at::tensor({0, 0, 0, 1})), one);
    CHECK(r.value == doctest::Approx(std::exp(entropy)).epsilon(1e-7));
    CHECK(r.split_mean == r.value);
    CHECK(r.split_std == 0);
  }
  TEST_CASE("equals torch-fidelity over the same splits") {
    const io::Json& c = reference().at("inception_score");
    const Tensor p = (features(31, c["n"], c["classes"]).to(at::kDouble) * c["scale"].get<double>()).softmax(1);
    const InceptionScoreResult r = inception_score(p);
    CHECK(relative(r.split_mean, c["mean"]) < 1e-10);
    CHECK(relative(r.split_std, c["std"]) < 1e-9);
  }
  TEST_CASE("refuses logits, and more splits than items") {
    CHECK(exit_of([] { inception_score(features(1, 30, 4)); }) == Exit::kBadNumbers);
    CHECK(exit_of([] { inception_score(at::full({9, 4}, 0.25)); }) == Exit::kBadNumbers);
  }
}

TEST_SUITE("vendi") {
  TEST_CASE("equals vendi-score: primal side, dual side, rbf with the median bandwidth") {
    for (const io::Json& c : reference().at("vendi")) {
      const Tensor x = features(11, c["n"], c["d"], 0.5);
      CAPTURE(c.dump());
      const VendiOptions options = no_bootstrap({c["q"].get<std::string>()});
      const VendiResult cosine = vendi(x, "cosine", options), rbf = vendi(x, "rbf", options);
      CHECK(cosine.side == (c["d"] < c["n"] ? "features" : "items"));
      CHECK(relative(cosine.scores[0].value, c["cosine"]) < 1e-8);
      CHECK(relative(rbf.bandwidth, c["sigma"]) < 1e-12);
      CHECK(relative(rbf.scores[0].value, c["rbf"]) < 1e-8);
    }
  }
  TEST_CASE("closed forms") {
    const std::vector<std::string> all{"0.5", "1", "2", "inf"};
    for (const VendiScore& s : vendi(at::eye(7), "cosine", no_bootstrap(all)).scores) CHECK(s.value == doctest::Approx(7).epsilon(1e-12));
    for (const char* kernel : {"cosine", "rbf"}) {
      for (const VendiScore& s : vendi(features(1, 1, 6).expand({9, 6}), kernel, no_bootstrap(all)).scores) {
        CHECK(s.value == doctest::Approx(1).epsilon(1e-9));
      }
    }
    // Two directions, 3 : 1. Order 1: exp entropy; 2: 1/Σp²; inf: 1/max p; 0.5: (Σ√p)².
    const Tensor x = at::eye(2).index_select(0, at::tensor({0, 0, 0, 1})) * 5;
    const VendiResult r = vendi(x, "cosine", no_bootstrap(all));
    CHECK(r.scores[0].value == doctest::Approx(std::pow(std::sqrt(0.75) + 0.5, 2)).epsilon(1e-12));
    CHECK(r.scores[1].value == doctest::Approx(std::exp(-0.75 * std::log(0.75) - 0.25 * std::log(0.25))).epsilon(1e-12));
    CHECK(r.scores[2].value == doctest::Approx(1 / (0.5625 + 0.0625)).epsilon(1e-12));
    CHECK(r.scores[3].value == doctest::Approx(4.0 / 3).epsilon(1e-12));
    // rbf, two points at distance 2, sigma 1: eigenvalues (1 ± e^-2)/2; order inf is 2/(1 + e^-2).
    VendiOptions fixed = no_bootstrap({"inf"});
    fixed.bandwidth = 1;
    CHECK(vendi(at::tensor({0.0, 2.0}, at::kDouble).unsqueeze(1), "rbf", fixed).scores[0].value ==
          doctest::Approx(2 / (1 + std::exp(-2))).epsilon(1e-12));
  }
  TEST_CASE("orders whose powers underflow, and orders beside 1") {
    const Tensor p = at::tensor({0.5, 0.3, 0.2}, at::kDouble);
    CHECK(vendi_of_spectrum(p, 2000) == doctest::Approx(std::pow(2.0, 2000.0 / 1999)).epsilon(1e-12));  // 0.5^2000 alone counts, and is 0 in float64
    const double shannon = std::exp(-(0.5 * std::log(0.5) + 0.3 * std::log(0.3) + 0.2 * std::log(0.2)));
    for (const double beside : {1 + 1e-15, 1 - 1e-12, 1 + 1e-9}) CHECK(vendi_of_spectrum(p, beside) == doctest::Approx(shannon).epsilon(1e-8));
    const double step = 1e-6, q = 2000;  // the gradient, against differences along e0 - e1
    const Tensor along = at::tensor({step, -step, 0.0}, at::kDouble), slope = vendi_gradient(p, q);
    const double want = (vendi_of_spectrum(p + along, q) - vendi_of_spectrum(p - along, q)) / (2 * step);
    CHECK((slope[0] - slope[1]).item<double>() == doctest::Approx(want).epsilon(1e-5));
  }
  TEST_CASE("items without direction count as one of their own") {
    // 3 of 4 items in one direction, one item of zeros: eigenvalues 3/4 and 1/4.
    const Tensor x = at::tensor({2.0, 5.0, 1.0, 0.0}, at::kDouble).unsqueeze(1).repeat({1, 3});
    CHECK(vendi(x, "cosine", no_bootstrap({"2"})).scores[0].value == doctest::Approx(1 / (0.5625 + 0.0625)).epsilon(1e-12));
  }
  TEST_CASE("both sides agree, orders fall, scale changes nothing for cosine") {
    const std::vector<std::string> all{"0.5", "1", "2", "inf"};
    const Tensor x = features(11, 40, 39, 0.2), wide = at::cat({x, at::zeros({40, 3})}, 1);  // 39 < 40 < 42
    const VendiResult primal = vendi(x, "cosine", no_bootstrap(all)), dual = vendi(wide * 3, "cosine", no_bootstrap(all));
    CHECK(primal.side == "features");
    CHECK(dual.side == "items");
    for (size_t i = 0; i < all.size(); ++i) {
      CHECK(relative(primal.scores[i].value, dual.scores[i].value) < 1e-7);
      if (i > 0) CHECK(primal.scores[i].value < primal.scores[i - 1].value);
    }
  }
  TEST_CASE("rounding noise does not count at small orders: copies add nothing") {
    const Tensor x = features(11, 6, 200, 0.1);
    const VendiOptions options = no_bootstrap({"0.1"});
    const double once = vendi(x, "cosine", options).scores[0].value;
    CHECK(relative(vendi(x.repeat({20, 1}), "cosine", options).scores[0].value, once) < 1e-6);
    CHECK(once <= 6);
  }
  TEST_CASE("the bootstrap interval: reproducible, and its error is that of fresh samples") {
    VendiOptions options;
    options.orders = {"1"};
    options.bootstrap = 200;
    const auto score = [&](uint64_t seed) { return vendi(features(seed, 300, 6), "cosine", options).scores[0]; };
    const VendiScore a = score(11);
    REQUIRE(a.interval);
    CHECK(a.interval->standard_error == score(11).interval->standard_error);
    CHECK(relative(a.interval->high - a.value, 1.96 * a.interval->standard_error) < 1e-3);
    std::vector<double> fresh;
    options.bootstrap = 0;
    for (uint64_t seed = 0; seed < 100; ++seed) fresh.push_back(score(100 + 2 * seed).value);
    CHECK(relative(a.interval->standard_error, at::tensor(fresh, at::kDouble).std(0, true).item<double>()) < 0.4);
  }
  TEST_CASE("random frequencies stand for the rbf kernel beyond 4096 items, and say how far they may be off") {
    const Tensor few = features(11, 600, 24, 0.3), x = few.repeat({7, 1});  // of equal spectrum
    VendiOptions options = no_bootstrap({"1", "2", "inf"});
    options.bandwidth = 1.5;
    const VendiResult random = vendi(x, "rbf", options), exact = vendi(few, "rbf", options);
    CHECK(random.side == "frequencies");
    CHECK(random.frequencies == 512);
    CHECK(exact.side == "items");
    for (size_t q = 0; q < 3; ++q) {
      CAPTURE(exact.scores[q].value);
      CAPTURE(random.scores[q].value);
      REQUIRE(random.scores[q].approximation);
      CAPTURE(*random.scores[q].approximation);
      CHECK(std::abs(random.scores[q].value - exact.scores[q].value) < 2 * *random.scores[q].approximation);
      CHECK(*random.scores[q].approximation < 0.1 * exact.scores[q].value);
      CHECK_FALSE(exact.scores[q].approximation);
    }
    CHECK(vendi(x, "rbf", options).scores[0].value == random.scores[0].value);
    options.seed = 1;
    CHECK(vendi(x, "rbf", options).scores[0].value != random.scores[0].value);
    // Fewer frequencies say that they know less; the values of small orders are those of the number of frequencies, and left out.
    options.seed = 0;
    options.frequencies = 64;
    const VendiScore rough = vendi(x, "rbf", options).scores.at(0);
    CHECK(std::abs(rough.value - exact.scores[0].value) < 2 * *rough.approximation);
    CHECK(*rough.approximation > *random.scores[0].approximation);
    options.orders = {"0.5", "2"};
    REQUIRE(vendi(x, "rbf", options).scores.size() == 1);
    CHECK(vendi(x, "rbf", options).scores[0].order == "2");
    options.frequencies = 7;
    CHECK(exit_of([&] { vendi(x, "rbf", options); }) == Exit::kUsage);
    options.frequencies = 512;
    options.orders = {"1"};
    // The median over drawn items is near that over all.
    options.bandwidth = 0;
    CHECK(vendi(x, "rbf", options).bandwidth == doctest::Approx(vendi(few, "rbf", options).bandwidth).epsilon(0.02));
    options.frequencies = 0;
    CHECK(exit_of([&] { vendi(at::zeros({20001, 1}), "rbf", options); }) == Exit::kUsage);
  }
  TEST_CASE("a bandwidth of 0: groups of equal items, at any number") {
    // 4 of 5 items are equal, the others differ from all: eigenvalues 4/5 and 1000 times 1/5000.
    Tensor x = at::zeros({5000, 2});
    x.slice(0, 4000).select(1, 0).copy_(at::arange(1, 1001, at::kFloat));
    const VendiResult r = vendi(x, "rbf", no_bootstrap({"2"}));
    CHECK(r.bandwidth == 0);
    CHECK(r.scores[0].value == doctest::Approx(1 / (0.64 + 1000 / 25e6)).epsilon(1e-12));
    VendiOptions options;
    options.orders = {"2"};
    CHECK(vendi(x, "rbf", options).scores[0].interval->standard_error > 0);
  }
  TEST_CASE("float32 products of many blocks are near float64's") {
    const Tensor x = features(11, 9000, 1000, 0.1);
    const double fast = vendi(x, "cosine", no_bootstrap({"1"})).scores[0].value;       // N d² > 2^33
    CHECK(relative(fast, vendi(x, "cosine", no_bootstrap({"1", "0.5"})).scores[0].value) < 1e-6);
  }
  TEST_CASE("refuses bad orders, kernels and single items") {
    CHECK(exit_of([] { vendi(features(1, 9, 4), "cosine", no_bootstrap({"0"})); }) == Exit::kUsage);
    CHECK(exit_of([] { vendi(features(1, 9, 4), "cosine", no_bootstrap({"many"})); }) == Exit::kUsage);
    CHECK(exit_of([] { vendi(features(1, 9, 4), "laplace", no_bootstrap({"1"})); }) == Exit::kUsage);
    CHECK(exit_of([] { vendi(features(1, 1, 4), "cosine", no_bootstrap({"1"})); }) == Exit::kBadNumbers);
  }
}

TEST_SUITE("bootstrap") {
  TEST_CASE("counts sum to n and depend on seed and replicate alone; the error of a mean is sd/√n") {
    const Tensor a = bootstrap_counts(200, 3, 5);
    CHECK(a.sum().item<int64_t>() == 200);
    CHECK(a.equal(bootstrap_counts(200, 3, 5)));
    CHECK_FALSE(a.equal(bootstrap_counts(200, 3, 6)));
    CHECK_FALSE(a.equal(bootstrap_counts(200, 4, 5)));
    const Tensor x = uniform(11, 200, 1).squeeze(1);
    std::vector<double> means;
    for (int64_t r = 0; r < 1000; ++r) means.push_back((bootstrap_counts(200, 0, r).to(at::kDouble) * x).sum().item<double>() / 200);
    const Interval i = bootstrap_interval(0.5, means);
    CHECK(relative(i.standard_error, x.std(0, true).item<double>() / std::sqrt(200.0)) < 0.08);
    CHECK((i.low + i.high) / 2 == doctest::Approx(0.5));
    CHECK(exit_of([] { bootstrap_interval(0, {1.0}); }) == Exit::kUsage);
    // The jackknife variance of a mean is s²/n exactly.
    const Tensor without = (x.sum() - x) / 199.0;
    CHECK(relative(jackknife_variance(without), x.var(0, true).item<double>() / 200) < 1e-9);
  }
}

TEST_SUITE("registry") {
  TEST_CASE("names are sorted and unique; what does not apply is left out, or an error if asked for") {
    const std::vector<std::string> names = metric_names();
    CHECK(std::is_sorted(names.begin(), names.end()));
    CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
    Features samples{features(11, 60, 4), {}, at::arange(60, at::kLong).remainder(3), "raw", "", "none"};
    const MetricInput alone{samples};
    Settings settings;
    settings.vendi.bootstrap = 10;
    const io::Json out = evaluate_metrics({"fid", "pairwise", "vendi", "inception-score"}, false, alone, settings);
    CHECK(out.size() == 2);
    CHECK(out["vendi"]["per_class"].size() == 3);
    CHECK(out["vendi"]["per_class"]["2"]["n"] == 20);
    CHECK(out["vendi"]["kernels"].size() == 2);
    CHECK(out["pairwise"]["per_class"].size() == 3);
    CHECK(exit_of([&] { evaluate_metrics({"pairwise", "fid"}, true, alone, settings); }) == Exit::kUsage);
    CHECK(exit_of([&] { evaluate_metrics({"fid"}, false, alone, settings); }) == Exit::kUsage);
    CHECK(exit_of([&] { evaluate_metrics({"vendy"}, false, alone, settings); }) == Exit::kUsage);
    const Features other{features(21, 70, 4), {}, {}, "raw", "", "none"};
    const Gaussian fit = fit_gaussian(other.features);
    const io::Json from_items = evaluate_metrics(names, false, {samples, &other, nullptr}, settings);
    CHECK(from_items.size() == names.size() - 4);  // all but the inception score, the coverage of classes, what is for sequences, and the subspace of a model
    const io::Json from_fit = evaluate_metrics(names, false, {samples, nullptr, &fit}, settings);
    CHECK(from_fit["fid"]["value"] == from_items["fid"]["value"]);
    CHECK(from_fit["spectral"]["value"] == from_items["spectral"]["value"]);
    CHECK_FALSE(from_fit.contains("kid"));
  }
  TEST_CASE("a number that is not finite is an error, whichever it is") {
    const Features large{features(11, 60, 4).to(at::kDouble) * 1e150, {}, {}, "raw", "", "none"};
    const Features small{features(21, 70, 4).to(at::kDouble) * 1e-10, {}, {}, "raw", "", "none"};
    try {
      evaluate_metrics({"spectral"}, true, {large, &small}, {});   // the distance is finite; its error and the ratio are not
      FAIL("no error was thrown");
    } catch (const Error& e) {
      CHECK(e.exit() == Exit::kBadNumbers);
      CHECK(std::string(e.what()).find("spectral.") == 0);   // with the name of the number
    }
  }
}
