// SPDX-License-Identifier: Apache-2.0
#include "metrics/kernel_distance.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"
#include "metrics/bootstrap.h"
#include "metrics/gram.h"
#include "metrics/registry.h"

namespace plumb::metrics {
namespace {

constexpr int64_t kFullItems = 10000;

/// k(x_i, y_j) [N,M] float64.
Tensor kernel(const Tensor& x, const Tensor& y) {
  Tensor k = at::mm(x, y.t()).to(at::kDouble);
  k.div_(static_cast<double>(x.size(1))).add_(1);
  return k.mul(k).mul_(k);
}

/// Row sums of the kernel of x with y [N]; `within`: x is y, and the diagonal is left out.
Tensor row_sums(const Tensor& x, const Tensor& y, bool within) {
  constexpr int64_t kBlock = 1024;
  Tensor sums = at::zeros({x.size(0)}, at::kDouble);
  for (int64_t i = 0; i < x.size(0); i += kBlock) {
    const Tensor xi = x.slice(0, i, i + kBlock);
    for (int64_t j = within ? i : 0; j < y.size(0); j += kBlock) {
      Tensor k = kernel(xi, y.slice(0, j, j + kBlock));
      if (within && j == i) k.fill_diagonal_(0);
      sums.slice(0, i, i + kBlock).add_(k.sum(1));
      if (within && j > i) sums.slice(0, j, j + kBlock).add_(k.sum(0));  // the mirrored block
    }
  }
  return sums;
}

/// The unbiased estimate on all items, and its standard error.
void full_estimate(const Tensor& x, const Tensor& y, KernelDistanceResult& out) {
  const double n = static_cast<double>(x.size(0)), m = static_cast<double>(y.size(0));
  const Tensor xx = row_sums(x, x, true), yy = row_sums(y, y, true);
  const Tensor xy = row_sums(x, y, false), yx = row_sums(y, x, false);
  const double sxx = xx.sum().item<double>(), syy = yy.sum().item<double>(), sxy = xy.sum().item<double>();
  const double ux = sxx / (n * (n - 1)), uy = syy / (m * (m - 1));
  out.full = ux + uy - 2 * sxy / (n * m);
  const Tensor without_x = (sxx - 2 * xx) / ((n - 1) * (n - 2)) + uy - 2 * (sxy - xy) / ((n - 1) * m);
  const Tensor without_y = (syy - 2 * yy) / ((m - 1) * (m - 2)) + ux - 2 * (sxy - yx) / ((m - 1) * n);
  out.standard_error = std::sqrt(jackknife_variance(without_x) + jackknife_variance(without_y));
}

double subset_estimate(const Tensor& x, const Tensor& y) {
  const double m = static_cast<double>(x.size(0));
  const auto within = [&](const Tensor& z) {
    const Tensor k = kernel(z, z);
    return (k.sum() - k.diagonal().sum()).item<double>() / (m * (m - 1));
  };
  return within(x) + within(y) - 2 * kernel(x, y).sum().item<double>() / (m * m);
}

}  // namespace

Tensor draw_subsets(int64_t n, int64_t count, int64_t size, uint64_t seed, uint32_t side) {
  Tensor out = at::empty({count, size}, at::kLong);
  std::vector<int64_t> order(static_cast<size_t>(n));
  for (int64_t s = 0; s < count; ++s) {
    std::iota(order.begin(), order.end(), 0);
    Philox random(seed, Stream::kSubset, static_cast<uint64_t>(s), side);
    for (int64_t i = 0; i < size; ++i) {  // the first `size` steps of a Fisher-Yates shuffle
      const auto j = static_cast<size_t>(i) + random.below(static_cast<uint64_t>(n - i));
      std::swap(order[static_cast<size_t>(i)], order[j]);
    }
    std::copy_n(order.begin(), size, out[s].data_ptr<int64_t>());
  }
  return out;
}

KernelDistanceResult kernel_distance(const Tensor& x, const Tensor& y, const Tensor& x_subsets, const Tensor& y_subsets) {
  check_features(x, "kid");
  check_features(y, "kid reference");
  if (x.size(1) != y.size(1)) {
    throw Error(Exit::kBadInput, "kid", cat("features of ", x.size(1), " and ", y.size(1), " dimensions"),
                "use one feature network for both sides");
  }
  if (std::min(x.size(0), y.size(0)) < 3 || x_subsets.size(1) < 2) {
    throw Error(Exit::kBadNumbers, "kid", cat(std::min(x.size(0), y.size(0)), " items"), "give at least 3 on each side");
  }
  KernelDistanceResult out;
  out.n = x.size(0);
  out.n_reference = y.size(0);
  out.d = x.size(1);
  out.subsets = x_subsets.size(0);
  out.subset_size = x_subsets.size(1);
  std::vector<double> values;
  for (int64_t s = 0; s < out.subsets; ++s) {
    values.push_back(subset_estimate(x.index_select(0, x_subsets[s]), y.index_select(0, y_subsets[s])));
  }
  const Tensor all = at::tensor(values, at::kDouble);
  out.value = check_finite(all.mean().item<double>(), "kid");
  out.subset_std = all.std(0, false).item<double>();
  out.subset_stderr = out.subset_std / std::sqrt(static_cast<double>(out.subsets));
  full_estimate(x.slice(0, 0, kFullItems), y.slice(0, 0, kFullItems), out);
  check_finite(out.full + out.standard_error, "kid");
  return out;
}

KernelDistanceResult kernel_distance(const Tensor& x, const Tensor& y, const KernelDistanceOptions& options) {
  check_features(x, "kid");
  check_features(y, "kid reference");
  const int64_t most = std::min(x.size(0), y.size(0));
  const int64_t size = options.subset_size ? options.subset_size : std::min<int64_t>(1000, most);
  if (size > most || size < 2 || options.subsets < 1) {
    throw Error(Exit::kUsage, "kid", cat(options.subsets, " subsets of ", size, " out of ", x.size(0), " and ", y.size(0), " items"),
                "lower --kid.subset-size");
  }
  return kernel_distance(x, y, draw_subsets(x.size(0), options.subsets, size, options.seed, 0),
                         draw_subsets(y.size(0), options.subsets, size, options.seed, 1));
}

io::Json KernelDistanceResult::to_json() const {
  return {{"value", value}, {"stderr", standard_error}, {"full", full}, {"subset_std", subset_std},
          {"subset_stderr", subset_stderr}, {"subsets", subsets}, {"subset_size", subset_size}, {"n", n},
          {"n_reference", n_reference}, {"d", d}};
}

io::Json kernel_distance_metric(const MetricInput& in, const Settings& settings) {
  return kernel_distance(in.samples.features, in.reference_features("kid").features, settings.kernel_distance).to_json();
}

}  // namespace plumb::metrics
