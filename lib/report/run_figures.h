// Figures and sentences about runs.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "report/chart.h"
#include "report/run_log.h"

namespace plumb::report {

/// The monitor's figure: trained reward against gold, then each quantity in its own unit, over a shared axis of
/// updates, with the step where they parted and the model that was kept. Several runs: one line a run in each panel. No
/// panels if no run was monitored.
Figure monitor_figure(const std::vector<RunLog>& runs);
/// Reward against diversity, and reward against distance to the base model: a path a run, from its start (ring) to its
/// end (disc).
Figure reward_paths_figure(const std::vector<RunLog>& runs);
/// Losses, rollout rewards and the optimiser's health of fine-tuning runs, small.
Figure finetuning_figure(const std::vector<RunLog>& runs);
/// The same of runs that train on data, one figure a command: their losses have no common scale.
std::vector<Figure> training_figures(const std::vector<RunLog>& runs);

/// "step 24", or "1,536 reward queries": a place on the run's x axis.
std::string place(const RunLog& run, double x);

/// What happened in a run, in plain words; one to five sentences.
std::vector<std::string> describe_run(const RunLog& run, bool name_it);

}  // namespace plumb::report
