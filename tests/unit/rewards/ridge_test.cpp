// SPDX-License-Identifier: Apache-2.0
#include "rewards/ridge.h"

#include <cmath>

#include "artefacts.h"
#include "rewards/reward_training.h"

namespace plumb::rewards {
using namespace test;

namespace {

/// x [N,D], y [N]: any numbers, y not centred.
std::pair<at::Tensor, at::Tensor> data(int64_t n, int64_t d) {
  at::Tensor x = at::empty({n, d}, at::kFloat);
  Philox(3, Stream::kSubset).fill_normal(x.mutable_data_ptr<float>(), x.numel());
  x = x.to(at::kDouble) + 0.5;
  return {x, at::mv(x, at::arange(d, at::kDouble)) + 2.0 + 0.3 * x.select(1, 0).square()};
}

}  // namespace

TEST_CASE("ridge: ridge_estimate") {
  const io::Json c = design_case("ridge_estimate");
  const at::Tensor x = matrix(c.at("inputs").at("X")), y = vector(c.at("inputs").at("y")), want = vector(c.at("expected").at("theta"));
  RidgeFit fit(2, false);
  fit.add(x, y);
  const RidgeFit::Solution solution = fit.solve(c.at("inputs").at("lam").get<double>());
  const double atol = c.at("atol").get<double>();
  CHECK((solution.theta - want).abs().max().item<double>() < atol);
  CHECK(solution.intercept == 0.0);
  CHECK(std::abs(solution.theta.dot(vector(c.at("inputs").at("x_new"))).item<double>() - c.at("expected").at("pred").get<double>()) < atol);
  CHECK(solution.mean_square == doctest::Approx((y - at::mv(x, solution.theta)).square().mean().item<double>()).epsilon(1e-12));
}

TEST_CASE("ridge: in pieces as in one, intercept without penalty, gradient of the criterion is 0") {
  const auto [x, y] = data(50, 4);
  for (const bool intercept : {false, true}) {
    RidgeFit whole(4, intercept), pieces(4, intercept);
    whole.add(x, y);
    pieces.add(x.narrow(0, 0, 7), y.narrow(0, 0, 7));
    pieces.add(x.narrow(0, 7, 43), y.narrow(0, 7, 43));
    const RidgeFit::Solution a = whole.solve(2.5), b = pieces.solve(2.5);
    CHECK((a.theta - b.theta).abs().max().item<double>() < 1e-12);
    const at::Tensor residual = y - at::mv(x, a.theta) - a.intercept;
    CHECK((at::mv(x.t(), residual) - 2.5 * a.theta).abs().max().item<double>() < 1e-10);
    if (intercept) CHECK(std::abs(residual.sum().item<double>()) < 1e-10);
    CHECK(a.mean_square == doctest::Approx(residual.square().mean().item<double>()).epsilon(1e-9));
  }
}

TEST_CASE("ridge: singular without a penalty, too many features") {
  std::string message;
  RidgeFit fit(3, false);
  fit.add(at::ones({2, 3}, at::kDouble), at::ones({2}, at::kDouble));
  CHECK(exit_of([&] { fit.solve(0); }, &message) == Exit::kBadNumbers);
  CHECK(message.find("a larger --ridge") != std::string::npos);
  CHECK(fit.solve(1).theta.sum().item<double>() == doctest::Approx(6.0 / 7).epsilon(1e-12));
  CHECK(exit_of([&] { RidgeFit(20000, false); }) == Exit::kBadInput);
}

TEST_CASE("ridge: the trainer's only step fits raw targets, by item and by words") {
  const Folder folder;
  const auto [x, y] = data(60, 3);
  {
    io::H5Writer writer(folder / "v.h5");
    nn::write_tensor(writer, "vectors", x.to(at::kFloat));
    io::commit_artefact(writer, io::Manifest({{"format", "plumb/1"}, {"kind", "dataset"}, {"count", 60}, {"space", {{"type", "vector"}, {"shape", {3}}}}}));
  }
  const io::Space space{"vector", {3}, ""};
  RewardTrainingOptions options;
  options.type = "regressor";
  options.held_out = 0.2;
  options.ridge = 0.7;
  const io::H5Reader file(folder / "v.h5");
  const ItemRows rows(file, "vectors");
  const auto codec = nn::make_codec(space, "test");
  const Split split = split_items(60, options);
  const auto predictor = nn::make_predictor(nn::predictor_preset("linear", space, 1), "test");
  RewardTrainer trainer(*predictor, rows, *codec, y, split, options, at::kCPU);
  CHECK(trainer.total_steps() == 1);
  const RewardTrainingRecord record = trainer.step();
  CHECK(trainer.done());
  trainer.use_best();
  CHECK(trainer.scale().mean == 0.0);
  CHECK(trainer.scale().std == 1.0);
  RidgeFit fit(3, false);
  const at::Tensor train = at::tensor(split.train, at::kLong), held = at::tensor(split.held_out, at::kLong);
  fit.add(x.to(at::kFloat).to(at::kDouble).index_select(0, train), y.index_select(0, train));
  const RidgeFit::Solution want = fit.solve(0.7);
  const at::Tensor weight = predictor->state().at(0).second;
  CHECK((weight.squeeze(0).to(at::kDouble) - want.theta).abs().max().item<double>() < 1e-6);
  CHECK(predictor->state().at(1).second.abs().max().item<double>() == 0.0);   // no intercept was asked for
  const at::Tensor error = at::mv(x, want.theta) - y;
  CHECK(record.held_out_loss == doctest::Approx(error.index_select(0, held).square().mean().item<double>()).epsilon(1e-5));
  CHECK(record.loss == doctest::Approx(want.mean_square).epsilon(1e-12));

  const auto mlp = nn::make_predictor(nn::predictor_preset("vector", space, 1), "test");
  CHECK(exit_of([&] { RewardTrainer(*mlp, rows, *codec, y, split, options, at::kCPU); }) == Exit::kUsage);
}

}  // namespace plumb::rewards
