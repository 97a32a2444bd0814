// From labelled items to a reward: one training run after another, then what says how far it may be off.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "rewards/pseudo_ood.h"
#include "rewards/reward_training.h"

namespace plumb::rewards {

/// A network (or what stands for one) with the meaning of its outputs and its uncertainty.
struct FittedReward {
  std::unique_ptr<nn::Predictor> predictor;   // evaluation mode, frozen
  TargetScale scale;
  UncertaintyModel uncertainty;

  /// Of stored rows, on the CPU; a regressor's. uncertainty undefined for type none.
  Estimate estimate(const ItemRows& items, const nn::Codec& codec, const std::vector<int64_t>& rows, at::Device device) const;
};

/// The runs of reward-train under one step count and one checkpoint: a network; M members; none for a Gaussian process; and before those,
/// with options.uncertainty.choose, the same on what hold_out_extremes leaves. Make one, restore a checkpoint or not, step() until done(),
/// then finish(). As bit-exact as RewardTrainer.
class RewardFit {
 public:
  /// `network`: config of predictor_preset, `where` its name; `target` as of RewardTrainer. Throws Error(kUsage) for a TorchScript network
  /// with a bonus (it has no features) or as an ensemble (all members would start alike). `pairs` as of RewardTrainer.
  RewardFit(io::Json network, std::string where, const ItemRows& items, const nn::Codec& codec, Tensor target, Split split,
            const RewardTrainingOptions& options, at::Device device, Tensor pairs = {});
  RewardTrainingRecord step();          ///< its number counts over all runs
  bool done() const { return run_ >= runs_.size(); }
  int64_t steps_done() const { return steps_before_ + (trainer_ ? trainer_->steps_done() : 0); }
  int64_t total_steps() const;          ///< as planned, without early stops
  size_t runs() const { return runs_.size(); }
  /// What a line of the log says beside the step: {"member":2}, {"choosing":true}; empty for a single run.
  io::Json run_of_step() const { return label_; }
  void save(nn::Checkpoint& checkpoint) const;
  void restore(const nn::Checkpoint& checkpoint);

  FittedReward finish();                ///< once, when done()
  /// Of the final runs, in order; of the choice of the scale (null if there was none). After finish().
  const std::vector<int64_t>& best_steps() const { return best_steps_; }
  const io::Json& choice() const { return choice_; }
  const io::Json& network() const { return network_; }   ///< as the manifest has it
  int64_t parameter_count() const { return parameter_count_; }

 private:
  struct Run {
    bool choosing;
    int64_t member;   // -1: the only one
  };
  const Split& split_of(bool choosing) const { return choosing ? extremes_.rest : split_; }
  TargetScale scale_of(const Split& split) const;   // of a regressor's targets; the identity for ridge regression
  std::unique_ptr<nn::Predictor> make_network(const Run& run) const;
  void start();       // the trainer of run_
  void end_run();
  FittedReward assemble(bool choosing, UncertaintyOptions settings);
  void choose(UncertaintyOptions& settings);

  io::Json asked_, network_;          // what each network is made from, a path among it; what the first of them says of itself
  std::string where_;
  const ItemRows& items_;
  const nn::Codec& codec_;
  Tensor target_, pairs_;
  Split split_;
  RewardTrainingOptions options_;
  at::Device device_;
  PseudoOod extremes_;
  std::vector<Run> runs_;
  std::vector<std::unique_ptr<nn::Predictor>> networks_;   // of finished runs, then the one in training
  std::unique_ptr<RewardTrainer> trainer_;                 // none when done
  size_t run_ = 0;
  int64_t steps_before_ = 0, parameter_count_ = 0;
  std::vector<int64_t> run_steps_, run_best_;              // of finished runs
  std::vector<int64_t> best_steps_;
  io::Json label_ = io::Json::object(), choice_;
};

/// The labelled items that are used at all: those at or below the --below quantile of all targets, of them --labels drawn, then split.
struct ChosenItems {
  Split split;
  double threshold = 0;   ///< the quantile
  int64_t kept = 0;       ///< items at or below it
};
ChosenItems choose_items(const Tensor& target, const RewardTrainingOptions& options);

/// Metrics of rows with these targets: quality_json, and of a regressor with uncertainty also {"uncertainty": {"mean": of g, "coverage":
/// share of |target - mean| <= min(g, cap), "capped": share of g > cap}}. With `pairs` the rows are comparisons: preference_quality.
io::Json quality_of(const FittedReward& fitted, const ItemRows& items, const nn::Codec& codec, const std::vector<int64_t>& rows, const Tensor& target,
                    double temperature, at::Device device, const Tensor& pairs = {});

/// The same of all items of `test`, which had no label noise added; they are noised if the network is trained on such.
io::Json test_quality(const FittedReward& fitted, const nn::Codec& codec, const LabelledItems& test, double temperature, at::Device device,
                      std::shared_ptr<const ForwardNoise> noise);

/// The manifest's "reward", but for names and metrics. After fit.finish().
io::Json reward_json(const RewardFit& fit, const FittedReward& fitted, const RewardTrainingOptions& options, const ChosenItems& chosen, const Tensor& target);

}  // namespace plumb::rewards
