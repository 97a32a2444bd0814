// The names of the metrics, for option tables and messages. Free of LibTorch.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

namespace plumb::metrics {

/// The names of metrics.def, in its order.
inline std::vector<std::string> metric_names() {
  return {
#define PLUMB_METRIC(identifier, name, summary) name,
#include "metrics/metrics.def"
#undef PLUMB_METRIC
  };
}

}  // namespace plumb::metrics
