// Fits a predictor to labels or to rewards.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/adamw.h"
#include "nn/checkpoint.h"
#include "nn/data.h"
#include "nn/predictor.h"
#include "rewards/forward_noise.h"
#include "rewards/labelled_items.h"
#include "rewards/prediction_quality.h"
#include "rewards/training_options.h"
#include "rewards/uncertainty_model.h"

namespace plumb::rewards {

using at::Tensor;

/// Which items are trained on and which are held out, both in ascending order.
struct Split {
  std::vector<int64_t> train, held_out;
};
/// Items with the smallest draws of (seed, kSubset, item) if options.labels limits them; of those, the ones whose uniform draw of
/// (seed, kSplit, item) is below options.held_out are held out. So an item's side does not depend on what else there is.
/// Throws Error(kBadInput) if --labels asks for more than `count` or a side that is needed stays empty.
Split split_items(int64_t count, const RewardTrainingOptions& options);
/// The same among some items, in ascending order.
Split split_items(std::vector<int64_t> candidates, const RewardTrainingOptions& options);

/// Items whose target [N] is at or below the options.below quantile of all targets (linear interpolation between order statistics), which is
/// `threshold`; every item, and the largest target, if options.below is 1.
std::vector<int64_t> items_below(const Tensor& target, const RewardTrainingOptions& options, double& threshold);

/// Mean and sd (n - 1) of the targets of these items. Throws Error(kBadInput) if they are all the same.
TargetScale target_scale(const Tensor& target, const std::vector<int64_t>& rows);

/// Optimiser steps of a run on that many items.
int64_t planned_steps(int64_t train, const RewardTrainingOptions& options);

/// What a labeller with noise would have said. target: [N] int64 classes (num_classes > 0), float64 rewards or shares of the first. Item i uses draws of
/// (seed, kLabelNoise, i). Throws Error(kUsage) if a share of labels above 1 is asked for.
Tensor add_label_noise(const Tensor& target, int64_t num_classes, const RewardTrainingOptions& options);

/// Items of an artefact by row: from memory if all of them take less than 1 GiB, else read row by row. `noise`, where given, is what is
/// added to them in model space before a network sees them: by example number in training, by row in evaluation.
class ItemRows {
 public:
  ItemRows(const io::H5Reader& file, std::string dataset, std::shared_ptr<const ForwardNoise> noise = nullptr);
  const ForwardNoise* noise() const { return noise_.get(); }
  Tensor take(const std::vector<int64_t>& rows) const;   ///< [rows,*] stored type
 private:
  const io::H5Reader& file_;
  std::string dataset_;
  std::shared_ptr<const ForwardNoise> noise_;
  Tensor all_;   // undefined: read from the file
};

/// One optimiser step, for the log. NaN = nothing to report.
struct RewardTrainingRecord {
  int64_t step = 0;
  double loss = 0, grad_norm = 0, lr = 0;
  double held_out_loss;   ///< NaN between evaluations
};

/// The loop's inside: make one, restore a checkpoint into it or not, step() until done(), then use_best().
/// Order, augmentation and noise are functions of (seed, example number): a restored trainer goes on bit for bit.
class RewardTrainer {
 public:
  /// `target`: [N] int64 classes, or float64 raw rewards; those are standardised by `scale`, if absent by target_scale of the training items,
  /// but for options.ridge, which needs a LinearPredictor (Error(kUsage) otherwise), takes them as they are and has one step. With `pairs`
  /// [P,2] (comparisons.h) an example is a comparison: `split` and `target` [P] are of those.
  RewardTrainer(nn::Predictor& predictor, const ItemRows& items, const nn::Codec& codec, const Tensor& target, Split split,
                const RewardTrainingOptions& options, at::Device device, std::optional<TargetScale> scale = std::nullopt, Tensor pairs = {});
  RewardTrainingRecord step();
  bool done() const { return stopped_early_ || steps_done_ >= total_steps_; }
  int64_t steps_done() const { return steps_done_; }
  int64_t total_steps() const { return total_steps_; }
  /// Puts the weights with the lowest held-out loss into the predictor (the last ones if nothing is held out).
  void use_best();
  int64_t best_step() const { return best_step_; }
  bool stopped_early() const { return stopped_early_; }
  const TargetScale& scale() const { return scale_; }
  void save(nn::Checkpoint& checkpoint) const;
  void restore(const nn::Checkpoint& checkpoint);

 private:
  Tensor loss(const Tensor& outputs, const Tensor& target, double smoothing) const;
  RewardTrainingRecord ridge_step();   ///< the closed form of options.ridge, the only step of such a run
  std::vector<int64_t> examples(int64_t first, int64_t count);
  void evaluate(RewardTrainingRecord& record);
  double learning_rate() const;

  nn::Predictor& predictor_;
  const ItemRows& items_;
  const nn::Codec& codec_;
  Tensor target_;   // [N] classes, or standardised rewards float32; [P] shares of the first of pairs_
  Tensor pairs_;    // undefined: each item is an example
  Split split_;
  RewardTrainingOptions options_;
  at::Device device_;
  nn::AdamW optimizer_;
  int64_t total_steps_, evaluate_every_;
  TargetScale scale_;
  int64_t order_epoch_ = -1;
  std::vector<int64_t> order_;   // of split_.train in epoch order_epoch_
  // What a checkpoint holds, with the weights and the optimiser:
  int64_t steps_done_ = 0, best_step_ = 0, evaluations_since_best_ = 0;
  double best_loss_;
  bool stopped_early_ = false;
  nn::NamedTensors best_;
};

/// Raw outputs [rows,K] float64 of the predictor in evaluation mode on these rows; of noised items at `timestep`, if given, else at the
/// timestep that each row draws.
Tensor predict(nn::Predictor& predictor, const ItemRows& items, const nn::Codec& codec, const std::vector<int64_t>& rows,
               at::Device device, std::optional<int64_t> timestep = std::nullopt);
/// The margins [rows] float64 of the predictor in evaluation mode on these comparisons.
Tensor predict_margins(nn::Predictor& predictor, const ItemRows& items, const nn::Codec& codec, const Tensor& pairs, const std::vector<int64_t>& rows,
                       at::Device device);
/// Metrics on these rows at each of the noise's levels(): [{"timestep", "alpha_cumprod", ...}].
io::Json noise_level_quality(nn::Predictor& predictor, const ItemRows& items, const nn::Codec& codec, const std::vector<int64_t>& rows,
                             const Tensor& target, const OutputScale& scale, at::Device device);

/// Shifts each image of x [B,C,H,W] by whole pixels in [-shift,shift] both ways, edges repeated; image i uses the draws of
/// (seed, kAugment, first + i, step 1).
Tensor shift_images(const Tensor& x, int64_t shift, uint64_t seed, int64_t first);

}  // namespace plumb::rewards
