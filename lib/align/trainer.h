// The loop of every fine-tuning method: epochs, updates, monitor, log, checkpoints. SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>

#include "align/method.h"
#include "align/monitor.h"
#include "io/json_log.h"
#include "nn/adamw.h"

namespace plumb::align {

enum class RunEnd {
  kFinished,     ///< all epochs done
  kStopRule,     ///< a --stop rule held
  kInterrupted,  ///< stopped by a signal or time limit; a checkpoint was written: run the same command again
};

/// Where a run keeps itself. Empty paths: no log, no checkpoint (tests).
struct RunFiles {
  std::string checkpoint, log, fingerprint;
  bool force = false;
  std::function<void(int64_t epochs)> after_epoch = nullptr;   ///< hears how many epochs are done, after each
};

/// What a tuned model's manifest says of its making, before there is a result: {"method", "reward", "plan", "constraints", "critic",
/// "monitor"}, each if there is one. monitor may be null.
io::Json describe_run(const TuningContext& context, const Method& method, const Monitor* monitor, const io::Json& plan);

class Trainer {
 public:
  /// Puts the policy's trainable tensors (Policy::trainable) under AdamW. monitor may be null. All outlive the trainer.
  Trainer(TuningContext& context, Method& method, Monitor* monitor, RunFiles files);

  /// Resumes if there is something to resume, and runs to the end. Throws Error(kBadNumbers) if a loss, gradient or
  /// reward is not finite; the weights of the best gold are still there then.
  RunEnd run();

  /// All that a later run needs to go on from here, as a checkpoint has it.
  nn::Checkpoint state() const;
  /// Takes up what state() of another run gave, before run(). Throws Error(kBadInput) if it is of another kind of run.
  void go_on_from(const nn::Checkpoint& checkpoint);
  /// The weights as they are now, by name as Policy::trainable.
  const nn::NamedTensors& weights() const { return optimizer_.parameters(); }

  int64_t steps() const { return step_; }  ///< optimiser steps done
  /// The weights --keep chose, by name as Policy::trainable.
  const nn::NamedTensors& kept_weights() const { return keep_best() ? best_gold_ : optimizer_.parameters(); }
  bool has_best_gold() const { return !best_gold_.empty(); }
  const nn::NamedTensors& best_gold_weights() const { return best_gold_; }
  /// {"steps", "stopped_by", "kept", "kept_step", "parted", ...}: the end of the log, and part of the manifest.
  io::Json summary() const;

 private:
  bool keep_best() const;
  bool resume();  ///< true if a checkpoint was taken up
  void save();
  bool monitor_due() const;
  bool run_monitor(io::Json& record);  ///< false: interrupted
  enum class Update { kDone, kAbandoned, kNotFinite };   // but for kDone nothing changed
  Update update(int64_t index, io::Json& record);
  io::Json end_of_epoch(bool finite);  ///< figures for the log
  void remember();                     ///< the weights are good
  void take_back();                    ///< as they were then

  TuningContext& context_;
  Method& method_;
  Monitor* monitor_;
  RunFiles files_;
  nn::AdamW optimizer_;
  int64_t epoch_ = 0, index_ = 0, step_ = 0;  // next epoch, next update in it, optimiser steps done
  bool collected_ = false;                    // the method holds this epoch's data
  bool pending_monitor_ = true;               // the evaluation at step_ is due (or was cut short)
  io::Json record_;                           // the log's line of step_, not yet written or written last
  std::string stopped_by_;
  nn::NamedTensors best_gold_;
  nn::NamedTensors good_, good_optimizer_;  // of the last epoch that was not taken back, if the method takes any back
  int64_t good_steps_ = 0, taken_back_ = 0;
  double seconds_ = 0;  // spent by earlier processes of this run
};

}  // namespace plumb::align
