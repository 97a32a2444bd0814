// Which metrics an option is for.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "core/options.h"

namespace plumb::metrics {

/// Throws Error(kUsage) if the user set an option of `table` that has no effect on any metric of `computed`: METRIC.option is for that metric, a
/// few others (--bootstrap, --per-class, ...) are for those that option_use.cpp lists. Options of metrics that are compared with a
/// reference have no effect without one, either.
void refuse_without_effect(const OptionTable& table, const std::function<bool(const std::string&)>& was_set,
                           const std::vector<std::string>& computed, bool has_reference);

}  // namespace plumb::metrics
