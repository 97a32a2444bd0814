// SPDX-License-Identifier: Apache-2.0
#include "metrics/spectral.h"

#include <cmath>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
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

io::Json SpectralResult::to_json() const {
  io::Json out{{"value", value}, {"trace_ratio", trace_ratio}, {"n", n}};
  if (n_reference) out["n_reference"] = n_reference;
  out["d"] = d;
  return out;
}

io::Json spectral_metric(const MetricInput& in, const Settings&) {
  const Gaussian b = in.statistics ? *in.statistics : fit_gaussian(in.reference_features("spectral").features);
  return spectral_distance(fit_gaussian(in.samples.features), b).to_json();
}

}  // namespace plumb::metrics
