// Tuning that goes on where an earlier command ended: what a model tuned from answers carries beside its weights.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>

#include "align/options.h"
#include "io/artefact.h"
#include "nn/checkpoint.h"

namespace plumb::align {

/// Where a run starts.
struct TuningStart {
  io::Manifest base;                        ///< the model that distances are measured to
  std::optional<nn::Checkpoint> state;      ///< --step: of the model that was given, if it was tuned so before
  std::string given_sha256;
  int64_t epochs_done() const { return state ? state->state.at("epoch").get<int64_t>() : 0; }
};

/// `given` itself; with --step, if it carries a state, the model that it was tuned from and that state. Throws Error(kUsage) if the state
/// is of another method, of other weights or evaluations, was ended by a rule that still holds, or is of an epapa with another K; Error(kBadInput) if the base model is gone.
TuningStart tuning_start(const io::Manifest& given, const FinetuneOptions& options);

/// Adds /tuning: the optimiser's moments, the answers so far, counters. `state`: Trainer::state().
void write_tuning_state(io::H5Writer& file, const nn::Checkpoint& state, const FinetuneOptions& options);

}  // namespace plumb::align
