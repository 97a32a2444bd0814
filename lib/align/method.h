// A fine-tuning method says what it collects, its gradients, its state. The loop, the monitor, logging, resume and the
// policy's optimiser are the trainer's, once (trainer.h).   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <string>

#include "align/asking.h"
#include "align/constraint.h"
#include "align/options.h"
#include "align/policy.h"
#include "align/rollout.h"
#include "nn/checkpoint.h"

namespace plumb::metrics {
class FeatureNetwork;
}

namespace plumb::align {

/// What every method works with. All outlive the method.
struct TuningContext {
  Policy& policy;
  rewards::Reward* reward;  ///< null: a method that learns from answers, and nothing else watches one
  const nn::Codec& codec;
  const FinetuneOptions& options;
  const std::vector<Constraint>* constraints = nullptr;       ///< null: none
  metrics::FeatureNetwork* critic_features = nullptr;         ///< for methods that uses_critic_features() says
  AskingContext* asking = nullptr;                            ///< for methods that learns_from_answers() says
};

/// Figures of one update for the log: means weighted by batch rows, and maxima.
class UpdateLog {
 public:
  void add_mean(const std::string& name, double value, double weight);
  void add_max(const std::string& name, double value);
  void set(const std::string& name, double value) { values_[name] = value; }
  const std::map<std::string, double>& values() const { return values_; }
  /// A stop was asked for before the update was whole: its gradients are dropped, and it can be made again.
  void abandon() { abandoned_ = true; }
  bool abandoned() const { return abandoned_; }

 private:
  bool abandoned_ = false;
  std::map<std::string, double> values_;
};

/// Calls come in this order, each epoch: collect, then for each update accumulate_gradients (the trainer clips and
/// steps the policy's optimiser) and after_step, then end_epoch. A run may end and go on between any two updates.
class Method {
 public:
  virtual ~Method() = default;
  virtual std::string name() const = 0;

  /// Gathers what the epoch learns from: rollouts and rewards, pairs, answers of people, rows of a data set. False: a
  /// stop was asked for meanwhile; nothing was kept, and the same call can be made again.
  virtual bool collect(TuningContext& context, int64_t epoch) = 0;
  /// Known once the epoch's data is collected; 0: nothing to learn in it.
  virtual int64_t updates_per_epoch() const = 0;
  /// Adds the gradient of update `index` of the epoch to the policy's trainable tensors, and to networks of its own.
  virtual UpdateLog accumulate_gradients(TuningContext& context, int64_t epoch, int64_t index) = 0;
  /// The policy has stepped: step optimisers of its own.
  virtual void after_step() {}
  virtual void end_epoch(TuningContext&, int64_t /*epoch*/) {}

  /// Whether an epoch that went wrong is taken back: then numbers that are not finite do not end the run, and after each epoch
  /// has_diverged() is asked.
  virtual bool takes_back() const { return false; }
  /// Whether the weights are worse than can be borne. Adds its figures to the log.
  virtual bool has_diverged(TuningContext&, int64_t /*epoch*/, UpdateLog&) { return false; }
  /// What was collected cost somebody's time: a checkpoint is written at once.
  virtual bool is_dear() const { return false; }

  /// Everything that collect() and the updates left behind: buffers of the epoch under way (if collected), trackers,
  /// critics.
  virtual void save(nn::Checkpoint& checkpoint, bool collected) const = 0;
  virtual void restore(const nn::Checkpoint& checkpoint, bool collected) = 0;
  /// What a --dry-run and the start of the log say: updates an epoch, transitions an update, ...
  virtual io::Json plan() const = 0;
};

/// The method that context.options names, of methods.def. Checks what it can of the options. Throws Error(kUsage).
std::unique_ptr<Method> make_method(const TuningContext& context);

}  // namespace plumb::align
