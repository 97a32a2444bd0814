// Update plans.   SPDX-License-Identifier: Apache-2.0
#include "align/update_plan.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"

namespace plumb::align {

int64_t UpdatePlan::updates_per_inner_epoch() const {
  return samples / samples_per_update * (order == UpdateOrder::kColumns ? train_steps : 1);
}

int64_t UpdatePlan::transitions_per_update() const {
  return samples_per_update * (order == UpdateOrder::kColumns ? 1 : train_steps);
}

std::vector<int64_t> UpdatePlan::sample_order(uint64_t seed, uint64_t pass) const {
  Philox random(seed, Stream::kRolloutOrder, pass, 0);
  return permutation(samples, random);
}

std::vector<int64_t> UpdatePlan::step_order(uint64_t seed, uint64_t pass, int64_t sample) const {
  if (!shuffle_steps)
    return steps;
  Philox random(seed, Stream::kRolloutOrder, pass, static_cast<uint32_t>(1 + sample));
  std::vector<int64_t> shuffled = permutation(static_cast<int64_t>(steps.size()), random);
  for (int64_t& position : shuffled)
    position = steps[static_cast<size_t>(position)];
  return shuffled;
}

std::vector<UpdatePlan::Transition> UpdatePlan::transitions(uint64_t seed, int64_t epoch, int64_t index) const {
  const int64_t inner = index / updates_per_inner_epoch(), update = index % updates_per_inner_epoch();
  const uint64_t pass = static_cast<uint64_t>(epoch * inner_epochs + inner);
  const std::vector<int64_t> order_of_samples = sample_order(seed, pass);

  const int64_t groups = samples / samples_per_update;
  const int64_t first = update % groups * samples_per_update;
  const bool columns = order == UpdateOrder::kColumns;
  const int64_t column_begin = columns ? update / groups : 0;
  const int64_t column_end = columns ? column_begin + 1 : train_steps;

  std::vector<Transition> picked;
  picked.reserve(static_cast<size_t>(transitions_per_update()));
  for (int64_t k = first; k < first + samples_per_update; ++k) {
    const int64_t sample = order_of_samples[static_cast<size_t>(k)];
    const std::vector<int64_t> order_of_steps = step_order(seed, pass, sample);
    for (int64_t j = column_begin; j < column_end; ++j)
      picked.push_back({sample, order_of_steps[static_cast<size_t>(j)]});
  }
  return picked;
}

std::vector<UpdatePlan::Transition> UpdatePlan::probe(uint64_t seed, int64_t epoch, int64_t inner, int64_t count,
                                                      bool all_steps) const {
  const uint64_t pass = static_cast<uint64_t>(epoch * inner_epochs + inner);
  const std::vector<int64_t> order_of_samples = sample_order(seed, pass);
  std::vector<Transition> picked;
  for (int64_t k = 0; k < std::min(count, samples); ++k) {
    const int64_t sample = order_of_samples[static_cast<size_t>(k)];
    if (!all_steps) {
      picked.push_back({sample, step_order(seed, pass, sample)[static_cast<size_t>(train_steps - 1)]});
      continue;
    }
    for (const int64_t step : steps)
      picked.push_back({sample, step});
  }
  return picked;
}

UpdatePlan make_update_plan(int64_t samples, std::vector<int64_t> steps, double timestep_fraction, int64_t train_batch,
                            int64_t accumulation, int64_t inner_epochs, UpdateOrder order, bool shuffle_steps) {
  const double count = static_cast<double>(steps.size());
  UpdatePlan plan{samples,
                  std::move(steps),
                  static_cast<int64_t>(std::floor(count * timestep_fraction + 1e-9)),
                  train_batch * accumulation,
                  inner_epochs,
                  order,
                  shuffle_steps};
  if (plan.train_steps < 1)
    throw Error(Exit::kUsage, "--timestep-fraction", cat("leaves none of the ", count, " steps"),
                cat("at least ", 1.0 / count));
  if (plan.samples_per_update < 1 || samples % plan.samples_per_update != 0)
    throw Error(Exit::kUsage, "--samples-per-epoch",
                cat(samples, " samples do not divide into updates of ", train_batch, " x ", accumulation),
                "make it a multiple of --train-batch-size times --grad-accumulation");
  return plan;
}

}  // namespace plumb::align
