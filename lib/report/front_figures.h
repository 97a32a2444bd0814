// What a study of reward against diversity shows: figure, tables, sentences.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "report/chart.h"
#include "report/front_study.h"
#include "report/table.h"

namespace plumb::report {

/// The ways from the base model to the largest common reward at which fronts are compared; the middle one is shown.
extern const std::vector<double> kLevelShares;

/// Reward against each measure and each other reward, a panel each: a mark a strength, means over seeds with 95 %
/// t-intervals; the Pareto set of each regulariser filled and joined.
Figure front_figure(const FrontStudy& study);

/// The strengths in numbers, to read and for programs, and each point as it came.
std::vector<Table> point_tables(const FrontStudy& study);

/// Hypervolumes by measure and regulariser, means over seeds; AIG minus each other, paired by seed; and both for programs.
/// None without a base model.
std::vector<Table> hypervolume_tables(const FrontStudy& study);

/// Diversity at the levels of kLevelShares, in the same way; AIG minus another is positive where AIG is better, also for a
/// distance.
std::vector<Table> equal_reward_tables(const FrontStudy& study);

/// Whether AIG is at least as diverse as LoRA scaling and KL at equal reward, measure by measure, by the intervals of the
/// differences paired by seed (judge): one sentence for each of the two that is there, and one with the figures of the
/// first measure.
std::vector<std::string> claim_sentences(const FrontStudy& study);

/// "Vendi score ↑".
std::string heading(const Measure& measure);

}  // namespace plumb::report
