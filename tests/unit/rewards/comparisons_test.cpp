// Rewards from preferences: against maximum-likelihood strengths that have a closed form.   SPDX-License-Identifier: Apache-2.0
#include "rewards/comparisons.h"

#include <cmath>

#include "fitted.h"
#include "rewards/labelled_items.h"

namespace plumb::rewards {
using namespace test;

namespace {

/// Three items, each a coordinate of its own, so that a linear network has a free strength for each.
struct Judged {
  Folder folder;
  io::Manifest items, feedback;
  Judged(const at::Tensor& rows, const at::Tensor& y, bool pairs) {
    io::H5Writer writer(folder / "items.h5");
    nn::write_tensor(writer, "vectors", at::eye(3, at::kFloat));
    items = io::commit_artefact(writer, io::Manifest({{"format", "plumb/1"}, {"kind", "samples"}, {"count", 3}, {"space", io::Space{"vector", {3}, ""}.to_json()}}));
    io::H5Writer answers(folder / "answers.h5");
    nn::write_tensor(answers, pairs ? "pair" : "item", rows);
    nn::write_tensor(answers, pairs ? "pair_y" : "y", y.to(at::kFloat));
    feedback = io::commit_artefact(answers, io::Manifest({{"format", "plumb/1"}, {"kind", "feedback"}, {"count", y.numel()}, {"inputs", {{"samples", items.json()}}}}));
  }
};

/// The values that a linear network is fitted to give the three items, [3].
at::Tensor strengths(const Judged& judged, double smoothing = 0) {
  const LabelledItems labelled = read_labelled(judged.feedback, "preference", "");
  RewardTrainingOptions options;
  options.type = "preference";
  options.steps = 1500;
  options.batch_size = labelled.target.size(0);
  options.lr = 0.02;
  options.lr_warmup = 0;
  options.weight_decay = 0;
  options.grad_clip = 0;
  options.held_out = 0;
  options.label_smoothing = smoothing;
  const io::H5Reader file(judged.items.path());
  const ItemRows rows(file, "vectors");
  const auto codec = nn::make_codec(judged.items.space(), "test");
  const ChosenItems chosen = choose_items(labelled.target, options);
  RewardFit fit(nn::predictor_preset("linear", judged.items.space(), 1), "linear", rows, *codec, labelled.target, chosen.split, options, at::kCPU, labelled.pairs);
  while (!fit.done()) fit.step();
  const FittedReward fitted = fit.finish();
  return fitted.estimate(rows, *codec, {0, 1, 2}, at::kCPU).mean;
}

}  // namespace

TEST_CASE("preferences: strengths of three items that a chain of comparisons fixes; their mean is 0") {
  // 0 beats 1 three times in four, 1 beats 2 twice in three: r0 - r1 = ln 3, r1 - r2 = ln 2, whichever was shown first.
  const at::Tensor pairs = at::tensor({0, 1, 0, 1, 0, 1, 1, 0, 1, 2, 1, 2, 2, 1}, at::kLong).reshape({7, 2});
  const at::Tensor y = at::tensor({1., 1., -1., -1., 1., 1., 1.});
  const at::Tensor r = strengths(Judged(pairs, y, true));
  CHECK((r[0] - r[1]).item<double>() == doctest::Approx(std::log(3)).epsilon(1e-3));
  CHECK((r[1] - r[2]).item<double>() == doctest::Approx(std::log(2)).epsilon(1e-3));
  CHECK(std::abs(r.mean().item<double>()) < 1e-6);
}

TEST_CASE("preferences: a tie is half of each") {
  // 0 against 1: won, won, tie: 2.5 of 3; 2 is never compared and stays where it began.
  const at::Tensor pairs = at::tensor({0, 1, 0, 1, 0, 1}, at::kLong).reshape({3, 2});
  const at::Tensor r = strengths(Judged(pairs, at::tensor({1., 1., 0.}), true));
  CHECK((r[0] - r[1]).item<double>() == doctest::Approx(std::log(2.5 / 0.5)).epsilon(1e-3));
}

TEST_CASE("preferences: label smoothing makes a share of each answer a tie, so what always wins is not infinitely better") {
  const at::Tensor r = strengths(Judged(at::tensor({0, 1, 0, 1}, at::kLong).reshape({2, 2}), at::tensor({1., 1.}), true), 0.2);
  CHECK((r[0] - r[1]).item<double>() == doctest::Approx(std::log(0.9 / 0.1)).epsilon(1e-3));
}

TEST_CASE("preferences: likes and dislikes are comparisons with a value of 0, which no mean is taken off") {
  const at::Tensor r = strengths(Judged(at::tensor({0, 0, 0, 0, 1, 1, 2, 2}, at::kLong), at::tensor({1., 1., 1., -1., 0., 0., -.5, -.5}), false));
  CHECK(r[0].item<double>() == doctest::Approx(std::log(3)).epsilon(1e-3));
  CHECK(std::abs(r[1].item<double>()) < 1e-3);
  CHECK(r[2].item<double>() == doctest::Approx(std::log(0.25 / 0.75)).epsilon(1e-3));
}

TEST_CASE("preferences: loss, margins and quality by hand") {
  const at::Tensor pairs = at::tensor({4, 2, 3, -1}, at::kLong).reshape({2, 2});
  CHECK(compared_rows(pairs, {0, 1}) == std::vector<int64_t>{4, 3, 2, 3});
  const at::Tensor outputs = at::tensor({5., 7., 2., 9.}, at::kDouble).unsqueeze(1);
  CHECK(at::equal(margins(outputs, pairs, {0, 1}), at::tensor({3., 7.}, at::kDouble)));
  const at::Tensor margin = at::tensor({2., -1., 0., 3.}, at::kDouble), target = at::tensor({1., 1., 0., .5}, at::kDouble);
  // -log sigma(2), -log sigma(-1), -log sigma(0), half of -log sigma(3) and of -log sigma(-3)
  const double nll = (0.126928011042973 + 1.313261687518223 + 0.693147180559945 + (0.048587351573742 + 3.048587351573742) / 2) / 4;
  CHECK(preference_loss(margin, target).item<double>() == doctest::Approx(nll).epsilon(1e-12));
  const io::Json quality = preference_quality(margin, target);
  CHECK(quality["count"] == 4);
  CHECK(quality["decided"] == 3);
  CHECK(quality["accuracy"].get<double>() == doctest::Approx(1.5 / 3));
  CHECK(quality["nll"].get<double>() == doctest::Approx(nll).epsilon(1e-12));
  CHECK(preference_quality(margin.narrow(0, 3, 1), target.narrow(0, 3, 1))["accuracy"].is_null());
}

TEST_CASE("preferences: answers that cannot be learned from") {
  const auto refused = [](const at::Tensor& rows, const at::Tensor& y, bool pairs) {
    const Judged judged(rows, y, pairs);
    return exit_of([&] { read_labelled(judged.feedback, "preference", ""); });
  };
  const at::Tensor pair = at::tensor({0, 1}, at::kLong).reshape({1, 2});
  CHECK(refused(pair + 2, at::tensor({1.}), true) == Exit::kBadInput);                       // item 3 of 3
  CHECK(refused(pair - 1, at::tensor({1.}), true) == Exit::kBadInput);
  CHECK(refused(pair, at::tensor({1.5}), true) == Exit::kBadInput);
  CHECK(refused(pair, at::tensor({std::nan("")}), true) == Exit::kBadInput);
  CHECK(refused(pair, at::tensor({1., 1.}), true) == Exit::kBadInput);
  CHECK(refused(at::empty({0, 2}, at::kLong), at::empty({0}), true) == Exit::kBadInput);
  const Judged judged(pair, at::tensor({1.}), true);
  CHECK(exit_of([&] { read_labelled(judged.items, "preference", ""); }) == Exit::kBadInput);  // no answers at all
  RewardTrainingOptions options;
  options.type = "preference";
  options.label_noise = 1;
  CHECK(at::equal(add_label_noise(at::tensor({1., .25}, at::kDouble), 0, options), at::tensor({0., .75}, at::kDouble)));
  options.label_noise = 1.5;
  CHECK(exit_of([&] { add_label_noise(at::tensor({1.}, at::kDouble), 0, options); }) == Exit::kUsage);
}

}  // namespace plumb::rewards
