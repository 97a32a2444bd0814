// Resampling, effective sample sizes and tempering: the cases of offline-design.json, and unbiasedness of every scheme.
// SPDX-License-Identifier: Apache-2.0
#include "diffusion/resampling.h"

#include <cmath>
#include <map>

#include "core/error.h"
#include "diffusion/particles.h"
#include "diffusion/steering_options.h"
#include "unit/diffusion/helpers.h"

namespace plumb::diffusion {
namespace {

using namespace testing;

std::vector<double> numbers(const Json& json) { return json.get<std::vector<double>>(); }

std::vector<int64_t> offspring(const std::vector<int64_t>& ancestors, size_t n) {
  std::vector<int64_t> children(n, 0);
  for (const int64_t a : ancestors) ++children.at(static_cast<size_t>(a));
  return children;
}

}  // namespace

TEST_CASE("resampling: systematic, stratified and SSP by hand") {
  const Json one = offline_case("resampling"), two = offline_case("ssp_resampling");
  const std::vector<double> w = numbers(one.at("inputs").at("W"));
  CHECK(systematic(w, 4, one.at("inputs").at("u").get<double>()) == one.at("expected").at("systematic").get<std::vector<int64_t>>());
  CHECK(stratified(w, numbers(one.at("inputs").at("u_strat"))) == one.at("expected").at("stratified").get<std::vector<int64_t>>());
  CHECK(offspring(ssp(numbers(two.at("inputs").at("W")), 4, numbers(two.at("inputs").at("u"))), 4) ==
        two.at("expected").at("offspring").get<std::vector<int64_t>>());
  CHECK(multinomial({.1, .55, .05, .3}, {.75, .05, .66, .1}) == std::vector<int64_t>{0, 1, 2, 3});   // sorted draws; .1 is past the first weight
  CHECK(residual({.1, .55, .05, .3}, {.05, 0.9, 0, 0}) == std::vector<int64_t>{0, 1, 1, 3});        // 1 and 1 sure; .4 .2 .2 .2 share the rest
}

TEST_CASE("resampling: every scheme gives each particle its share in expectation, SSP and systematic within one of it") {
  const std::vector<double> w{.13, .42, 0.0, .17, .28};
  const int64_t n = 5, rounds = 20000;
  for (const std::string& scheme : resampling_schemes()) {
    std::vector<double> mean(w.size(), 0.0);
    bool near = true;
    for (int64_t k = 0; k < rounds; ++k) {
      Philox random(7, Stream::kResample, static_cast<uint64_t>(k), 3);
      const std::vector<int64_t> ancestors = resample(scheme, w, n, random);
      REQUIRE(ancestors.size() == static_cast<size_t>(n));
      const std::vector<int64_t> children = offspring(ancestors, w.size());
      for (size_t j = 0; j < w.size(); ++j) {
        mean[j] += static_cast<double>(children[j]) / static_cast<double>(rounds);
        near = near && std::abs(static_cast<double>(children[j]) - static_cast<double>(n) * w[j]) < 1 + 1e-9;
      }
    }
    for (size_t j = 0; j < w.size(); ++j) {  // a count's variance is at most that of multinomial draws: none for weight 0
      CHECK_MESSAGE(std::abs(mean[j] - n * w[j]) <= 4 * std::sqrt(n * w[j] * (1 - w[j]) / rounds), scheme << " particle " << j);
    }
    CHECK_MESSAGE(near == (scheme == "ssp" || scheme == "systematic"), scheme);
  }
  Philox random(1, Stream::kResample);
  CHECK(resample("ssp", {.25, .25, .25, .25}, 4, random) == std::vector<int64_t>{0, 1, 2, 3});
  CHECK(resample("residual", {.5, .5, 0, 0}, 4, random) == std::vector<int64_t>{0, 0, 1, 1});
  CHECK_THROWS_AS(normalised_weights({-INFINITY, -INFINITY}), Error);
}

TEST_CASE("tempering: the schedule of DAS, and the adaptive one by effective sample size") {
  const Json das = offline_case("das_tempering"), adaptive = offline_case("adaptive_tempering");
  const double gamma = das.at("inputs").at("gamma").get<double>();
  const auto steps = das.at("inputs").at("i").get<std::vector<int64_t>>();
  for (size_t k = 0; k < steps.size(); ++k) CHECK(tempering(gamma, steps[k]) == doctest::Approx(das.at("expected").at("lam")[k].get<double>()).epsilon(1e-7));
  CHECK(default_tempering_gamma(100) == doctest::Approx(0.008).epsilon(2e-3));
  CHECK(tempering(default_tempering_gamma(40), 35) == 1.0);
  CHECK(tempering(default_tempering_gamma(40), 34) < 1.0);

  std::vector<double> value = numbers(adaptive.at("inputs").at("r"));
  for (double& v : value) v /= adaptive.at("inputs").at("alpha").get<double>();
  const std::vector<double> equal(value.size(), 0.0);
  const double target = adaptive.at("inputs").at("target_ess").get<double>(), lambda = adaptive_tempering(equal, value, 0.0, target);
  CHECK(lambda == doctest::Approx(adaptive.at("expected").at("lam").get<double>()).epsilon(1e-7));
  std::vector<double> tilted;
  for (const double v : value) tilted.push_back(lambda * v);
  CHECK(effective_sample_size(normalised_weights(tilted)) == doctest::Approx(target).epsilon(1e-9));
  CHECK(adaptive_tempering(tilted, value, lambda, target - 0.5) > lambda);
  CHECK(adaptive_tempering(tilted, value, lambda, target + 0.5) == lambda);  // too few already: never below the one before
  CHECK(adaptive_tempering(equal, value, 0.3, target) == doctest::Approx(0.3 + lambda));  // weights so far are in log w
  CHECK(adaptive_tempering(equal, value, 0.0, 1.0) == 1.0);      // never above 1
  CHECK(adaptive_tempering(equal, equal, 0.2, 5.0) == 1.0);      // nothing to lose
}

TEST_CASE("particles: weights accumulate until a group is resampled, log Z adds up, groups do not see each other") {
  Particles two({3, 8}, 4, 11, "ssp");
  const Tensor g = at::tensor({0.1, 0.2, -0.1, 0.0, 9.0, 0.0, 0.0, 0.0}, at::kDouble);
  two.reweight(g);
  CHECK(two.log_z()[0] == doctest::Approx(std::log((std::exp(.1) + std::exp(.2) + std::exp(-.1) + 1) / 4)));
  const Tensor before = two.log_weights();
  const Tensor ancestors = two.resample_below(0.5, 2);
  REQUIRE(ancestors.defined());
  CHECK(at::equal(ancestors.slice(0, 0, 4), at::tensor({0, 1, 2, 3}, at::kLong)));  // its weights are near equal: kept
  CHECK(at::equal(ancestors.slice(0, 4, 8), at::tensor({4, 4, 4, 4}, at::kLong)));
  CHECK(at::equal(two.log_weights()[0], before[0]));
  CHECK(largest_difference(two.log_weights()[1], at::full({4}, -std::log(4.0), at::kDouble)) < 1e-15);
  CHECK_FALSE(two.resample_below(0.5, 3).defined());
  two.reweight(g);
  CHECK(two.log_z()[0] == doctest::Approx(std::log((std::exp(.2) + std::exp(.4) + std::exp(-.2) + 1) / 4)));  // of the product of both
  CHECK(two.log_z()[1] == doctest::Approx(2 * std::log((std::exp(9.0) + 3) / 4)));                            // product of the means
  Particles alone({8}, 4, 11, "ssp");
  alone.reweight(g.slice(0, 4, 8));
  CHECK(at::equal(alone.resample_below(0.5, 2) + 4, ancestors.slice(0, 4, 8)));
  CHECK(at::equal(two.survivors("best", 9), at::tensor({1, 4}, at::kLong)));
  CHECK(two.survivors("weighted", 9).numel() == 2);
  CHECK(two.survivors("all", 9).numel() == 8);
}

}  // namespace plumb::diffusion
