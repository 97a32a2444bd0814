// Training a denoiser on a dataset: examples, loss, optimiser step, checkpoint.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "diffusion/forward_process.h"
#include "diffusion/options.h"
#include "diffusion/schedule.h"
#include "diffusion/value_condition.h"
#include "nn/adamw.h"
#include "nn/checkpoint.h"
#include "nn/data.h"
#include "nn/denoiser.h"
#include "nn/ema.h"
#include "nn/precision.h"
#include "nn/shuffled_rows.h"

namespace plumb::diffusion {

/// Training examples: clean samples, their noise and timestep, and what they are conditioned on.
struct TrainingBatch {
  Tensor x0;                // [B,*model shape] float32
  Tensor eps;               // like x0, standard normal
  Tensor t;                 // [B] int64, uniform over the training timesteps
  nn::Condition condition;
};

/// Noise, timesteps and conditions, as training_condition() gives them, of the examples numbered first .. first + B - 1 of a run. Each draw
/// is keyed by (seed, stream, example number), so it does not depend on the batch size or on what was drawn before.
TrainingBatch make_training_batch(const Tensor& x0, const Tensor& label, int64_t num_classes, const NoiseSchedule& schedule,
                                  double label_drop, uint64_t seed, int64_t first, const Tensor& value = {});

/// What the network is told of those examples: their labels and values, with some dropped.
/// label [B] int64 or undefined; a dropped label becomes the null class, num_classes. value [B] standardised or undefined; a dropped
/// value becomes NaN. With a label and a value, label_drop is the share that loses both, the share that loses the label alone and the
/// share that loses the value alone (Brooks et al. 2023, "InstructPix2Pix", sec. 3.2.1). Throws Error(kBadInput) for a label that is no class.
nn::Condition training_condition(const Tensor& label, int64_t num_classes, double label_drop, uint64_t seed, int64_t first, at::Device device,
                                 const Tensor& value = {});

/// Throws Error(kUsage) naming `option` if labels are to be dropped and the network has no class that stands for none.
void check_label_drop(const nn::Denoiser& denoiser, double label_drop, const std::string& option);

/// x_t of a batch, [B,*shape].
Tensor noised(const NoiseSchedule& schedule, const TrainingBatch& batch);
/// Mean squared error of a network's output at noised() against the schedule's target, one value an item: [B] float32.
Tensor denoising_error(const Tensor& output, const NoiseSchedule& schedule, const TrainingBatch& batch);
Tensor denoising_error(nn::Denoiser& denoiser, const NoiseSchedule& schedule, const TrainingBatch& batch);

/// min-SNR-gamma weights, [B] float32: with s = SNR(t), min(s,gamma)/s for epsilon, min(s,gamma) for sample,
/// min(s,gamma)/(s+1) for v; each is the same loss on x0. gamma = 0: ones.
/// Source: Hang et al. 2023, "Efficient diffusion training via min-SNR weighting strategy", sec. 3.4 and its v-prediction form.
Tensor min_snr_weight(const NoiseSchedule& schedule, const Tensor& t, double gamma);

/// Learning rate of step k (from 0): linear to lr over lr_warmup steps, then constant, or half a cosine to 0 at the last step.
double learning_rate(const TrainingOptions& options, int64_t step);

/// What one optimiser step did.
struct TrainingRecord {
  int64_t step = 0;      // steps done, this one included
  double loss = 0, grad_norm = 0, lr = 0;
};

/// The training loop's state. Everything random is keyed by the example's number, so the state is weights, moments, averages
/// and one counter; a restored trainer goes on bit for bit.
class Trainer {
 public:
  /// The denoiser (on `device`), process, rows ("images" etc. first, then "label" if there are classes, last the raw value if there is one)
  /// and codec must outlive this. `value`: how the values are shown to the network; `weight`: what they weigh in the loss.
  Trainer(nn::Denoiser& denoiser, const ForwardProcess& process, nn::ShuffledRows& rows, const nn::Codec& codec,
          const TrainingOptions& options, at::Device device, nn::Precision precision = nn::Precision::kFp32,
          std::optional<ValueCondition> value = std::nullopt, const ValueWeight& weight = {});

  int64_t steps() const { return options_.steps; }
  int64_t steps_done() const { return steps_done_; }
  bool done() const { return steps_done_ >= options_.steps; }
  /// One optimiser step. Throws Error(kBadNumbers) if the loss or a gradient is not finite.
  TrainingRecord step();

  void save(nn::Checkpoint& checkpoint) const;
  void restore(const nn::Checkpoint& checkpoint);
  /// The weights to write: their moving average, or the weights themselves when ema_decay is 0.
  const nn::NamedTensors& result() const { return options_.ema_decay > 0 ? ema_.shadow() : optimizer_.parameters(); }

 private:
  nn::Denoiser& denoiser_;
  const ForwardProcess& process_;
  nn::ShuffledRows& rows_;
  const nn::Codec& codec_;
  TrainingOptions options_;
  at::Device device_;
  nn::Precision precision_;
  std::optional<ValueCondition> value_;
  ValueWeight weight_;
  nn::AdamW optimizer_;
  nn::Ema ema_;
  int64_t steps_done_ = 0;
};

}  // namespace plumb::diffusion
