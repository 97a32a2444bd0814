// SPDX-License-Identifier: Apache-2.0
#include "metrics/subspace.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/sha256.h"
#include "core/text.h"
#include "io/named_array.h"
#include "metrics/registry.h"
#include "nn/subspace_denoiser.h"

namespace plumb::metrics {

io::Json subspace_distance(const Tensor& v, const Tensor& a) {
  const double error = nn::subspace_angle_error(v, a);
  const Tensor cosines = at::linalg_svdvals(at::matmul(v.to(at::kDouble).t(), a.to(at::kDouble)));
  io::Json out{{"value", error}};
  if (v.size(1) == a.size(1)) out["normalised"] = error / static_cast<double>(2 * a.size(1));
  out["smallest_cosine"] = cosines.min().item<double>();
  out["dimension"] = a.size(1);
  return out;
}

namespace {

/// An orthonormal basis of the space that the columns of `a` span.
Tensor orthonormal(const Tensor& a, const std::string& file) {
  if (!a.isfinite().all().item<bool>()) throw Error(Exit::kBadNumbers, file, "array 'A' holds NaN or infinite numbers");
  const Tensor singular = at::linalg_svdvals(a);
  const bool full = a.size(1) <= a.size(0) && singular[-1].item<double>() > 1e-10 * singular[0].item<double>();
  if (!full) throw Error(Exit::kBadInput, file, "the columns of array 'A' do not span a space of their number: they depend on each other");
  return std::get<0>(at::linalg_qr(a));
}

}  // namespace

io::Json subspace_metric(const MetricInput& input, const Settings& settings) {
  const std::string& file = settings.subspace.file;
  if (file.empty()) throw NotApplicable(Exit::kUsage, "subspace", "needs the true subspace", "give diversity --subspace FILE with the array A");
  if (!input.basis) throw NotApplicable(Exit::kUsage, "subspace", "needs samples of a model with a subspace network", "see pretrain --denoiser");
  const io::NamedArray array = io::read_named_array(file, "A");
  const Tensor a = at::tensor(array.values, at::kDouble).view(array.shape);
  if (a.dim() != 2 || a.size(0) != input.basis->size(0)) {
    throw Error(Exit::kBadInput, file, cat("array 'A' is ", shape_text(array.shape), ", the model's basis ", shape_text(input.basis->sizes().vec())));
  }
  io::Json out = subspace_distance(*input.basis, orthonormal(a, file));
  out["sha256"] = sha256_of_file(file);
  return out;
}

}  // namespace plumb::metrics
