// SPDX-License-Identifier: Apache-2.0
#include "rewards/reward_training.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"
#include "nn/dropout.h"
#include "nn/linear_predictor.h"
#include "rewards/comparisons.h"
#include "rewards/ridge.h"

namespace plumb::rewards {
namespace {

constexpr int64_t kMemoryBytes = int64_t{1} << 30;
constexpr int64_t kPredictBatch = 256;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<int64_t> numbered(int64_t first, int64_t count) {
  std::vector<int64_t> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

Tensor index_tensor(const std::vector<int64_t>& rows) { return at::tensor(rows, at::kLong); }

}  // namespace

Split split_items(int64_t count, const RewardTrainingOptions& options) {
  std::vector<int64_t> all(static_cast<size_t>(count));
  std::iota(all.begin(), all.end(), int64_t{0});
  return split_items(std::move(all), options);
}

Split split_items(std::vector<int64_t> chosen, const RewardTrainingOptions& options) {
  const auto count = static_cast<int64_t>(chosen.size());
  if (options.labels > count) {
    throw Error(Exit::kBadInput, "--labels", cat(options.labels, " are asked for, there are ", count));
  }
  if (options.labels > 0) {
    std::vector<std::pair<uint64_t, int64_t>> draws;
    for (const int64_t item : chosen) {
      Philox random(options.seed, Stream::kSubset, static_cast<uint64_t>(item));
      const uint64_t high = random.next();
      draws.emplace_back((high << 32) | random.next(), item);
    }
    std::sort(draws.begin(), draws.end());
    chosen.resize(static_cast<size_t>(options.labels));
    for (size_t i = 0; i < chosen.size(); ++i) chosen[i] = draws[i].second;
    std::sort(chosen.begin(), chosen.end());
  }
  Split split;
  for (int64_t item : chosen) {
    const bool held = Philox(options.seed, Stream::kSplit, static_cast<uint64_t>(item)).uniform() < options.held_out;
    (held ? split.held_out : split.train).push_back(item);
  }
  if (split.train.empty()) throw Error(Exit::kBadInput, "items", "none are left to train on", "use more --labels");
  if (options.held_out > 0 && split.held_out.size() < 2) {
    throw Error(Exit::kBadInput, "--held-out", cat("leaves ", split.held_out.size(), " of ", chosen.size(), " items to test on"),
                "raise it, or set it to 0 for neither early stopping nor metrics");
  }
  return split;
}

std::vector<int64_t> items_below(const Tensor& target, const RewardTrainingOptions& options, double& threshold) {
  const Tensor sorted = std::get<0>(target.sort()).contiguous();
  const double* values = sorted.const_data_ptr<double>();
  const double place = options.below * static_cast<double>(target.size(0) - 1);
  const auto low = static_cast<int64_t>(place), high = std::min<int64_t>(low + 1, target.size(0) - 1);
  const double share = place - static_cast<double>(low);
  threshold = share > 0 ? values[low] + share * (values[high] - values[low]) : values[low];
  const Tensor by_item = target.contiguous();
  const double* of_item = by_item.const_data_ptr<double>();
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < target.size(0); ++i) {
    if (of_item[i] <= threshold) kept.push_back(i);
  }
  return kept;
}

TargetScale target_scale(const Tensor& target, const std::vector<int64_t>& rows) {
  const Tensor known = target.index_select(0, index_tensor(rows));
  const TargetScale scale{known.mean().item<double>(), rows.size() > 1 ? known.std().item<double>() : 0};
  if (!(scale.std > 0)) throw Error(Exit::kBadInput, "target", "is the same for every item: there is nothing to learn");
  return scale;
}

int64_t planned_steps(int64_t train, const RewardTrainingOptions& options) {
  if (options.ridge) return 1;
  if (options.steps > 0) return options.steps;
  return std::max<int64_t>(1, std::llround(options.epochs * static_cast<double>(train) / static_cast<double>(options.batch_size)));
}

Tensor add_label_noise(const Tensor& target, int64_t num_classes, const RewardTrainingOptions& options) {
  if (options.label_noise == 0) return target;
  const bool preference = options.type == "preference";
  if ((num_classes > 0 || preference) && options.label_noise > 1) {
    throw Error(Exit::kUsage, "--label-noise", cat("for a ", options.type, " it is a share of the ", preference ? "answers" : "labels", ", at most 1"));
  }
  Tensor noisy = target.clone();
  for (int64_t i = 0; i < target.size(0); ++i) {
    Philox random(options.seed, Stream::kLabelNoise, static_cast<uint64_t>(i));
    if (preference) {
      if (double& share = noisy.mutable_data_ptr<double>()[i]; random.uniform() < options.label_noise) share = 1 - share;
    } else if (num_classes == 0) {
      noisy.mutable_data_ptr<double>()[i] += options.label_noise * random.normal();
    } else if (random.uniform() < options.label_noise) {
      noisy.mutable_data_ptr<int64_t>()[i] = static_cast<int64_t>(random.below(static_cast<uint64_t>(num_classes)));
    }
  }
  return noisy;
}

ItemRows::ItemRows(const io::H5Reader& file, std::string dataset, std::shared_ptr<const ForwardNoise> noise)
    : file_(file), dataset_(std::move(dataset)), noise_(std::move(noise)) {
  const io::DatasetInfo info = file.info(dataset_);
  const int64_t numel = std::accumulate(info.shape.begin(), info.shape.end(), int64_t{1}, std::multiplies<>());
  if (numel * static_cast<int64_t>(io::size_of(info.type)) <= kMemoryBytes) all_ = nn::read_all(file, dataset_);
}

Tensor ItemRows::take(const std::vector<int64_t>& rows) const {
  if (all_.defined()) return all_.index_select(0, index_tensor(rows));
  std::vector<Tensor> parts;
  for (int64_t row : rows) parts.push_back(nn::read_rows(file_, dataset_, row, 1));
  return at::cat(parts);
}

Tensor shift_images(const Tensor& x, int64_t shift, uint64_t seed, int64_t first) {
  const Tensor padded = at::replication_pad2d(x, {shift, shift, shift, shift});
  std::vector<Tensor> moved;
  for (int64_t i = 0; i < x.size(0); ++i) {
    Philox random(seed, Stream::kAugment, static_cast<uint64_t>(first + i), 1);
    const auto down = static_cast<int64_t>(random.below(static_cast<uint64_t>(2 * shift + 1)));
    const auto right = static_cast<int64_t>(random.below(static_cast<uint64_t>(2 * shift + 1)));
    moved.push_back(padded[i].narrow(1, down, x.size(2)).narrow(2, right, x.size(3)));
  }
  return at::stack(moved);
}

Tensor predict(nn::Predictor& predictor, const ItemRows& items, const nn::Codec& codec, const std::vector<int64_t>& rows,
               at::Device device, std::optional<int64_t> timestep) {
  const at::NoGradGuard no_grad;
  const bool was_training = predictor.is_training();
  predictor.train(false);
  std::vector<Tensor> parts;
  for (size_t begin = 0; begin < rows.size(); begin += kPredictBatch) {
    const size_t end = std::min(rows.size(), begin + kPredictBatch);
    const std::vector<int64_t> batch(rows.begin() + static_cast<std::ptrdiff_t>(begin), rows.begin() + static_cast<std::ptrdiff_t>(end));
    Tensor x = codec.encode(items.take(batch));
    if (const ForwardNoise* noise = items.noise()) {
      x = timestep ? noise->noised_at(x, batch, *timestep, ForwardNoise::kHeldOut) : noise->noised(x, batch, ForwardNoise::kHeldOut);
    }
    parts.push_back(predictor.forward(x.to(device)).to(at::kCPU, at::kDouble));
  }
  predictor.train(was_training);
  return at::cat(parts);
}

Tensor predict_margins(nn::Predictor& predictor, const ItemRows& items, const nn::Codec& codec, const Tensor& pairs, const std::vector<int64_t>& rows,
                       at::Device device) {
  return margins(predict(predictor, items, codec, compared_rows(pairs, rows), device), pairs, rows);
}

io::Json noise_level_quality(nn::Predictor& predictor, const ItemRows& items, const nn::Codec& codec, const std::vector<int64_t>& rows,
                             const Tensor& target, const OutputScale& scale, at::Device device) {
  io::Json levels = io::Json::array();
  for (const int64_t t : items.noise()->levels()) {
    io::Json level{{"timestep", t}, {"alpha_cumprod", items.noise()->alpha_cumprod(t)}};
    level.update(quality_json(predict(predictor, items, codec, rows, device, t), target, scale));
    levels.push_back(std::move(level));
  }
  return levels;
}

RewardTrainer::RewardTrainer(nn::Predictor& predictor, const ItemRows& items, const nn::Codec& codec, const Tensor& target,
                             Split split, const RewardTrainingOptions& options, at::Device device, std::optional<TargetScale> scale, Tensor pairs)
    : predictor_(predictor), items_(items), codec_(codec), target_(target), pairs_(std::move(pairs)), split_(std::move(split)), options_(options),
      device_(device), optimizer_(predictor.parameters(), nn::AdamWOptions{.lr = options.lr, .weight_decay = options.weight_decay}),
      best_loss_(std::numeric_limits<double>::infinity()) {
  if (optimizer_.parameters().empty()) throw Error(Exit::kBadInput, "network", "has no parameters: there is nothing to train");
  const auto train = static_cast<int64_t>(split_.train.size());
  const int64_t pass = std::max<int64_t>(1, (train + options.batch_size - 1) / options.batch_size);
  total_steps_ = planned_steps(train, options);
  evaluate_every_ = options.evaluate_every > 0 ? options.evaluate_every : pass;
  if (options.ridge) {
    if (!dynamic_cast<nn::LinearPredictor*>(&predictor)) throw Error(Exit::kUsage, "--ridge", "needs a linear network", "--network linear, or kmer");
  } else if (options.type == "regressor") {
    scale_ = scale ? *scale : target_scale(target, split_.train);
    target_ = ((target - scale_.mean) / scale_.std).to(at::kFloat);
  }
  predictor_.set_requires_grad(true);
  predictor_.train(true);
}

Tensor RewardTrainer::loss(const Tensor& outputs, const Tensor& target, double smoothing) const {
  const Tensor wanted = target.to(outputs.device());
  if (pairs_.defined()) return preference_loss(outputs, wanted * (1 - smoothing) + smoothing / 2);
  if (options_.type == "regressor") return (outputs.squeeze(1) - wanted).square().mean();
  return at::cross_entropy_loss(outputs, wanted, {}, at::Reduction::Mean, -100, smoothing);
}

std::vector<int64_t> RewardTrainer::examples(int64_t first, int64_t count) {
  const auto train = static_cast<int64_t>(split_.train.size());
  std::vector<int64_t> rows;
  for (int64_t example = first; example < first + count; ++example) {
    if (const int64_t epoch = example / train; epoch != order_epoch_) {
      Philox random(options_.seed, Stream::kShuffle, static_cast<uint64_t>(epoch));
      order_ = permutation(train, random);
      order_epoch_ = epoch;
    }
    rows.push_back(split_.train[static_cast<size_t>(order_[static_cast<size_t>(example % train)])]);
  }
  return rows;
}

double RewardTrainer::learning_rate() const {
  const int64_t warmup = options_.lr_warmup.value_or(std::min<int64_t>(100, total_steps_ / 10));
  if (steps_done_ < warmup) return options_.lr * static_cast<double>(steps_done_ + 1) / static_cast<double>(warmup);
  const double span = static_cast<double>(std::max<int64_t>(1, total_steps_ - warmup));
  return options_.lr * 0.5 * (1 + std::cos(3.14159265358979323846 * static_cast<double>(steps_done_ - warmup) / span));
}

RewardTrainingRecord RewardTrainer::ridge_step() {
  const at::NoGradGuard no_grad;
  auto& linear = dynamic_cast<nn::LinearPredictor&>(predictor_);
  RidgeFit fit(linear.feature_dimension(), options_.ridge_intercept);
  for (size_t begin = 0; begin < split_.train.size(); begin += kPredictBatch) {
    const size_t end = std::min(split_.train.size(), begin + kPredictBatch);
    const std::vector<int64_t> rows(split_.train.begin() + static_cast<std::ptrdiff_t>(begin), split_.train.begin() + static_cast<std::ptrdiff_t>(end));
    Tensor x = codec_.encode(items_.take(rows));
    if (items_.noise()) x = items_.noise()->noised(x, numbered(static_cast<int64_t>(begin), x.size(0)), ForwardNoise::kTraining);
    fit.add(linear.features(x.to(device_)).to(at::kCPU, at::kDouble), target_.index_select(0, index_tensor(rows)));
  }
  const RidgeFit::Solution solution = fit.solve(*options_.ridge);
  linear.set_head(solution.theta.unsqueeze(0), at::full({1}, solution.intercept, at::kDouble));
  steps_done_ = 1;
  RewardTrainingRecord record{.step = 1, .loss = check_finite(solution.mean_square, "loss"), .held_out_loss = kNaN};
  if (!split_.held_out.empty()) evaluate(record);
  return record;
}

RewardTrainingRecord RewardTrainer::step() {
  if (options_.ridge) return ridge_step();
  const int64_t first = steps_done_ * options_.batch_size;
  const std::vector<int64_t> rows = examples(first, options_.batch_size);
  Tensor x = codec_.encode(items_.take(pairs_.defined() ? compared_rows(pairs_, rows) : rows));
  const int64_t key = pairs_.defined() ? 2 * first : first;  // of the first row
  if (options_.flip) x = codec_.augment(x, options_.seed, key, 0, true);
  if (options_.shift > 0) x = shift_images(x, options_.shift, options_.seed, key);
  if (items_.noise()) x = items_.noise()->noised(x, numbered(key, x.size(0)), ForwardNoise::kTraining);
  RewardTrainingRecord record{.step = steps_done_ + 1, .lr = learning_rate(), .held_out_loss = kNaN};
  const nn::DropoutScope dropout(options_.seed, numbered(key, x.size(0)), 0);
  Tensor outputs = predictor_.forward(x.to(device_));
  if (pairs_.defined()) outputs = margins(outputs, pairs_, rows);
  const Tensor value = loss(outputs, target_.index_select(0, index_tensor(rows)), options_.label_smoothing);
  record.loss = check_finite(value.item<double>(), cat("loss of step ", record.step));
  optimizer_.zero_grad();
  value.backward();
  const double bound = options_.grad_clip > 0 ? options_.grad_clip : std::numeric_limits<double>::infinity();
  record.grad_norm = check_finite(optimizer_.clip_grad_norm(bound), cat("gradient norm of step ", record.step));
  optimizer_.set_lr(record.lr);
  optimizer_.step();
  steps_done_ = record.step;
  const bool due = record.step % evaluate_every_ == 0 || record.step >= total_steps_;
  if (due && !split_.held_out.empty()) evaluate(record);
  return record;
}

void RewardTrainer::evaluate(RewardTrainingRecord& record) {
  const Tensor outputs = pairs_.defined() ? predict_margins(predictor_, items_, codec_, pairs_, split_.held_out, device_)
                                          : predict(predictor_, items_, codec_, split_.held_out, device_);
  Tensor target = target_.index_select(0, index_tensor(split_.held_out));
  if (target.is_floating_point()) target = target.to(at::kDouble);
  record.held_out_loss = check_finite(loss(outputs, target, 0).item<double>(), cat("held-out loss of step ", record.step));
  if (record.held_out_loss < best_loss_) {
    best_loss_ = record.held_out_loss;
    best_step_ = record.step;
    evaluations_since_best_ = 0;
    best_.clear();
    for (const auto& [name, tensor] : predictor_.state()) best_.emplace_back(name, tensor.detach().clone());
  } else if (++evaluations_since_best_ >= options_.patience && options_.patience > 0) {
    stopped_early_ = true;
  }
}

void RewardTrainer::use_best() {
  if (best_.empty()) {
    best_step_ = steps_done_;
  } else {
    predictor_.load_state(best_, "best weights");
  }
  predictor_.set_requires_grad(false);
  predictor_.train(false);
}

void RewardTrainer::save(nn::Checkpoint& checkpoint) const {
  checkpoint.state["step"] = steps_done_;
  checkpoint.state["optimizer_steps"] = optimizer_.steps();
  checkpoint.state["best_step"] = best_step_;
  checkpoint.state["evaluations_since_best"] = evaluations_since_best_;
  checkpoint.state["stopped_early"] = stopped_early_;
  checkpoint.add("parameter/", predictor_.state());
  checkpoint.add("optimizer/", optimizer_.state());
  checkpoint.add("best/", best_);
  checkpoint.tensors.emplace_back("best_loss", at::full({1}, best_loss_, at::kDouble));  // JSON has no infinity
}

void RewardTrainer::restore(const nn::Checkpoint& checkpoint) {
  predictor_.load_state(checkpoint.with_prefix("parameter/"), "checkpoint");
  optimizer_.restore(checkpoint.with_prefix("optimizer/"), checkpoint.state.at("optimizer_steps").get<int64_t>());
  steps_done_ = checkpoint.state.at("step").get<int64_t>();
  best_step_ = checkpoint.state.at("best_step").get<int64_t>();
  evaluations_since_best_ = checkpoint.state.at("evaluations_since_best").get<int64_t>();
  stopped_early_ = checkpoint.state.at("stopped_early").get<bool>();
  best_ = checkpoint.with_prefix("best/");
  best_loss_ = checkpoint.tensor("best_loss")[0].item<double>();
}

}  // namespace plumb::rewards
