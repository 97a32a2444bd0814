// Conditioning on a value: drops, weights, targets, guidance, and the closed forms of a Gaussian latent.
// SPDX-License-Identifier: Apache-2.0
#include "diffusion/value_condition.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>

#include <unistd.h>

#include "core/error.h"
#include "core/philox.h"
#include "diffusion/process.h"
#include "diffusion/training.h"
#include "nn/denoiser_fit.h"
#include "nn/subspace_denoiser.h"
#include "unit/diffusion/helpers.h"

namespace plumb::diffusion {
namespace {

using namespace testing;

const float kNone = std::numeric_limits<float>::quiet_NaN();

/// z ~ N(0, I), y = b^T z + N(0, nu2): E[z | x_t, y] and no network. Source: conditional Gaussians; the case's own formula.
class ExactDenoiser : public nn::Denoiser {
 public:
  ExactDenoiser(const Tensor& b, double nu2, const NoiseSchedule& schedule) : schedule_(schedule) {
    const double total = b.dot(b).item<double>() + nu2;
    slope_ = b / total;
    covariance_ = at::eye(b.size(0), at::kDouble) - at::outer(b, b) / total;
  }
  Tensor forward(const Tensor& x_t, const Tensor& timestep, const nn::Condition& condition) override {
    const double a = schedule_.alpha_cumprod(timestep[0].item<int64_t>());
    const Tensor x = x_t.to(at::kDouble);
    const int64_t d = x.size(1);
    const Tensor y = condition.value.to(at::kDouble).unsqueeze(1), mean = y * slope_.unsqueeze(0);
    const Tensor gain = std::sqrt(a) * at::matmul(covariance_, at::linalg_inv(a * covariance_ + (1 - a) * at::eye(d, at::kDouble)));
    const Tensor given = mean + at::matmul(x - std::sqrt(a) * mean, gain.t());
    return at::where(at::isnan(y), std::sqrt(a) * x, given).to(at::kFloat);   // without y: of N(0, I)
  }
  bool takes_value() const override { return true; }
  io::Json config() const override { return {}; }

 private:
  const NoiseSchedule& schedule_;
  Tensor slope_, covariance_;
};

std::vector<int64_t> first_items(int64_t n) {
  std::vector<int64_t> items(static_cast<size_t>(n));
  std::iota(items.begin(), items.end(), 0);
  return items;
}

ScheduleOptions linear_schedule(int64_t steps) {
  return {.num_train_timesteps = steps, .beta_start = 0.1 / static_cast<double>(steps), .beta_end = 20.0 / static_cast<double>(steps),
          .prediction_type = "sample", .steps_offset = 0};
}

Tensor draw(nn::Denoiser& denoiser, const NoiseSchedule& schedule, const std::vector<int64_t>& shape, double value, int64_t n, double scale = 1) {
  const at::NoGradGuard no_grad;
  const auto process = make_gaussian_process({.name = "ddpm", .num_inference_steps = schedule.num_train_timesteps()}, schedule, shape);
  nn::Condition condition;
  condition.value = at::full({n}, value, at::kFloat);
  const ModelFunction model = [&](size_t, const Tensor& x, const Tensor& t, const nn::Condition& c) { return GuidedDenoiser{denoiser, scale}(x, t, c); };
  return run_process(*process, model, {5, first_items(n)}, condition).to(at::kDouble);
}

/// d-dimensional coordinates on the first axes of `elements`, and the value b^T z with noise.
struct LatentFile {
  std::string path = (std::filesystem::temp_directory_path() / ("plumb-value-" + std::to_string(getpid()) + ".h5")).string();
  LatentFile(int64_t rows, int64_t elements, const std::vector<double>& b, double nu) {
    io::H5Writer writer(path);
    writer.create("vectors", io::Type::kF32, {elements});
    writer.create("reward/r", io::Type::kF32, {});
    std::vector<float> x(static_cast<size_t>(rows * elements)), y(static_cast<size_t>(rows));
    Philox random(3, Stream::kSubset);
    for (int64_t i = 0; i < rows; ++i) {
      double value = nu * random.normal();
      for (size_t k = 0; k < b.size(); ++k) {
        const double z = random.normal();
        x[static_cast<size_t>(i * elements) + k] = static_cast<float>(z);
        value += b[k] * z;
      }
      y[static_cast<size_t>(i)] = static_cast<float>(10 + 4 * value);   // raw units that are not standard
    }
    writer.append("vectors", io::Type::kF32, rows, x.data());
    writer.append("reward/r", io::Type::kF32, rows, y.data());
    writer.commit();
  }
  ~LatentFile() { std::filesystem::remove(path); }
};

}  // namespace

TEST_CASE("a Gaussian latent given its noisy reward: the exact conditional denoiser, sampled, gives the closed-form mean and covariance") {
  const Json one = offline_case("gaussian_latent_conditional");
  const Json& in = one.at("inputs"), &want = one.at("expected");
  const Tensor b = tensor_of(in.at("b")), mean = tensor_of(want.at("mean")), cov = tensor_of(want.at("cov"));
  const NoiseSchedule schedule(linear_schedule(200));
  ExactDenoiser denoiser(b, in.at("nu2"), schedule);
  const int64_t n = 8000;
  const Tensor z = draw(denoiser, schedule, {2}, in.at("a"), n);
  const Tensor centred = z - z.mean(0), covariance = at::matmul(centred.t(), centred) / static_cast<double>(n - 1);
  for (int64_t i = 0; i < 2; ++i) {
    const double error = std::sqrt(cov[i][i].item<double>() / static_cast<double>(n));
    CHECK(std::abs(z.mean(0)[i].item<double>() - mean[i].item<double>()) < 4 * error + 0.005);   // the rest: 200 steps, not infinitely many
  }
  CHECK(largest_difference(covariance, cov) < 0.04);
  const Tensor reward = at::matmul(z, b);
  CHECK(std::abs(reward.mean().item<double>() - want.at("expected_reward").get<double>()) < 0.02);
  // guidance w extrapolates from the sample without y to that with it, so it overshoots the target
  CHECK(at::matmul(draw(denoiser, schedule, {2}, in.at("a"), 500, 2.0), b).mean().item<double>() > reward.mean().item<double>() + 0.05);
}

TEST_CASE("guidance without a class: the branch without the value is NaN, and comes first") {
  struct Echo : nn::Denoiser {
    Tensor forward(const Tensor& x, const Tensor&, const nn::Condition& c) override {
      seen = c.value.clone();
      return at::where(at::isnan(c.value), at::ones_like(c.value), 10 * c.value).unsqueeze(1).expand_as(x);
    }
    bool takes_value() const override { return true; }
    io::Json config() const override { return {}; }
    Tensor seen;
  } echo;
  nn::Condition condition;
  condition.value = at::tensor({2.0F, -1.0F});
  const Tensor x = at::zeros({2, 3}), t = at::zeros({2}, at::kLong);
  const Tensor out = GuidedDenoiser{echo, 3.0}(x, t, condition);
  CHECK((echo.seen.sizes() == at::IntArrayRef({4})));
  CHECK(at::isnan(echo.seen).equal(at::tensor({1, 1, 0, 0}, at::kLong).to(at::kBool)));
  CHECK(out[0][0].item<double>() == doctest::Approx(1 + 3.0 * (20 - 1)));
  CHECK(out[1][0].item<double>() == doctest::Approx(1 + 3.0 * (-10 - 1)));
  CHECK(GuidedDenoiser{echo, 1.0}(x, t, condition)[0][0].item<double>() == 20);
}

TEST_CASE("dropped values: alone as labels are; beside labels both, the label alone and the value alone, a share each") {
  const NoiseSchedule schedule({});
  const int64_t n = 3000;
  const Tensor x0 = at::zeros({n, 2}), label = at::zeros({n}, at::kLong), value = at::arange(n, at::kFloat);
  const auto share = [&](const Tensor& mask) { return mask.to(at::kDouble).mean().item<double>(); };
  const TrainingBatch alone = make_training_batch(x0, {}, 0, schedule, 0.2, 8, 0, value);
  CHECK_FALSE(alone.condition.label.defined());
  CHECK(std::abs(share(at::isnan(alone.condition.value)) - 0.2) < 0.03);
  CHECK(at::equal(at::where(at::isnan(alone.condition.value), value, alone.condition.value), value));
  const TrainingBatch both = make_training_batch(x0, label, 1, schedule, 0.2, 8, 0, value);
  const Tensor no_value = at::isnan(both.condition.value), no_label = both.condition.label == 1;
  CHECK(std::abs(share(no_value & no_label) - 0.2) < 0.03);
  CHECK(std::abs(share(no_value & ~no_label) - 0.2) < 0.03);
  CHECK(std::abs(share(~no_value & no_label) - 0.2) < 0.03);
  // a label alone is dropped by the same draws as ever
  CHECK(at::equal(make_training_batch(x0, label, 1, schedule, 0.2, 8, 0).condition.label == 1, at::isnan(alone.condition.value)));
}

TEST_CASE("value weights: exp((y - max) / tau) with mean 1 over the data") {
  const LatentFile data(500, 2, {0.6}, 0.5);
  TrainingCondition condition;
  const io::H5Reader file(data.path);
  condition.value = measure_value(file, "reward/r", "r", 500);
  const Tensor raw = nn::read_all(file, "reward/r").to(at::kDouble);
  CHECK(condition.value->mean == doctest::Approx(raw.mean().item<double>()));
  CHECK(condition.value->std == doctest::Approx(raw.std().item<double>()));
  CHECK(condition.value->max == raw.max().item<double>());
  CHECK(condition.value->min == raw.min().item<double>());
  const Tensor y = condition.value->standardise(raw);
  CHECK(std::abs(y.mean().item<double>()) < 1e-5);
  CHECK(y.std().item<double>() == doctest::Approx(1).epsilon(1e-5));
  CHECK(ValueWeight::parse("none").is_none());
  CHECK(at::equal(ValueWeight()(y), at::ones({500})));
  for (const char* bad : {"exp", "exp:", "exp:0", "exp:-1", "linear", "exp:x"}) CHECK_THROWS_AS(ValueWeight::parse(bad), Error);
  CHECK_THROWS_AS(measure_value(file, "vectors", "r", 500), Error);
  CHECK_THROWS_AS(measure_value(file, "reward/r", "r", 400), Error);
}

TEST_CASE("targets: dealt in turn, a round of classes each; in the value's own units") {
  nn::Model model;
  model.denoiser = nn::make_denoiser({{"type", "mlp"}, {"config", {{"elements", 2}, {"value", true}}}}, "test");
  const ValueCondition value{"r", 10, 4, -2, 30};
  model.manifest = io::Manifest(io::Json{{"model", {{"condition", value.to_json()}}}});
  const Targets targets(" 2, 10,-6", model, 1), rounds("1,2", model, 3);
  CHECK(at::equal(targets.raw({0, 1, 2, 3, 7}), at::tensor({2.0F, 10.0F, -6.0F, 2.0F, 10.0F})));
  CHECK(at::equal(targets.standardised({0, 1, 2}), at::tensor({-2.0F, 0.0F, -4.0F})));
  CHECK(at::equal(rounds.raw({0, 1, 2, 3, 4, 5, 6}), at::tensor({1.0F, 1.0F, 1.0F, 2.0F, 2.0F, 2.0F, 1.0F})));
  CHECK_FALSE(Targets("", model).any());
  for (const char* bad : {"1,,2", "x", "1;2", "inf", ","}) CHECK_THROWS_AS(Targets(bad, model), Error);
  model.manifest = io::Manifest(io::Json{{"model", {{"condition", {{"type", "value"}, {"name", "r"}, {"mean", 1}}}}}});
  CHECK_THROWS_AS(Targets("1", model), Error);
  model.denoiser = nn::make_denoiser({{"type", "mlp"}, {"config", {{"elements", 2}}}}, "test");
  CHECK_THROWS_AS(Targets("1", model), Error);
  CHECK_FALSE(Targets("", model).any());
}

TEST_CASE("a subspace network learns rewards' conditional: what is asked for comes out, on the subspace") {
  const std::vector<double> b{0.6, 0.8};
  const double nu = 0.2;
  const LatentFile data(4096, 6, b, nu);
  const io::H5Reader file(data.path);
  const NoiseSchedule schedule(linear_schedule(100));
  for (const bool residual : {false, true}) {
    CAPTURE(residual);
    io::Json config{{"type", "subspace"}, {"config", {{"elements", 6}, {"subspace_dim", 2}, {"hidden", {48, 48}}, {"num_train_timesteps", 100}, {"residual", residual}}}};
    nn::fit_value(config);
    const auto network = nn::make_denoiser(config, "test");
    nn::initialise(*network, 1);
    nn::fit_schedule(*network, schedule.alphas_cumprod());
    const auto codec = nn::make_codec(io::Space{"vector", {6}, ""}, "test");
    nn::ShuffledRows rows(file, {"vectors"}, 4096, 2);
    rows.add(file, "reward/r");
    const ValueCondition value = measure_value(file, "reward/r", "r", 4096);
    TrainingOptions options;
    options.steps = 900;
    options.batch_size = 128;
    options.lr = 5e-3;
    options.lr_warmup = 50;
    options.ema_decay = 0.98;
    const auto process = make_gaussian_forward(schedule, options.min_snr_gamma);
    Trainer trainer(*network, *process, rows, *codec, options, at::kCPU, nn::Precision::kFp32, value);
    double first = 0, last = 0;
    for (int k = 0; k < 100; ++k) first += trainer.step().loss;
    while (trainer.steps_done() < 800) trainer.step();
    while (!trainer.done()) last += trainer.step().loss;
    CHECK(last < 0.8 * first);
    {
      const at::NoGradGuard no_grad;
      for (auto& [name, tensor] : network->parameters()) {
        for (const auto& [key, averaged] : trainer.result()) {
          if (key == name) tensor.copy_(averaged);
        }
      }
    }
    for (const double target : {0.0, 1.5}) {   // standard deviations of y
      const Tensor x = draw(*network, schedule, {6}, target, 1000);
      const double y = target * std::sqrt(1 + nu * nu);   // in units where b^T z has variance 1
      const double reward = 0.6 * x.select(1, 0).mean().item<double>() + 0.8 * x.select(1, 1).mean().item<double>();
      CHECK(std::abs(reward - y / (1 + nu * nu)) < 0.15);
      CHECK(x.slice(1, 2).norm(2, {1}).mean().item<double>() < 0.1);
    }
  }
}

}  // namespace plumb::diffusion
