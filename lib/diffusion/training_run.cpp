// SPDX-License-Identifier: Apache-2.0
#include "diffusion/training_run.h"

#include <chrono>

#include "core/progress.h"
#include "core/signals.h"
#include "core/text.h"
#include "io/json_log.h"

namespace plumb::diffusion {

bool run_training(Trainer& trainer, const TrainingRunOptions& o) {
  const auto found = nn::find_checkpoint(o.resume, o.checkpoint, o.fingerprint, o.force);
  if (found) trainer.restore(*found);
  io::JsonLog log(o.log, found ? trainer.steps_done() : -1);
  log.write_start(trainer.steps_done(), "pretrain");

  install_stop_handlers();
  set_time_limit(o.time_limit_s);
  nn::CheckpointClock clock(o.save_every_s);
  Progress progress("training", trainer.steps());
  const auto start = std::chrono::steady_clock::now();
  const double seconds_before = found ? found->state.value("seconds", 0.0) : 0.0;
  while (!trainer.done()) {
    const TrainingRecord r = trainer.step();
    const double seconds = seconds_before + std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (r.step % o.log_every == 0 || trainer.done()) {
      log.write({{"step", r.step}, {"loss", r.loss}, {"grad_norm", r.grad_norm}, {"lr", r.lr}, {"seconds", seconds}});
    }
    progress.update(r.step, cat("loss ", r.loss));
    const bool stopping = stop_requested() && !trainer.done();
    if (stopping || clock.due()) {
      nn::Checkpoint checkpoint;
      checkpoint.fingerprint = o.fingerprint;
      trainer.save(checkpoint);
      checkpoint.state["seconds"] = seconds;
      nn::save_checkpoint(o.checkpoint, checkpoint);
      if (stopping) return false;
    }
  }
  return true;
}

}  // namespace plumb::diffusion
