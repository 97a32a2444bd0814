// SPDX-License-Identifier: Apache-2.0
#include "rewards/prediction_quality.h"

#include <cmath>

#include "helpers.h"

namespace plumb::rewards {

TEST_CASE("classifier quality: by hand") {
  // Two classes, p = .9, .9, .6, .6 for class 0; labels 0 0 0 1.
  const double a = std::log(9.0), b = std::log(1.5);
  const at::Tensor logits = at::tensor({a, 0.0, a, 0.0, b, 0.0, b, 0.0}, at::kDouble).view({4, 2});
  const at::Tensor label = at::tensor({int64_t{0}, int64_t{0}, int64_t{0}, int64_t{1}});
  const ClassifierQuality quality = classifier_quality(logits, label);
  CHECK(quality.accuracy == 0.75);
  CHECK(quality.nll == doctest::Approx(-(2 * std::log(.9) + std::log(.6) + std::log(.4)) / 4).epsilon(1e-14));
  CHECK(quality.ece == doctest::Approx(0.5 * 0.1 + 0.5 * 0.1).epsilon(1e-12));  // |1-.9| and |.5-.6|
  const ClassifierQuality flat = classifier_quality(logits, label, 1e6);
  CHECK(flat.nll == doctest::Approx(std::log(2.0)).epsilon(1e-5));
}

TEST_CASE("temperature: found where the truth is known") {
  // Labels agree with the larger logit in 3 of 4 cases; logits are +-L, so NLL is least where sigmoid(2L/T) = 3/4.
  const double l = 2.0;
  at::Tensor logits = at::zeros({8, 2}, at::kDouble);
  at::Tensor label = at::zeros({8}, at::kLong);
  for (int64_t i = 0; i < 8; ++i) {
    logits[i][0] = l;
    logits[i][1] = -l;
    if (i >= 6) label[i] = 1;
  }
  CHECK(fit_temperature(logits, label) == doctest::Approx(2 * l / std::log(3.0)).epsilon(1e-5));
}

TEST_CASE("ranks and correlations: by hand") {
  CHECK(mean_ranks({10, 30, 20, 20}) == std::vector<double>{1, 4, 2.5, 2.5});
  CHECK(pearson({1, 2, 3}, {2, 4, 6}) == doctest::Approx(1));
  CHECK(spearman({1, 2, 3}, {1, 100, 9}) == doctest::Approx(0.5));
  CHECK(kendall_tau_b({1, 2, 3, 4}, {1, 2, 4, 3}) == doctest::Approx(4.0 / 6));
  CHECK(kendall_tau_b({1, 2, 3}, {3, 2, 1}) == doctest::Approx(-1));
  CHECK(std::isnan(kendall_tau_b({1, 1, 1}, {3, 2, 1})));
  CHECK(std::isnan(spearman({1, 2, 3}, {5, 5, 5})));
}

TEST_CASE("correlations with many ties: SciPy's numbers") {
  // scipy 1.17.1: kendalltau (tau-b), spearmanr, pearsonr on the same integers.
  std::vector<double> a, b, few;
  for (int i = 0; i < 60; ++i) {
    a.push_back((i * 37 % 101) / 10.0);
    b.push_back(std::nearbyint((i * 37 % 101) / 7 + (i * 53 % 17) / 3.0));
    few.push_back(i * 37 % 11);
  }
  CHECK(kendall_tau_b(a, b) == doctest::Approx(0.7890508455000608).epsilon(1e-12));
  CHECK(spearman(a, b) == doctest::Approx(0.93101133948001).epsilon(1e-12));
  CHECK(pearson(a, b) == doctest::Approx(0.9262696270113987).epsilon(1e-12));
  CHECK(kendall_tau_b(few, b) == doctest::Approx(0.6757811439615576).epsilon(1e-12));
  CHECK(spearman(few, b) == doctest::Approx(0.7630425455556467).epsilon(1e-12));
}

TEST_CASE("regression quality: by hand") {
  const RegressionQuality quality = regression_quality({1, 2, 4}, {1, 3, 5});
  CHECK(quality.rmse == doctest::Approx(std::sqrt(2.0 / 3)));
  CHECK(quality.mae == doctest::Approx(2.0 / 3));
  CHECK(quality.r2 == doctest::Approx(1 - 2.0 / 8));
  CHECK(quality.spearman == doctest::Approx(1));
  CHECK(regression_quality({1, 2}, {3, 3}).to_json()["r2"].is_null());
}

}  // namespace plumb::rewards
