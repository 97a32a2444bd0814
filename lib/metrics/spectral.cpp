// SPDX-License-Identifier: Apache-2.0
#include "metrics/spectral.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "metrics/gram.h"
#include "metrics/registry.h"

namespace plumb::metrics {
namespace {

/// √ of the d eigenvalues of the covariance, ascending.
Tensor root_spectrum(const Gaussian& g) {
  if (!g.rows.defined()) return at::linalg_eigvalsh(g.covariance).clamp_min(0).sqrt();
  const Tensor values = at::linalg_svdvals(g.rows).flip(0);  // N <= d of them, the rest are 0
  return at::cat({at::zeros({g.dimension() - values.size(0)}, at::kDouble), values});
}

}  // namespace

SpectralResult spectral_distance(const Gaussian& a, const Gaussian& b) {
  if (a.dimension() != b.dimension()) {
    throw Error(Exit::kBadInput, "spectral", cat("features of ", a.dimension(), " and ", b.dimension(), " dimensions"),
                "use one feature network for both sides");
  }
  if (!(b.trace() > 0)) {
    throw Error(Exit::kBadNumbers, "spectral", "the reference's features have no variance", "are all its items equal?");
  }
  SpectralResult out;
  out.n = a.n;
  out.n_reference = b.n;
  out.d = a.dimension();
  out.value = check_finite((root_spectrum(a) - root_spectrum(b)).norm().item<double>(), "spectral");
  out.trace_ratio = a.trace() / b.trace();
  return out;
}

Tensor spectral_influence(const Gaussian& own, const Gaussian& other, double distance, const Tensor& rows) {
  const auto [values, vectors] = at::linalg_eigh(own.covariance);
  const Tensor theirs = at::linalg_eigvalsh(other.covariance).clamp_min(0);
  const double cut = values.max().item<double>() * static_cast<double>(own.dimension()) * std::numeric_limits<double>::epsilon();
  const Tensor weights = at::where(values > cut, 1 - (theirs / values.clamp_min(cut)).sqrt(), 0);  // no item lies in the others
  const auto centred = [&](int64_t first, int64_t count) { return rows.slice(0, first, first + count).to(at::kDouble) - own.mean; };
  return weighted_squares(rows.size(0), centred, vectors, weights.unsqueeze(1)).squeeze(1) / (2 * distance);
}

SpectralResult spectral_distance(const Gaussian& a, const Gaussian& b, const FittedItems& a_items, const FittedItems& b_items) {
  SpectralResult out = spectral_distance(a, b);
  if (!(out.value > 0) || !(a.trace() > 0) || !a.covariance.defined() || !b.covariance.defined()) return out;
  if (a.n == 2 || b.n == 2) return out;  // as far from their mean: they do not say how the spread varies
  double variance = 0, of_log_ratio = 0;
  const auto add = [&](const Gaussian& own, const Gaussian& other, const FittedItems& items) {
    if (!items.features.defined()) return;
    const Tensor rows = items.features.index_select(0, influence_items(own.n, items.seed));
    variance += influence_variance(spectral_influence(own, other, out.value, rows), own.n);
    // d log Tr S = |x - mu|² / Tr S
    const Tensor spread = (rows.to(at::kDouble) - own.mean).square().sum(1);
    of_log_ratio += influence_variance(spread / own.trace(), own.n);
  };
  add(a, b, a_items);
  add(b, a, b_items);
  out.interval = normal_interval(out.value, std::sqrt(variance));
  out.interval->low = std::max(0.0, out.interval->low);
  out.trace_ratio_interval = normal_interval(out.trace_ratio, out.trace_ratio * std::sqrt(of_log_ratio));
  return out;
}

io::Json SpectralResult::to_json() const {
  io::Json out{{"value", value}};
  if (interval) add_interval(out, *interval);
  out.update({{"trace_ratio", trace_ratio}, {"n", n}});
  if (n_reference) out["n_reference"] = n_reference;
  out["d"] = d;
  if (trace_ratio_interval) add_interval(out, "trace_ratio", *trace_ratio_interval);
  return out;
}

io::Json spectral_metric(const MetricInput& in, const Settings& settings) {
  const Gaussian b = in.statistics ? *in.statistics : fit_gaussian(in.reference_features("spectral").features);
  const uint64_t seed = settings.frechet.seed;
  return spectral_distance(fit_gaussian(in.samples.features), b, {in.samples.features, seed},
                           {in.statistics ? Tensor() : in.reference->features, seed}).to_json();
}

}  // namespace plumb::metrics
