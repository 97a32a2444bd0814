// Runs side by side: those that repeat one another with other seeds as one, and a table of where they all ended.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "report/run_log.h"
#include "report/table.h"

namespace plumb::report {

/// A run's name without a number at its end: "tdpo-r-3" and "tdpo-r-4" belong to "tdpo-r".
std::string group_name(const std::string& run_name);

/// Half of the 95 % confidence interval of a mean of n values over their standard error: Student's t with n-1 degrees of
/// freedom. Infinite for n < 2.
double t95(size_t n);

/// Mean of values and its standard error, s / sqrt(n). No values: both NaN; one: the error is.
struct Mean {
  double value, standard_error;
};
Mean mean_of(const std::vector<double>& values);

/// Where fine-tuning runs take different numbers of updates an epoch, a common axis of updates would compare unequal things: counts
/// curves and verdicts of all in reward queries (samples drawn and scored) instead. Does nothing if one of them does not say how many.
void count_by_queries(std::vector<RunLog>& runs);

/// One run for each group: at every step that all its runs have, the mean, and as standard error that over the runs times
/// t95(n) / 1.96, so that the bands of figures are 95 % intervals of the mean over runs. A group of one stays as it is.
/// Verdicts are of single runs and left out.
std::vector<RunLog> pooled(const std::vector<RunLog>& runs);

/// A line a run (or a group, with mean and half of its 95 % t-interval): trained reward, each gold and diversity at the end;
/// gold at its best; gold where the trained reward first reached the largest value that every run reached, between
/// evaluations by straight lines; path KL; how many parted; seconds. No rows for fewer than two monitored runs, and no columns of
/// the trained reward if none has one.
Table comparison_table(const std::vector<RunLog>& runs, bool by_group);

}  // namespace plumb::report
