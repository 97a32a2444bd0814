// SPDX-License-Identifier: Apache-2.0
#include "metrics/kernel_distance.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/error.h"
#include "core/text.h"
#include "metrics/bootstrap.h"
#include "metrics/gram.h"
#include "metrics/registry.h"

namespace plumb::metrics {
namespace {

void check_count(const Tensor& x, const Tensor& y) {
  const int64_t fewest = std::min(x.size(0), y.size(0));
  if (fewest < 3) throw Error(Exit::kBadNumbers, "kid", cat(fewest, fewest == 1 ? " item" : " items"), "give at least 3 on each side");
}

/// Adds the sums of (product/d + 1)³ over the rows [b] and columns [m] of a block [b,m] of products to `rows` and `columns`, from
/// column first(r) of row r on. In pieces of a fixed number of rows, so that the number of threads changes no bit.
template <typename T, typename First>
void add_sums(const Tensor& products, double scale, const First& first, double* rows, double* columns) {
  constexpr int64_t kPiece = 32;
  const int64_t b = products.size(0), m = products.size(1), pieces = (b + kPiece - 1) / kPiece;
  const T* const xy = products.const_data_ptr<T>();
  std::vector<std::vector<double>> parts(static_cast<size_t>(pieces), std::vector<double>(static_cast<size_t>(m)));
  at::parallel_for(0, pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin * kPiece; r < std::min(end * kPiece, b); ++r) {
      double* const part = parts[static_cast<size_t>(r / kPiece)].data();
      double sum = 0;
      for (int64_t c = first(r); c < m; ++c) {
        const double base = static_cast<double>(xy[r * m + c]) * scale + 1, k = base * base * base;
        sum += k;
        part[c] += k;
      }
      rows[r] += sum;
    }
  });
  for (const std::vector<double>& part : parts) {
    for (int64_t c = 0; c < m; ++c) columns[c] += part[static_cast<size_t>(c)];
  }
}

/// Each item's summed kernel with the items of the other side, float64: of x with y [N] and of y with x [M].
struct KernelSums {
  Tensor x, y;
  double total() const { return x.sum().item<double>(); }
};

/// y null: x with itself, each pair once for both its sides, an item not with itself; then both fields are the same.
KernelSums kernel_sums(const Tensor& x, const Tensor* y) {
  constexpr int64_t kColumns = 1024;
  const bool within = y == nullptr;
  const int64_t rows_at_once = within ? 256 : 1024;  // few within a set: a block on the diagonal computes both its triangles
  const Tensor& other = within ? x : *y;
  Tensor sums = at::zeros({x.size(0)}, at::kDouble), others = within ? sums : at::zeros({other.size(0)}, at::kDouble);
  const double scale = 1 / static_cast<double>(x.size(1));
  for (int64_t i = 0; i < x.size(0); i += rows_at_once) {
    const Tensor xi = x.slice(0, i, i + rows_at_once);
    for (int64_t j = within ? i : 0; j < other.size(0); j += kColumns) {
      const Tensor products = at::mm(xi, other.slice(0, j, j + kColumns).t());
      const auto first = [&](int64_t r) { return within && j == i ? r + 1 : 0; };
      double* const rows = sums.data_ptr<double>() + i;
      double* const columns = others.data_ptr<double>() + j;
      if (products.scalar_type() == at::kFloat) {
        add_sums<float>(products, scale, first, rows, columns);
      } else {
        add_sums<double>(products, scale, first, rows, columns);
      }
    }
  }
  return {sums, others};
}

/// The unbiased estimate on all items, and its standard error.
void full_estimate(const Tensor& x, const Tensor& y, KernelDistanceResult& out) {
  const double n = static_cast<double>(x.size(0)), m = static_cast<double>(y.size(0));
  const KernelSums xx = kernel_sums(x, nullptr), yy = kernel_sums(y, nullptr), xy = kernel_sums(x, &y);
  const double sxx = xx.total(), syy = yy.total(), sxy = xy.total();
  const double ux = sxx / (n * (n - 1)), uy = syy / (m * (m - 1));
  out.full = ux + uy - 2 * sxy / (n * m);
  const Tensor without_x = (sxx - 2 * xx.x) / ((n - 1) * (n - 2)) + uy - 2 * (sxy - xy.x) / ((n - 1) * m);
  const Tensor without_y = (syy - 2 * yy.x) / ((m - 1) * (m - 2)) + ux - 2 * (sxy - xy.y) / ((m - 1) * n);
  out.standard_error = std::sqrt(jackknife_variance(without_x) + jackknife_variance(without_y));
}

double subset_estimate(const Tensor& x, const Tensor& y) {
  const double m = static_cast<double>(x.size(0));
  const auto within = [&](const Tensor& z) { return kernel_sums(z, nullptr).total() / (m * (m - 1)); };
  return within(x) + within(y) - 2 * kernel_sums(x, &y).total() / (m * m);
}

}  // namespace

KernelDistanceResult kernel_distance(const Tensor& x, const Tensor& y, const Tensor& x_subsets, const Tensor& y_subsets,
                                     const KernelDistanceOptions& options) {
  check_features(x, "kid");
  check_features(y, "kid reference");
  if (x.size(1) != y.size(1)) {
    throw Error(Exit::kBadInput, "kid", cat("features of ", x.size(1), " and ", y.size(1), " dimensions"),
                "use one feature network for both sides");
  }
  check_count(x, y);
  if (x_subsets.size(1) < 2) throw Error(Exit::kUsage, "kid", "subsets of 1 item", "at least 2");
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
  if (options.items > 0) {
    const auto some = [&](const Tensor& z, uint32_t purpose) {  // not the first ones: items may come class by class
      return z.size(0) <= options.items ? z : z.index_select(0, draw_rows(z.size(0), options.items, options.seed, purpose));
    };
    full_estimate(some(x, subset_of::kFullSamples), some(y, subset_of::kFullReference), out);
    check_finite(out.full + out.standard_error, "kid");
    out.has_full = true;
  }
  return out;
}

KernelDistanceResult kernel_distance(const Tensor& x, const Tensor& y, const KernelDistanceOptions& options) {
  check_features(x, "kid");
  check_features(y, "kid reference");
  check_count(x, y);
  const int64_t most = std::min(x.size(0), y.size(0));
  const int64_t size = options.subset_size ? options.subset_size : std::min<int64_t>(1000, most);
  if (options.items != 0 && options.items < 3) throw Error(Exit::kUsage, "--kid.items", cat(options.items, " items have no error"), "at least 3, or 0");
  if (size > most || size < 2 || options.subsets < 1) {
    throw Error(Exit::kUsage, "kid", cat(options.subsets, " subsets of ", size, " out of ", x.size(0), " and ", y.size(0), " items"),
                size > most ? "lower --kid.subset-size" : "raise --kid.subset-size");
  }
  return kernel_distance(x, y, draw_subsets(x.size(0), options.subsets, size, options.seed, subset_of::kSamples),
                         draw_subsets(y.size(0), options.subsets, size, options.seed, subset_of::kReference), options);
}

Interval KernelDistanceResult::interval() const {
  const double of_subsets = subset_std * subset_std / static_cast<double>(subsets - 1);
  return normal_interval(value, std::sqrt(standard_error * standard_error + of_subsets));
}

io::Json KernelDistanceResult::to_json() const {
  io::Json out{{"value", value}};
  if (has_full && subsets > 1) add_interval(out, interval());
  if (has_full) out["full"] = full;
  out.update({{"subset_std", subset_std}, {"subset_stderr", subset_stderr}, {"subsets", subsets},
              {"subset_size", subset_size}, {"n", n}, {"n_reference", n_reference}, {"d", d}});
  if (has_full) add_interval(out, "full", full_interval());
  return out;
}

io::Json kernel_distance_metric(const MetricInput& in, const Settings& settings) {
  return kernel_distance(in.samples.features, in.reference_features("kid").features, settings.kernel_distance).to_json();
}

}  // namespace plumb::metrics
