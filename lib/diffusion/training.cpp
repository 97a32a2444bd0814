// SPDX-License-Identifier: Apache-2.0
#include "diffusion/training.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"
#include "nn/dropout.h"

namespace plumb::diffusion {
namespace {

std::vector<int64_t> numbered(int64_t first, int64_t count) {
  std::vector<int64_t> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

}  // namespace

TrainingBatch make_training_batch(const Tensor& x0, const Tensor& label, int64_t num_classes, const NoiseSchedule& schedule,
                                  double label_drop, uint64_t seed, int64_t first, const Tensor& value) {
  const int64_t count = x0.size(0);
  TrainingBatch batch;
  batch.x0 = x0;
  batch.eps = nn::normal_noise(seed, static_cast<int>(Stream::kTrainNoise), numbered(first, count), 0, x0.sizes().slice(1).vec(), x0.device());
  batch.t = at::empty({count}, at::kLong);
  int64_t* t = batch.t.data_ptr<int64_t>();
  for (int64_t i = 0; i < count; ++i) {
    Philox random(seed, Stream::kTrainTime, static_cast<uint64_t>(first + i));
    t[i] = static_cast<int64_t>(random.below(static_cast<uint64_t>(schedule.num_train_timesteps())));
  }
  batch.t = batch.t.to(x0.device());
  batch.condition = training_condition(label, num_classes, label_drop, seed, first, x0.device(), value);
  return batch;
}

nn::Condition training_condition(const Tensor& label, int64_t num_classes, double label_drop, uint64_t seed, int64_t first, at::Device device,
                                 const Tensor& value) {
  nn::Condition condition;
  const bool by_class = label.defined() && num_classes > 0, by_both = by_class && value.defined();
  // u in [0,p): all conditions go; with two of them, in [p,2p) the label alone and in [2p,3p) the value alone
  const auto drawn = [&](int64_t i) { return Philox(seed, Stream::kLabelDrop, static_cast<uint64_t>(first + i)).uniform(); };
  if (by_class) {
    const Tensor kept = label.to(at::kCPU, at::kLong).clone();
    int64_t* values = kept.data_ptr<int64_t>();
    for (int64_t i = 0; i < kept.size(0); ++i) {
      if (values[i] < 0 || values[i] >= num_classes) {
        throw Error(Exit::kBadInput, "label", cat(values[i], " is not one of ", num_classes, " classes"));
      }
      if (drawn(i) < (by_both ? 2 : 1) * label_drop) values[i] = num_classes;
    }
    condition.label = kept.to(device);
  }
  if (value.defined()) {
    const Tensor kept = value.to(at::kCPU, at::kFloat).clone();
    float* values = kept.data_ptr<float>();
    for (int64_t i = 0; i < kept.size(0); ++i) {
      const double u = drawn(i);
      if (u < label_drop || (by_both && u >= 2 * label_drop && u < 3 * label_drop)) values[i] = std::numeric_limits<float>::quiet_NaN();
    }
    condition.value = kept.to(device);
  }
  return condition;
}

void check_label_drop(const nn::Denoiser& denoiser, double label_drop, const std::string& option) {
  const io::Json config = denoiser.config();
  if (denoiser.num_classes() == 0 || label_drop == 0 || !config.is_object() || config.value("null_class", true)) return;
  throw Error(Exit::kUsage, option, "the network has no class that stands for none, so no label can be dropped", option + " 0");
}

Tensor noised(const NoiseSchedule& schedule, const TrainingBatch& batch) { return schedule.add_noise(batch.x0, batch.eps, batch.t); }

Tensor denoising_error(const Tensor& output, const NoiseSchedule& schedule, const TrainingBatch& batch) {
  return (output - schedule.training_target(batch.x0, batch.eps, batch.t)).square().flatten(1).mean(1);
}

Tensor denoising_error(nn::Denoiser& denoiser, const NoiseSchedule& schedule, const TrainingBatch& batch) {
  return denoising_error(denoiser.forward(noised(schedule, batch), batch.t, batch.condition).to(at::kFloat), schedule, batch);
}

Tensor min_snr_weight(const NoiseSchedule& schedule, const Tensor& t, double gamma) {
  const Tensor snr = schedule.snr(t);
  if (gamma == 0) return at::ones_like(snr, at::kFloat);
  const Tensor capped = snr.clamp_max(gamma);
  switch (schedule.prediction_type()) {
    case PredictionType::kEpsilon: return (capped / snr).to(at::kFloat);
    case PredictionType::kSample: return capped.to(at::kFloat);
    case PredictionType::kV: break;
  }
  return (capped / (snr + 1.0)).to(at::kFloat);
}

double learning_rate(const TrainingOptions& o, int64_t step) {
  if (step < o.lr_warmup) return o.lr * static_cast<double>(step + 1) / static_cast<double>(o.lr_warmup);
  if (o.lr_schedule == "constant") return o.lr;
  const double span = static_cast<double>(std::max<int64_t>(1, o.steps - o.lr_warmup));
  const double progress = std::min(1.0, static_cast<double>(step - o.lr_warmup) / span);
  return o.lr * 0.5 * (1.0 + std::cos(3.14159265358979323846 * progress));
}

Trainer::Trainer(nn::Denoiser& denoiser, const ForwardProcess& process, nn::ShuffledRows& rows, const nn::Codec& codec,
                 const TrainingOptions& options, at::Device device, nn::Precision precision, std::optional<ValueCondition> value,
                 const ValueWeight& weight)
    : denoiser_(denoiser), process_(process), rows_(rows), codec_(codec), options_(options), device_(device),
      precision_(precision), value_(std::move(value)), weight_(weight),
      optimizer_(denoiser.parameters(), nn::AdamWOptions{.lr = options.lr, .weight_decay = options.weight_decay}),
      ema_(denoiser.parameters(), options.ema_decay) {
  if (value_ && denoiser.num_classes() > 0 && options.label_drop * 3 > 1 + 1e-9) {
    throw Error(Exit::kUsage, "--label-drop", cat(options.label_drop, " is too much for a class and a value, each of which goes alone and with the other"),
                "at most 1/3");
  }
  check_label_drop(denoiser, options.label_drop, "--label-drop");
  denoiser_.set_requires_grad(true);
  denoiser_.train(true);
}

TrainingRecord Trainer::step() {
  const int64_t first = steps_done_ * options_.batch_size;
  const std::vector<Tensor> rows = rows_.take(first, options_.batch_size);
  Tensor x0 = codec_.encode(rows[0]);
  if (options_.flip) x0 = codec_.augment(x0, options_.seed, first, 0, true);
  const Tensor value = value_ ? value_->standardise(rows.back()) : Tensor();
  const nn::Condition condition = training_condition(rows.size() > (value_ ? 2U : 1U) ? rows[1] : Tensor(), denoiser_.num_classes(),
                                                     options_.label_drop, options_.seed, first, device_, value);
  TrainingRecord record{.step = steps_done_ + 1, .lr = learning_rate(options_, steps_done_)};
  Tensor loss;
  {
    const nn::PrecisionGuard guard(precision_, device_);
    const nn::DropoutScope dropout(options_.seed, numbered(first, options_.batch_size), 0);
    Tensor losses = process_.loss(denoiser_, x0.to(device_), condition, options_.seed, first);
    if (value_ && !weight_.is_none()) losses = losses * weight_(value).to(device_);
    loss = losses.mean();
  }
  record.loss = check_finite(loss.item<double>(), cat("loss of step ", record.step));
  optimizer_.zero_grad();
  loss.backward();
  const double bound = options_.grad_clip > 0 ? options_.grad_clip : std::numeric_limits<double>::infinity();
  record.grad_norm = check_finite(optimizer_.clip_grad_norm(bound), cat("gradient norm of step ", record.step));
  optimizer_.set_lr(record.lr);
  optimizer_.step();
  if (options_.ema_decay > 0) ema_.update(optimizer_.parameters());
  steps_done_ = record.step;
  return record;
}

void Trainer::save(nn::Checkpoint& checkpoint) const {
  checkpoint.state["step"] = steps_done_;
  checkpoint.state["optimizer_steps"] = optimizer_.steps();
  checkpoint.state["ema_updates"] = ema_.updates();
  checkpoint.add("parameter/", denoiser_.state());
  checkpoint.add("optimizer/", optimizer_.state());
  if (options_.ema_decay > 0) checkpoint.add("ema/", ema_.shadow());
}

void Trainer::restore(const nn::Checkpoint& checkpoint) {
  const at::NoGradGuard no_grad;
  denoiser_.load_state(checkpoint.with_prefix("parameter/"), "checkpoint");
  optimizer_.restore(checkpoint.with_prefix("optimizer/"), checkpoint.state.at("optimizer_steps").get<int64_t>());
  if (options_.ema_decay > 0) ema_.restore(checkpoint.with_prefix("ema/"), checkpoint.state.at("ema_updates").get<int64_t>());
  steps_done_ = checkpoint.state.at("step").get<int64_t>();
}

}  // namespace plumb::diffusion
