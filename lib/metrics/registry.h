// What a metric gets and gives, and the table of them. A metric returns an object with `value`; besides, where it has them,
// `stderr`, `low` and `high` (95 % interval), `n`, `n_reference`: these make its line in logs and its row in reports. Any other
// number becomes a row of its own there, with the interval that stands under its name in `intervals`.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "core/error.h"
#include "io/manifest.h"
#include "metrics/features.h"
#include "metrics/moments.h"
#include "metrics/settings.h"

namespace plumb::metrics {

/// Thrown by a metric that lacks something it needs: class probabilities, a reference. A command that runs its default list
/// says so and goes on; one whose user asked for the metric ends with it.
class NotApplicable : public Error {
 public:
  using Error::Error;
};

/// Sequences as they are stored, for metrics of letters rather than features.
struct Sequences {
  Tensor codes;                             ///< [N,L] uint8, below alphabet.size()
  std::string alphabet;
};

/// What a classifier says of the samples, for class-coverage.
struct Predictions {
  Tensor probabilities;                     ///< [N,K], or undefined: the network is no classifier
  std::vector<std::string> names;           ///< of its classes; empty if they have none
  std::string classifier, digest;           ///< if it is not the feature network: its name and sha256
};

struct MetricInput {
  const Features& samples;
  const Features* reference = nullptr;      ///< items of the reference, or null
  const Gaussian* statistics = nullptr;     ///< mean and covariance alone (a .npz), or null
  const Sequences* sequences = nullptr;     ///< the samples themselves, or null: other items, or their features alone
  const Sequences* reference_sequences = nullptr;  ///< the reference's, or null
  const Tensor* basis = nullptr;            ///< [D,d] of the subspace network that made the samples, or null
  const Predictions* predictions = nullptr; ///< of the classifier that judges them; null: the feature network's, by number
  /// The reference's features. Throws NotApplicable naming the metric if there are none.
  const Features& reference_features(const std::string& metric) const;
};

struct MetricRow {
  std::string name, summary;
  io::Json (*evaluate)(const MetricInput&, const Settings&);
};
/// The rows of metrics.def.
const std::vector<MetricRow>& metric_rows();

/// Runs the named metrics in order: {"fid": {...}, ...}. required: NotApplicable is an error; else it is logged and left out.
/// Throws Error(kUsage) with the nearest name for an unknown one or if none applied, Error(kBadNumbers) for a number that is not finite.
io::Json evaluate_metrics(const std::vector<std::string>& names, bool required, const MetricInput& input,
                          const Settings& settings);

/// Rows of x by value of label [N], ascending: {label, row indices [n_c]}. Empty if label is undefined.
std::vector<std::pair<int64_t, Tensor>> rows_by_class(const Tensor& label);

/// Adds to a metric's object what `metric` says of each class of at least 2 items: "per_class" {label: object with `value`} and
/// "class_mean", the mean of those values, with its standard error from theirs (the classes are independent). Nothing without
/// labels.
void add_per_class(io::Json& out, const Features& samples, const std::function<io::Json(const Tensor& features)>& metric);

}  // namespace plumb::metrics
