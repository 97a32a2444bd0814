// The page of report --front: reward against diversity over many points.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "report/report.h"

namespace plumb::report {

/// A section for each trained reward: the fronts, their points, hypervolumes, diversity at equal reward; and one for samples
/// at equal reward. Each input is a manifest at the end of a pipe such as `sample | score | diversity | evaluate-fid`. `reward`
/// is the column on the x axis; "": that of the reward each model was tuned on. Samples that are gone are noted. Throws
/// Error(kBadInput) for an input that is no point, or whose samples changed since.
Report build_front_report(const std::vector<io::Manifest>& inputs, const std::string& reward, const ReportOptions& options);

}  // namespace plumb::report
