// The loop of every fine-tuning method: epochs, updates, monitor, log, checkpoints. SPDX-License-Identifier: Apache-2.0
#pragma once
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
};

class Trainer {
 public:
  /// Puts the policy's trainable tensors (Policy::trainable) under AdamW. monitor may be null. All outlive the trainer.
  Trainer(TuningContext& context, Method& method, Monitor* monitor, RunFiles files);

  /// Resumes if there is something to resume, and runs to the end. Throws Error(kBadNumbers) if a loss, gradient or
  /// reward is not finite; the weights of the best gold are still there then.
  RunEnd run();

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
  bool update(int64_t index, io::Json& record);  ///< false: interrupted, nothing changed

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
  double seconds_ = 0;  // spent by earlier processes of this run
};

}  // namespace plumb::align
