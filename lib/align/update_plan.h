// Which stored transitions each optimiser step sees.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <vector>

namespace plumb::align {

/// kTrajectories: a step averages all used timesteps of its samples (DDPO). kColumns: one permuted timestep column
/// after the other, each over all samples (TDPO): many more, noisier updates.
enum class UpdateOrder { kTrajectories, kColumns };

/// How an epoch's transitions are cut into optimiser steps. Of each sample T_train = floor(|steps| * fraction) steps
/// are used, another random choice without replacement for each sample.
struct UpdatePlan {
  int64_t samples = 0;             ///< N
  std::vector<int64_t> steps;      ///< indices of the chain's steps that may be trained on
  int64_t train_steps = 0;         ///< T_train
  int64_t samples_per_update = 0;  ///< train batch x accumulation
  int64_t inner_epochs = 1;
  UpdateOrder order = UpdateOrder::kTrajectories;
  bool shuffle_steps = true;  ///< false: a sample's steps stay in the chain's order, so column j is one denoising step

  int64_t updates_per_inner_epoch() const;
  int64_t updates_per_epoch() const { return inner_epochs * updates_per_inner_epoch(); }
  int64_t transitions_per_update() const;

  struct Transition {
    int64_t sample, step;
  };
  /// The transitions of one update, 0 <= index < updates_per_epoch(): a pure function of (seed, epoch, index), so a
  /// resumed run needs no record of the order. Source of the order: Black et al. 2024, released code.
  std::vector<Transition> transitions(uint64_t seed, int64_t epoch, int64_t index) const;
  /// The last column of an inner epoch for its first `count` samples (all, if there are fewer): one step each; or, with
  /// all_steps, every step that may be trained on. Source: the neuron probe of TDPO-R's code.
  std::vector<Transition> probe(uint64_t seed, int64_t epoch, int64_t inner, int64_t count, bool all_steps) const;

 private:
  std::vector<int64_t> sample_order(uint64_t seed, uint64_t pass) const;
  std::vector<int64_t> step_order(uint64_t seed, uint64_t pass, int64_t sample) const;
};

/// Checks and builds a plan; `steps` as in UpdatePlan. Throws Error(kUsage): samples not divisible by train_batch *
/// accumulation, no step left.
UpdatePlan make_update_plan(int64_t samples, std::vector<int64_t> steps, double timestep_fraction, int64_t train_batch,
                            int64_t accumulation, int64_t inner_epochs, UpdateOrder order, bool shuffle_steps = true);

}  // namespace plumb::align
