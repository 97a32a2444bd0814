// Measures of preference fine-tuning: cases M01 to M04 of tests/numeric/preference.json; class-coverage.   SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include <ATen/ATen.h>

#include "core/error.h"
#include "io/manifest.h"
#include "metrics/class_coverage.h"
#include "metrics/frechet.h"
#include "metrics/inception_score.h"
#include "metrics/pairwise.h"
#include "metrics/registry.h"
#include "unit/cases.h"

using namespace plumb;
using namespace plumb::metrics;
using at::Tensor;

namespace {

io::Json preference_case(const std::string& id) { return test::numeric_case("preference.json", id); }

Tensor matrix(const io::Json& rows) {
  std::vector<Tensor> out;
  for (const io::Json& row : rows) out.push_back(at::tensor(row.get<std::vector<double>>(), at::kDouble));
  return at::stack(out);
}

/// One-hot rows [N,K]: counts[k] items of class k.
Tensor predictions(const std::vector<int64_t>& counts) {
  std::vector<int64_t> of;
  for (size_t k = 0; k < counts.size(); ++k) of.insert(of.end(), static_cast<size_t>(counts[k]), static_cast<int64_t>(k));
  return at::one_hot(at::tensor(of, at::kLong), static_cast<int64_t>(counts.size())).to(at::kFloat);
}

Tensor spread(int64_t n) { return at::stack({at::cos(at::arange(n, at::kDouble)), at::sin(at::arange(n, at::kDouble))}, 1); }

Error error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  }
  FAIL("no error was thrown");
  return Error(Exit::kDone, "", "");
}

}  // namespace

TEST_SUITE("preference metrics") {
  TEST_CASE("M01: the inception score") {
    const io::Json c = preference_case("M01_inception_score");
    InceptionScoreOptions one;
    one.splits = 1;
    CHECK(inception_score(matrix(c["inputs"]["p"]), one).value == doctest::Approx(c["expected"]["IS"].get<double>()).epsilon(1e-6));
  }

  TEST_CASE("M02: the Frechet distance, covariances over n - 1") {
    const io::Json c = preference_case("M02_fid");
    const FrechetResult r = frechet_distance(fit_gaussian(matrix(c["inputs"]["X"])), fit_gaussian(matrix(c["inputs"]["Y"])));
    CHECK(r.value == doctest::Approx(c["expected"]["fid"].get<double>()).epsilon(1e-6));
  }

  TEST_CASE("M03: how evenly the wanted classes are filled, whatever is outside") {
    const io::Json c = preference_case("M03_preference_coverage");
    std::vector<int64_t> counts;
    for (const io::Json& count : c["inputs"]["counts"]) counts.push_back(static_cast<int64_t>(count.get<double>()));
    counts.insert(counts.begin() + 1, 6);   // class 1 is not wanted
    const ClassCoverageResult r = class_coverage(predictions(counts), spread(16), {0, 2, 3, 4});
    CHECK(r.entropy == doctest::Approx(c["expected"]["norm_entropy"].get<double>()).epsilon(1e-6));
    CHECK(r.min_share == doctest::Approx(c["expected"]["min_share"].get<double>()).epsilon(1e-12));
    CHECK(r.success() == doctest::Approx(10.0 / 16));
    CHECK(r.inside == 10);
    const io::Json json = r.to_json({"a", "b", "c", "d", "e"});
    CHECK(json["stderr"].get<double>() == doctest::Approx(std::sqrt(10.0 / 16 * 6 / 16 / 16)));
    CHECK(json["classes"][1]["class"] == 2);
    CHECK(json["classes"][1]["name"] == "c");
    CHECK(json["classes"][1]["count"] == 3);
    CHECK(json["classes"][1]["share"].get<double>() == doctest::Approx(0.3));
    CHECK(json["classes"][3]["distance"].is_null());   // one item has no pairs
    CHECK(json["intervals"].contains("normalised_entropy"));
    CHECK(json["n_inside"] == 10);
  }

  TEST_CASE("M04: the mean pairwise cosine distance, over all and within a class") {
    const io::Json c = preference_case("M04_pairwise_diversity");
    const Tensor features = matrix(c["inputs"]["features"]);
    const double want = c["expected"]["diversity"].get<double>();
    CHECK(pairwise(features).cosine.mean == doctest::Approx(want).epsilon(1e-6));
    CHECK(mean_cosine_distance(features).mean == doctest::Approx(want).epsilon(1e-6));
    CHECK(mean_cosine_distance(features).standard_error == doctest::Approx(pairwise(features).cosine.standard_error).epsilon(1e-9));
    // Three items of class 0 as there, two of class 1 in opposite directions (2), one of class 2: (3 want + 2 2) / 5.
    const Tensor all = at::cat({features, at::tensor({1.0, 0.0, -3.0, 0.0, 1.0, 1.0}, at::kDouble).view({3, 2})});
    const ClassCoverageResult r = class_coverage(predictions({3, 2, 1}), all, {0, 1, 2});
    CHECK(r.distance == doctest::Approx((3 * want + 2 * 2) / 5).epsilon(1e-6));
    CHECK(r.classes[1].distance == doctest::Approx(2));
    CHECK_FALSE(r.distance_error);   // two items do not say how their distance varies
    CHECK_FALSE(r.to_json({})["intervals"].contains("class_distance"));
    const ClassCoverageResult alone = class_coverage(predictions({3, 1, 1, 1}), all, {0, 1, 2});
    CHECK(*alone.distance_error == doctest::Approx(pairwise(features).cosine.standard_error).epsilon(1e-9));
    CHECK_FALSE(class_coverage(predictions({1, 1, 4}), all, {0, 1}).to_json({}).contains("intervals"));   // nor two in all how even they are
  }

  TEST_CASE("the ends: one class has all, one class alone, none inside, equal shares") {
    const ClassCoverageResult collapsed = class_coverage(predictions({5, 0, 0}), spread(5), {0, 1});
    CHECK(collapsed.success() == 1);
    CHECK(collapsed.entropy == 0);
    CHECK(collapsed.min_share == 0);
    CHECK(class_coverage(predictions({5, 0, 0}), spread(5), {0}).entropy == 0);
    const io::Json nothing = class_coverage(predictions({5, 0, 0}), spread(5), {1, 2}).to_json({});
    CHECK(nothing["value"] == 0);
    for (const char* key : {"normalised_entropy", "min_share", "class_distance"}) CHECK(nothing[key].is_null());
    CHECK_FALSE(nothing["classes"][0].contains("name"));
    const ClassCoverageResult even = class_coverage(predictions({4, 4, 4}), spread(12), {0, 1, 2});
    CHECK(even.entropy == doctest::Approx(1));
    CHECK(even.min_share == doctest::Approx(1.0 / 3));
  }

  TEST_CASE("of equally probable classes the first; the error of the entropy is that of fresh samples") {
    CHECK(class_coverage(at::full({3, 4}, 0.25), spread(3), {0}).success() == 1);
    // 200 items of shares .6, .3, .1: the delta method's sqrt((sum q ln^2 q - H^2) / n) / ln 3.
    const ClassCoverageResult r = class_coverage(predictions({120, 60, 20}), spread(200), {0, 1, 2});
    double h = 0, h2 = 0;
    for (const double q : {0.6, 0.3, 0.1}) {
      h -= q * std::log(q);
      h2 += q * std::log(q) * std::log(q);
    }
    CHECK(r.entropy_error / (std::sqrt((h2 - h * h) / 200) / std::log(3.0)) == doctest::Approx(1).epsilon(0.01));
  }

  TEST_CASE("classes by name and number; what is refused") {
    const std::vector<std::string> names{"bag", "boot", "7"};
    CHECK((find_classes({"boot", "0"}, names, 3) == std::vector<int64_t>{0, 1}));
    CHECK((find_classes({"7"}, names, 3) == std::vector<int64_t>{2}));   // a name before a number
    CHECK((find_classes({"bag, boot", "2"}, {"bag", "boot", "x,y"}, 3) == std::vector<int64_t>{0, 1, 2}));
    CHECK((find_classes({"x,y"}, {"bag", "boot", "x,y"}, 3) == std::vector<int64_t>{2}));
    CHECK((find_classes({}, names, 3) == std::vector<int64_t>{0, 1, 2}));
    CHECK(std::string(error_of([&] { find_classes({"boots"}, names, 3); }).what()).find("did you mean 'boot'?") != std::string::npos);
    CHECK(error_of([&] { find_classes({"3"}, {}, 3); }).exit() == Exit::kUsage);
    CHECK(error_of([&] { find_classes({"1", "boot"}, names, 3); }).exit() == Exit::kUsage);
    CHECK(error_of([&] { class_coverage(predictions({2, 2}), spread(3), {0}); }).exit() == Exit::kBadInput);
    Features plain;
    plain.features = spread(4).to(at::kFloat);
    const MetricInput without{plain};
    CHECK_THROWS_AS(evaluate_metrics({"class-coverage"}, true, without, {}), NotApplicable);
    plain.probabilities = predictions({2, 1, 1});
    Settings settings;
    settings.class_coverage.classes = {"0", "2"};
    CHECK(evaluate_metrics({"class-coverage"}, true, without, settings)["class-coverage"]["value"] == 0.75);
  }
}
