// SPDX-License-Identifier: Apache-2.0
#include "metrics/bootstrap.h"

#include <cmath>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"

namespace plumb::metrics {

Tensor bootstrap_counts(int64_t n, uint64_t seed, int64_t replicate) {
  Tensor counts = at::zeros({n}, at::kLong);
  int64_t* count = counts.data_ptr<int64_t>();
  Philox random(seed, Stream::kBootstrap, static_cast<uint64_t>(replicate));
  for (int64_t i = 0; i < n; ++i) ++count[random.below(static_cast<uint64_t>(n))];
  return counts;
}

Interval bootstrap_interval(double estimate, const std::vector<double>& replicates) {
  if (replicates.size() < 2) {
    throw Error(Exit::kUsage, "bootstrap", cat(replicates.size(), " resamples give no interval"), "use at least 2, or 0 for none");
  }
  constexpr double kZ = 1.959963984540054;  // 97.5 % point of the standard normal
  const double se = at::tensor(replicates, at::kDouble).std(0, true).item<double>();
  return {se, estimate - kZ * se, estimate + kZ * se};
}

double jackknife_variance(const Tensor& without) {
  const double n = static_cast<double>(without.size(0));
  return (n - 1) / n * (without - without.mean()).square().sum().item<double>();
}

}  // namespace plumb::metrics
