// Training with uncertainty: what it says near and far from the data, checkpoints, the choice of the scale.   SPDX-License-Identifier: Apache-2.0
#include "rewards/reward_fit.h"

#include <cmath>

#include "fitted.h"
#include "rewards/ensemble.h"
#include "rewards/rbf_gp.h"

namespace plumb::rewards {
using namespace test;

namespace {

const at::Tensor kNearAndFar = at::tensor({-3.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 4.0, 6.0, 5.0}, at::kDouble).view({5, 2});

double coverage_at(const Estimate& estimate, const at::Tensor& target, double factor) {
  return ((target - estimate.mean).abs() <= estimate.uncertainty * factor * (1 + 1e-12)).to(at::kDouble).mean().item<double>();
}

}  // namespace

TEST_CASE("fit: what lies far from the data is more uncertain, by all three means") {
  const Points points(300);
  for (const std::string type : {"bonus", "gp", "bootstrap"}) {
    CAPTURE(type);
    RewardTrainingOptions options = quick_fit(type);
    options.uncertainty.prior_scale = 3;
    Fit run(points, options);
    const FittedReward fitted = run.finish();
    const Estimate estimate = estimate_at(fitted, kNearAndFar);
    const double near = estimate.uncertainty.narrow(0, 0, 3).max().item<double>(), far = estimate.uncertainty.narrow(0, 3, 2).min().item<double>();
    CHECK(near > 0);
    CHECK(far > 3 * near);
    CHECK(largest_difference(estimate.mean.narrow(0, 0, 3), at::tensor({-2.0, 1.0, 4.0}, at::kDouble)) < 0.2);   // raw units: 1 + x1
    const io::Json quality = quality_of(fitted, *run.rows, *run.codec, run.chosen.split.held_out,
                                        run.target.index_select(0, at::tensor(run.chosen.split.held_out, at::kLong)), 1, at::kCPU);
    CHECK(quality["r2"].get<double>() > 0.95);
    CHECK(quality["uncertainty"]["mean"].get<double>() < far);
    CHECK(run.fit->runs() == (type == "bootstrap" ? 3 : type == "gp" ? 0 : 1));
  }
}

TEST_CASE("fit: the bonus falls like 1 / sqrt(n) where the data are") {
  double g[2];
  for (const int64_t n : {200, 3200}) {
    RewardTrainingOptions options = quick_fit("bonus");
    options.uncertainty.lambda = 1e-3;
    options.held_out = 0;
    options.steps = 1;   // nearly the initial weights: the same features of both
    options.lr = 1e-9;
    Fit run(Points(n), options);
    g[n == 3200] = estimate_at(run.finish(), kNearAndFar).uncertainty.narrow(0, 0, 3).mean().item<double>();
  }
  CHECK(g[0] / g[1] == doctest::Approx(4).epsilon(0.15));   // sqrt(3200 / 200)
}

TEST_CASE("fit: members differ by resample, weights and prior, and share the target's units") {
  const Points points(90);
  RewardTrainingOptions options = quick_fit("bootstrap");
  options.held_out = 0;
  options.steps = 400;
  Fit run(points, options);
  const FittedReward fitted = run.finish();
  auto& ensemble = dynamic_cast<EnsemblePredictor&>(*fitted.predictor);
  REQUIRE(ensemble.size() == 3);
  const at::NoGradGuard no_grad;
  const at::Tensor members = ensemble.members(kNearAndFar.to(at::kFloat));
  CHECK(members.std(0).min().item<double>() > 1e-4);
  const Estimate estimate = estimate_at(fitted, kNearAndFar);
  const at::Tensor raw = members.to(at::kDouble) * run.target.std() + run.target.mean();
  CHECK(largest_difference(estimate.mean, raw.mean(0)) < 1e-6);
  CHECK(largest_difference(estimate.uncertainty, raw.std(0)) < 1e-6);   // kappa 1
  CHECK(run.fit->steps_done() == 1200);
  CHECK(run.fit->total_steps() == 1200);
}

TEST_CASE("fit: an ensemble cut in the middle of a member goes on to the same bits, the choice of the scale included") {
  const Points points(120);
  RewardTrainingOptions options = quick_fit("bootstrap");
  options.steps = 20;
  options.evaluate_every = 6;
  options.uncertainty.prior_scale = 2;
  options.uncertainty.choose = 0.8;
  options.uncertainty.clusters = 3;
  Fit whole(points, options);
  const FittedReward expected = whole.finish();
  for (const int64_t cut : {7, 20, 51, 93, 119}) {   // of 6 runs of 20 steps: within the first, at an end, choosing, final ones
    CAPTURE(cut);
    Fit first(points, options), second(points, options);
    for (int64_t i = 0; i < cut; ++i) first.fit->step();
    nn::Checkpoint checkpoint;
    first.fit->save(checkpoint);
    const std::string path = first.folder / "c.ckpt";
    nn::save_checkpoint(path, checkpoint);
    const auto found = nn::find_checkpoint(path, path, checkpoint.fingerprint, false);
    REQUIRE(found.has_value());
    second.fit->restore(*found);
    CHECK(second.fit->steps_done() == cut);
    const FittedReward fitted = second.finish();
    const nn::NamedTensors a = expected.predictor->state(), b = fitted.predictor->state();
    REQUIRE(a.size() == b.size());
    for (size_t i = 0; i < a.size(); ++i) CHECK(at::equal(a[i].second, b[i].second));
    CHECK(second.fit->choice() == whole.fit->choice());
    CHECK(second.fit->best_steps() == whole.fit->best_steps());
  }
}

TEST_CASE("fit: the scale is the smallest that covers the extremes which were held out") {
  const Points points(300);
  for (const std::string type : {"bonus", "gp", "bootstrap"}) {
    CAPTURE(type);
    RewardTrainingOptions options = quick_fit(type);
    options.uncertainty.choose = 0.9;
    options.uncertainty.clusters = 3;
    Fit run(points, options);
    const FittedReward fitted = run.finish();
    const io::Json& choice = run.fit->choice();
    const std::string name = type == "bootstrap" ? "kappa" : "scale";
    const double value = choice[name].get<double>();
    CHECK(value == (type == "bootstrap" ? fitted.uncertainty.settings.kappa : fitted.uncertainty.settings.scale));
    CHECK(value > 0);
    CHECK(choice["capped"] == 0);
    const double cap = 10 * run.target.index_select(0, at::tensor(run.chosen.split.train, at::kLong)).std().item<double>();
    CHECK(fitted.uncertainty.settings.cap.value() == doctest::Approx(cap).epsilon(0.01));   // ten standard deviations
    CHECK(choice["curve"].size() == 7);
    CHECK(choice["curve"][4][name] == choice[name]);   // coverage 0.9
    CHECK(choice["curve"][0][name] < choice["curve"][5][name]);
    CHECK(choice["held_out"]["top"] == 30);
    CHECK(choice["held_out"]["cluster"] == 100);        // the points around (3,0), where the target is highest
    CHECK(choice["held_out"]["count"] == 100);
    // the same by hand: a fit on what is left, with scale 1
    const PseudoOod extremes = hold_out_extremes(*run.rows, *run.codec, run.target, run.chosen.split, 3, options.seed);
    CHECK(run.target.index_select(0, at::tensor(extremes.rest.train, at::kLong)).max().item<double>() < 2.6);
    if (type == "bootstrap") continue;
    RewardTrainingOptions plain = options;
    plain.uncertainty.choose = 0;
    RewardFit rest({{"type", "mlp"}, {"config", {{"elements", 2}, {"hidden", {16, 16}}, {"activation", "relu"}}}}, "test", *run.rows, *run.codec, run.target,
                   extremes.rest, plain, at::kCPU);
    while (!rest.done()) rest.step();
    const Estimate estimate = rest.finish().estimate(*run.rows, *run.codec, extremes.held, at::kCPU);
    const at::Tensor target = run.target.index_select(0, at::tensor(extremes.held, at::kLong));
    CHECK(coverage_at(estimate, target, value) >= 0.9);
    CHECK(coverage_at(estimate, target, value * 0.999) < 0.9);
  }
}

TEST_CASE("choose: --below cuts before --labels draws and --held-out splits") {
  const at::Tensor target = at::arange(11, at::kDouble).flip({0});   // 10 .. 0
  RewardTrainingOptions options = quick_fit("none");
  options.held_out = 0;
  options.below = 0.75;   // of 0..10: 7.5
  const ChosenItems chosen = choose_items(target, options);
  CHECK(chosen.threshold == doctest::Approx(7.5));
  CHECK(chosen.kept == 8);
  CHECK(chosen.split.train == std::vector<int64_t>{3, 4, 5, 6, 7, 8, 9, 10});
  options.labels = 5;
  options.below = 0.5;    // 5: itself included
  CHECK(choose_items(target, options).kept == 6);
  CHECK(choose_items(target, options).split.train.size() == 5);
  CHECK(choose_items(target, options).split.train.front() >= 5);
  options.labels = 7;
  CHECK(exit_of([&] { choose_items(target, options); }) == Exit::kBadInput);
  options.below = 1;
  CHECK(choose_items(target, options).kept == 11);
}

TEST_CASE("fit: what is refused") {
  const Points points(60);
  const std::string script = source_dir() + "/tests/unit/rewards/data/logits.pt";
  for (const std::string type : {"bonus", "bootstrap"}) {
    CHECK(exit_of([&] { Fit(points.items, points.target, plane(), {{"type", "torchscript"}, {"path", script}, {"outputs", 1}}, quick_fit(type)); }) == Exit::kUsage);
  }
  UncertaintyOptions options;
  const auto refused = [&](bool classifier, const std::string& set) {
    return exit_of([&] { check_uncertainty_options(options, classifier ? "classifier" : "regressor", [&](const std::string& option) { return option == set; }); });
  };
  CHECK(refused(false, "scale") == Exit::kUsage);      // none
  options.type = "bonus";
  CHECK(refused(true, "") == Exit::kUsage);            // a classifier
  CHECK(refused(false, "kappa") == Exit::kUsage);
  CHECK(refused(false, "clusters") == Exit::kUsage);   // without --choose-scale
  options.choose = 0.9;
  CHECK(refused(false, "scale") == Exit::kUsage);      // it is chosen
  options.type = "gp";
  CHECK(refused(false, "lr") == Exit::kUsage);
  options.type = "bootstrap";
  options.penalty = "min";
  CHECK(refused(false, "") == Exit::kUsage);           // nothing to choose
  options.choose = 0;
  CHECK(refused(false, "kappa") == Exit::kUsage);
  CHECK(refused(false, "softmin-tau") == Exit::kUsage);
  CHECK_NOTHROW(check_uncertainty_options(options, "regressor", [](const std::string& option) { return option == "members" || option == "cap" || option == "lr"; }));
}

}  // namespace plumb::rewards
