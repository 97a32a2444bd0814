// The training loss, its draws, and a resumed trainer.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/training.h"

#include <cmath>
#include <filesystem>
#include <set>

#include <torch/csrc/autograd/autograd.h>
#include <unistd.h>

#include "core/error.h"
#include "unit/diffusion/helpers.h"

namespace plumb::diffusion {
namespace {

using namespace testing;

/// A dataset file of `rows` vectors of 4 with labels 0..2; the first element of a row is its number.
struct VectorFile {
  std::string path = (std::filesystem::temp_directory_path() / ("plumb-training-" + std::to_string(getpid()) + ".h5")).string();
  explicit VectorFile(int64_t rows) {
    io::H5Writer writer(path);
    writer.create("vectors", io::Type::kF32, {4});
    writer.create("label", io::Type::kI64, {});
    std::vector<float> values;
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < rows; ++i) {
      for (int k = 0; k < 4; ++k) values.push_back(k == 0 ? static_cast<float>(i) : std::sin(static_cast<float>(i * 4 + k)));
      labels.push_back(i % 3);
    }
    writer.append("vectors", io::Type::kF32, rows, values.data());
    writer.append("label", io::Type::kI64, rows, labels.data());
    writer.commit();
  }
  ~VectorFile() { std::filesystem::remove(path); }
};

std::vector<int64_t> numbers(const Tensor& rows) {
  const Tensor column = rows.select(1, 0).to(at::kLong).contiguous();
  return {column.data_ptr<int64_t>(), column.data_ptr<int64_t>() + column.numel()};
}

TrainingOptions small_run() {
  TrainingOptions o;
  o.steps = 12;
  o.batch_size = 5;
  o.lr = 0.01;
  o.lr_warmup = 3;
  o.ema_decay = 0.9;
  o.seed = 4;
  return o;
}

}  // namespace

TEST_CASE("min-SNR weights by hand, and the same loss on x0 whatever is predicted") {
  ScheduleOptions options;
  const Tensor t = at::tensor({0, 100, 300, 600, 999}, at::kLong);
  const Tensor snr = NoiseSchedule(options).snr(t), gamma = at::full({}, 5.0, at::kDouble);
  CHECK(snr[0].item<double>() == doctest::Approx(0.9999 / 0.0001).epsilon(1e-9));
  for (const char* type : {"epsilon", "sample", "v_prediction"}) {
    options.prediction_type = type;
    const NoiseSchedule schedule(options);
    const Tensor weight = min_snr_weight(schedule, t, 5.0).to(at::kDouble);
    // An error e of predicted x0 is an error e * sqrt(snr) of epsilon and e * sqrt(snr + 1) of v.
    const std::string name = type;
    const Tensor scale = name == "sample" ? at::ones_like(snr) : name == "epsilon" ? snr : snr + 1;
    CHECK(largest_difference(weight * scale, at::minimum(snr, gamma)) < 1e-5);
    CHECK(at::equal(min_snr_weight(schedule, t, 0), at::ones({5})));
  }
}

TEST_CASE("learning rate: warm-up, then constant or half a cosine") {
  TrainingOptions o;
  o.steps = 110;
  o.lr = 1e-2;
  o.lr_warmup = 10;
  CHECK(learning_rate(o, 0) == doctest::Approx(1e-3));
  CHECK(learning_rate(o, 9) == doctest::Approx(1e-2));
  CHECK(learning_rate(o, 10) == doctest::Approx(1e-2));
  CHECK(learning_rate(o, 60) == doctest::Approx(5e-3));
  CHECK(learning_rate(o, 109) == doctest::Approx(1e-2 * 0.5 * (1 + std::cos(M_PI * 0.99))));
  o.lr_schedule = "constant";
  CHECK(learning_rate(o, 109) == 1e-2);
}

TEST_CASE("draws belong to the example's number: a batch split in two is the same batch") {
  const NoiseSchedule schedule({});
  const Tensor x0 = at::arange(400, at::kFloat).reshape({100, 4}), label = at::arange(100, at::kLong) % 3;
  const TrainingBatch whole = make_training_batch(x0, label, 3, schedule, 0.25, 8, 1000);
  const TrainingBatch tail = make_training_batch(x0.narrow(0, 60, 40), label.narrow(0, 60, 40), 3, schedule, 0.25, 8, 1060);
  CHECK(at::equal(whole.eps.narrow(0, 60, 40), tail.eps));
  CHECK(at::equal(whole.t.narrow(0, 60, 40), tail.t));
  CHECK(at::equal(whole.condition.label.narrow(0, 60, 40), tail.condition.label));
  CHECK_FALSE(at::equal(whole.eps.narrow(0, 0, 40), tail.eps));
  const int64_t dropped = (whole.condition.label == 3).sum().item<int64_t>();
  CHECK(dropped > 8);  // 25 expected, standard deviation 4.3
  CHECK(dropped < 45);
  CHECK(at::equal(at::where(whole.condition.label == 3, label, whole.condition.label), label));
  CHECK(std::abs(whole.t.to(at::kDouble).mean().item<double>() - 499.5) < 120);  // standard deviation 29
  CHECK(std::abs(whole.eps.mean().item<double>()) < 0.25);
  CHECK_FALSE(make_training_batch(x0, {}, 0, schedule, 0.5, 8, 0).condition.label.defined());
  CHECK_THROWS_AS(make_training_batch(x0, label + 1, 3, schedule, 0.0, 8, 0), Error);
}

TEST_CASE("the loss is the mean squared error of each item against the target") {
  const NoiseSchedule schedule({.prediction_type = "sample"});
  TinyDenoiser denoiser(3);
  const at::NoGradGuard no_grad;
  TrainingBatch batch{at::ones({2, 4}), at::zeros({2, 4}), at::tensor({0, 999}, at::kLong), {}};
  batch.condition.label = at::tensor({0, 3}, at::kLong);
  const Tensor error = denoising_error(denoiser, schedule, batch);
  // x_t = sqrt(a); output = 0.5 sqrt(a) + t/1000 + 0.1 (label + 1); target 1.
  const double first = 0.5 * std::sqrt(0.9999) + 0.1 - 1, last = 0.5 * std::sqrt(schedule.alpha_cumprod(int64_t{999})) + 0.999 + 0.4 - 1;
  CHECK(error[0].item<double>() == doctest::Approx(first * first).epsilon(1e-6));
  CHECK(error[1].item<double>() == doctest::Approx(last * last).epsilon(1e-6));
}

TEST_CASE("rows come once an epoch, each epoch in its own order, with one group or many") {
  const VectorFile data(1000);
  const io::H5Reader file(data.path);
  for (const int64_t buffer : {int64_t{1} << 26, int64_t{4000}}) {
    nn::ShuffledRows rows(file, {"vectors", "label"}, 1000, 3, buffer);
    std::vector<std::vector<int64_t>> orders;
    for (int64_t epoch = 0; epoch < 2; ++epoch) {
      std::vector<int64_t> order;
      for (int64_t at = 0; at < 1000; at += 40) {
        const std::vector<Tensor> batch = rows.take(epoch * 1000 + at, 40);
        const std::vector<int64_t> part = numbers(batch[0]);
        for (size_t i = 0; i < part.size(); ++i) CHECK(batch[1][static_cast<int64_t>(i)].item<int64_t>() == part[i] % 3);
        order.insert(order.end(), part.begin(), part.end());
      }
      CHECK(std::set<int64_t>(order.begin(), order.end()).size() == 1000);
      orders.push_back(order);
    }
    CHECK(orders[0] != orders[1]);
    nn::ShuffledRows other(file, {"vectors"}, 1000, 3, buffer);  // reads from the middle, across the epoch's end
    const std::vector<int64_t> across = numbers(other.take(990, 20)[0]);
    CHECK(std::equal(across.begin(), across.begin() + 10, orders[0].end() - 10));
    CHECK(std::equal(across.begin() + 10, across.end(), orders[1].begin()));
    CHECK(numbers(nn::ShuffledRows(file, {"vectors"}, 1000, 4, buffer).take(0, 40)[0]) != numbers(rows.take(0, 40)[0]));
  }
}

TEST_CASE("a file of several blocks is shuffled across blocks too, and only one group is in memory") {
  const VectorFile data(200000);  // 24 bytes a row: 5 blocks of 43690 rows
  const io::H5Reader file(data.path);
  nn::ShuffledRows rows(file, {"vectors", "label"}, 200000, 1, 3 << 20);
  CHECK(rows.buffer_bytes() <= 3 << 20);
  const std::vector<int64_t> order = numbers(rows.take(0, 200000)[0]);
  CHECK(std::set<int64_t>(order.begin(), order.end()).size() == 200000);
  std::set<int64_t> blocks;
  for (size_t i = 0; i < 100; ++i) blocks.insert(order[i] / 43690);
  CHECK(blocks.size() == 3);  // a group mixes its three blocks
}

TEST_CASE("a trainer restored from a checkpoint goes on bit for bit") {
  const VectorFile data(23);
  const io::H5Reader file(data.path);
  const auto process = make_gaussian_forward(NoiseSchedule({}), small_run().min_snr_gamma);
  const auto codec = nn::make_codec(io::Space{"vector", {4}, ""}, data.path);
  const auto train = [&](int64_t stop_at) {
    nn::Checkpoint saved;
    std::vector<double> losses;
    for (int part = 0; part < 2; ++part) {  // as two processes would
      TinyDenoiser denoiser(3);
      nn::ShuffledRows rows(file, {"vectors", "label"}, 23, small_run().seed);
      Trainer trainer(denoiser, *process, rows, *codec, small_run(), at::kCPU);
      if (part == 1) trainer.restore(saved);
      while (!trainer.done() && !(part == 0 && trainer.steps_done() == stop_at)) losses.push_back(trainer.step().loss);
      saved = {};
      trainer.save(saved);
      for (auto& [name, tensor] : saved.tensors) tensor = tensor.clone();
      if (part == 1) return std::pair{losses, trainer.result().front().second.clone()};
    }
    return std::pair{losses, Tensor()};
  };
  const auto [straight, weight] = train(12);
  REQUIRE(straight.size() == 12);
  for (const int64_t stop : {1, 7}) {
    const auto [losses, resumed] = train(stop);
    CHECK(losses == straight);
    CHECK(at::equal(resumed, weight));
  }
}

TEST_CASE("a loss that is not a number stops the run with its step") {
  const VectorFile data(10);
  const io::H5Reader file(data.path);
  TinyDenoiser denoiser(3);
  {
    const at::NoGradGuard no_grad;
    denoiser.parameters().front().second.fill_(std::nan(""));
  }
  const auto process = make_gaussian_forward(NoiseSchedule({}), small_run().min_snr_gamma);
  const auto codec = nn::make_codec(io::Space{"vector", {4}, ""}, data.path);
  nn::ShuffledRows rows(file, {"vectors", "label"}, 10, 0);
  Trainer trainer(denoiser, *process, rows, *codec, small_run(), at::kCPU);
  try {
    trainer.step();
    FAIL("a NaN was trained on");
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::kBadNumbers);
    CHECK(std::string(error.what()).find("step 1") != std::string::npos);
  }
}

}  // namespace plumb::diffusion
