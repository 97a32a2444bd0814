// SPDX-License-Identifier: Apache-2.0
#include "rewards/forward_noise.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "artefacts.h"
#include "rewards/reward_training.h"

namespace plumb::rewards {
using namespace test;

namespace {

diffusion::NoiseSchedule schedule() {
  diffusion::ScheduleOptions options;
  options.num_train_timesteps = 100;
  return diffusion::NoiseSchedule(options);
}

/// The timesteps that `numbers` draw: x_t / x0 of an item so large that the noise does not count.
std::vector<int64_t> drawn(const ForwardNoise& noise, const std::vector<int64_t>& numbers, ForwardNoise::Use use) {
  const at::Tensor x0 = at::full({static_cast<int64_t>(numbers.size()), 1}, 1e6);
  const at::Tensor root = noise.noised(x0, numbers, use).squeeze(1) / 1e6;
  std::vector<int64_t> steps;
  for (int64_t i = 0; i < root.size(0); ++i) {
    const double a = std::pow(root[i].item<double>(), 2);
    const std::vector<double> all = schedule().alphas_cumprod();
    const auto nearest = std::min_element(all.begin(), all.end(), [a](double b, double c) { return std::abs(b - a) < std::abs(c - a); });
    steps.push_back(nearest - all.begin());
  }
  return steps;
}

std::vector<int64_t> range(int64_t first, int64_t count) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < count; ++i) numbers.push_back(first + i);
  return numbers;
}

}  // namespace

TEST_CASE("forward noise: a function of seed, number and use, whatever the batch") {
  const ForwardNoise noise(schedule(), 0, 7), other(schedule(), 0, 8);
  const at::Tensor x0 = at::arange(12, at::kFloat).view({4, 3});
  const at::Tensor all = noise.noised(x0, {5, 6, 7, 8}, ForwardNoise::kTraining);
  CHECK(at::equal(noise.noised(x0.narrow(0, 2, 1), {7}, ForwardNoise::kTraining), all.narrow(0, 2, 1)));
  CHECK_FALSE(at::equal(noise.noised(x0, {5, 6, 7, 8}, ForwardNoise::kHeldOut), all));
  CHECK_FALSE(at::equal(other.noised(x0, {5, 6, 7, 8}, ForwardNoise::kTraining), all));
}

TEST_CASE("forward noise: timesteps uniform over all, or over a sampler's; x_t has its mean and variance") {
  const ForwardNoise all(schedule(), 0, 7), grid(schedule(), 5, 7);
  const std::vector<int64_t> steps = drawn(all, range(0, 4000), ForwardNoise::kTraining);
  std::vector<int64_t> count(4);
  for (const int64_t t : steps) ++count[static_cast<size_t>(t / 25)];
  for (const int64_t c : count) CHECK(std::abs(static_cast<double>(c) - 1000) < 5 * std::sqrt(4000 * .25 * .75));
  std::vector<int64_t> wanted = schedule().timesteps(5);
  std::sort(wanted.begin(), wanted.end());
  CHECK(grid.timesteps() == wanted);
  const std::vector<int64_t> few = drawn(grid, range(0, 200), ForwardNoise::kHeldOut);
  CHECK(std::set<int64_t>(few.begin(), few.end()) == std::set<int64_t>(wanted.begin(), wanted.end()));
  CHECK(all.levels() == std::vector<int64_t>{0, 24, 49, 74, 99});
  CHECK(ForwardNoise(schedule(), 1, 7).levels().size() == 1);

  const int64_t t = 40;
  const double a = schedule().alpha_cumprod(t);
  const at::Tensor x = all.noised_at(at::full({20000, 1}, 2.0), range(0, 20000), t, ForwardNoise::kTraining).to(at::kDouble);
  CHECK(std::abs(x.mean().item<double>() - 2 * std::sqrt(a)) < 5 * std::sqrt((1 - a) / 20000));
  CHECK(x.var().item<double>() == doctest::Approx(1 - a).epsilon(0.06));
}

TEST_CASE("forward noise: of a model; other items and other processes are refused") {
  io::Json json{{"format", "plumb/1"}, {"kind", "model"}, {"space", {{"type", "vector"}, {"shape", {3}}}}};
  json["model"]["schedule"] = schedule().options().to_json();
  const io::Space space{"vector", {3}, ""};
  const auto noise = ForwardNoise::of_model(io::Manifest(json), space, 0, 7);
  const at::Tensor x0 = at::ones({2, 3});
  CHECK(at::equal(noise->noised(x0, {1, 2}, ForwardNoise::kTraining), ForwardNoise(schedule(), 0, 7).noised(x0, {1, 2}, ForwardNoise::kTraining)));
  std::string message;
  CHECK(exit_of([&] { ForwardNoise::of_model(io::Manifest(json), {"vector", {4}, ""}, 0, 7); }) == Exit::kBadInput);
  CHECK(exit_of([&] { ForwardNoise::of_model(io::Manifest(json), space, 101, 7); }) == Exit::kUsage);
  json["model"]["schedule"]["process"] = "gaussian";
  CHECK(ForwardNoise::of_model(io::Manifest(json), space, 10, 7)->timesteps().size() == 10);
  json["model"]["schedule"]["process"] = "masked";
  CHECK(exit_of([&] { ForwardNoise::of_model(io::Manifest(json), space, 0, 7); }, &message) == Exit::kBadInput);
  CHECK(message.find("not Gaussian noise") != std::string::npos);
}

// y = theta^T x0 and x0 ~ N(0, I): the best linear estimate from x_t at one timestep is sqrt(a) theta^T x_t, with error (1 - a) |theta|^2.
TEST_CASE("forward noise: a ridge estimate from x_t is that of the noised items") {
  const Folder folder;
  const int64_t n = 4000;
  at::Tensor x = at::empty({n, 3}, at::kFloat);
  Philox(3, Stream::kSubset).fill_normal(x.mutable_data_ptr<float>(), x.numel());
  const at::Tensor theta = at::tensor({1.0, -2.0, 0.5}, at::kDouble), y = at::mv(x.to(at::kDouble), theta);
  {
    io::H5Writer writer(folder / "v.h5");
    nn::write_tensor(writer, "vectors", x);
    io::commit_artefact(writer, io::Manifest({{"format", "plumb/1"}, {"kind", "dataset"}, {"count", n}, {"space", {{"type", "vector"}, {"shape", {3}}}}}));
  }
  diffusion::ScheduleOptions mild;
  mild.beta_start = mild.beta_end = 0.01;
  mild.num_train_timesteps = 50;
  mild.timestep_spacing = "trailing";   // the last one, alphas_cumprod 0.605
  const diffusion::NoiseSchedule process(mild);
  const int64_t t = process.timesteps(1).at(0);
  const double a = process.alpha_cumprod(t);
  const io::Space space{"vector", {3}, ""};
  RewardTrainingOptions options;
  options.type = "regressor";
  options.held_out = 0.25;
  options.ridge = 1e-6;
  const io::H5Reader file(folder / "v.h5");
  const ItemRows rows(file, "vectors", std::make_shared<const ForwardNoise>(process, 1, 5));
  const auto codec = nn::make_codec(space, "test");
  const auto predictor = nn::make_predictor(nn::predictor_preset("linear", space, 1), "test");
  const Split split = split_items(n, options);
  RewardTrainer trainer(*predictor, rows, *codec, y, split, options, at::kCPU);
  const RewardTrainingRecord record = trainer.step();
  trainer.use_best();
  const at::Tensor weight = predictor->state().at(0).second.squeeze(0).to(at::kDouble);
  const double variance = (1 - a) * theta.square().sum().item<double>();
  CHECK((weight - std::sqrt(a) * theta).abs().max().item<double>() < 5 * std::sqrt(variance / 3000));
  CHECK(record.held_out_loss == doctest::Approx(variance).epsilon(0.2));   // of a chi-square with 1000 items, 4.5 standard errors
  const at::Tensor held_target = y.index_select(0, at::tensor(split.held_out, at::kLong));
  const io::Json levels = noise_level_quality(*predictor, rows, *codec, split.held_out, held_target, {}, at::kCPU);
  CHECK(levels.size() == 1);
  CHECK(levels[0].at("timestep") == t);
  CHECK(std::pow(levels[0].at("rmse").get<double>(), 2) == doctest::Approx(record.held_out_loss).epsilon(1e-5));   // the only timestep there is
}

}  // namespace plumb::rewards
