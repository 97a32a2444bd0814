// Metrics of samples as a table.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "io/manifest.h"
#include "report/table.h"

namespace plumb::report {

/// The rows of one `metrics` manifest: every figure with its error or interval, the sample counts and rank it rests on,
/// and the feature network that saw the samples. Metrics nobody told this page about are shown under their own names.
struct MetricRow {
  std::string metric, arrow;  ///< "FID" and to which side it is better: "↓", "↑" or ""
  std::string samples, features, digest;
  double value = 0, standard_error = 0, low = 0, high = 0;  ///< NaN: absent
  double n = 0, n_reference = 0, rank = 0;                  ///< NaN: absent
};
std::vector<MetricRow> metric_rows(const io::Manifest& metrics);
/// To read: a line a metric, a column a set of samples; what the figures rest on beside them.
Table metric_page_table(const std::vector<MetricRow>& rows);
/// For programs: a line a figure.
Table metric_file_table(const std::vector<MetricRow>& rows);

/// Values by class: a line a class, a column a metric. No rows if there are none. `samples`: what to call the samples of each of
/// `metrics`; empty: after their files, whose names may repeat.
Table class_table(const std::vector<io::Manifest>& metrics, const std::vector<std::string>& class_names,
                  const std::vector<std::string>& samples = {});

}  // namespace plumb::report
