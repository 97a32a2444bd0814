// A training run: steps with a log, checkpoints, and an end by signal or time limit that the same command goes on from.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "diffusion/training.h"

namespace plumb::diffusion {

struct TrainingRunOptions {
  std::string checkpoint, fingerprint;   ///< file, and digest of what the result depends on
  std::string resume = "auto";           ///< see nn::find_checkpoint
  bool force = false;                    ///< start anew where the checkpoint is another command's
  std::string log;                       ///< JSON lines; see plumb-log(5)
  double save_every_s = 300, time_limit_s = 0;
  int64_t log_every = 1;
};

/// Trains to the end, going on from a checkpoint where there is one. Returns false if it was stopped: the checkpoint is written then.
/// The checkpoint of a finished run is for the caller to remove, after its output is written.
bool run_training(Trainer& trainer, const TrainingRunOptions& options);

}  // namespace plumb::diffusion
