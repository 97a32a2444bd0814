// SPDX-License-Identifier: Apache-2.0
#include "metrics/moments.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "metrics/gram.h"

namespace plumb::metrics {
namespace {

constexpr int64_t kBlock = 1024;

[[noreturn]] void too_few(int64_t n, int64_t needed) {
  throw Error(Exit::kBadNumbers, "covariance", cat(n, n == 1 ? " item has" : " items have", " none"),
              cat("give at least ", needed));
}

/// Products in single precision carry noise of about 1e-7 of the largest variance, and fid takes roots of what is small. Whether the
/// smallest part of a covariance stands above that: the squares on the diagonal of its Cholesky factor, without constant columns.
bool stands_above_float32(const Tensor& covariance) {
  const Tensor index = at::nonzero(covariance.diagonal() > 0).squeeze(1);
  if (index.numel() == 0) return true;
  const bool whole = index.numel() == covariance.size(0);
  const Tensor varying = whole ? covariance : covariance.index_select(0, index).index_select(1, index);
  const auto [lower, info] = at::linalg_cholesky_ex(varying, false, false);
  if (info.item<int>() != 0) return false;
  return lower.diagonal().min().square().item<double>() > 1e-6 * varying.diagonal().max().item<double>();
}

Gaussian fitted(Moments& moments, int64_t n) {
  Gaussian out;
  out.n = n;
  out.mean = moments.mean();
  out.covariance = moments.covariance();
  return out;
}

}  // namespace

Moments::Moments(int64_t d) : d_(d) {}

void Moments::add(const Tensor& rows) {
  if (rows.dim() != 2 || rows.size(1) != d_) {
    throw Error(Exit::kBadInput, "features", cat("rows are ", shape_text(rows.sizes().vec()), ", expected [B,", d_, "]"));
  }
  if (!pending_.defined()) pending_ = at::empty({kBlock, d_}, rows.scalar_type());
  for (int64_t first = 0; first < rows.size(0);) {
    const int64_t take = std::min(kBlock - filled_, rows.size(0) - first);
    pending_.slice(0, filled_, filled_ + take).copy_(rows.slice(0, first, first + take));
    filled_ += take;
    first += take;
    if (filled_ == kBlock) flush();
  }
}

void Moments::flush() {
  if (filled_ == 0) return;
  const Tensor rows = pending_.slice(0, 0, filled_);
  n_ += filled_;
  filled_ = 0;
  if (!shift_.defined()) {
    shift_ = rows.mean(0, false, at::kDouble).to(rows.scalar_type());
    sum_ = at::zeros({d_}, at::kDouble);
    outer_ = at::zeros({d_, d_}, at::kDouble);
  }
  const Tensor shifted = rows - shift_;
  sum_.add_(shifted.sum(0, false, at::kDouble));
  add_gram(outer_, shifted);
}

Tensor Moments::mean() {
  flush();
  if (n_ < 1) too_few(n_, 1);
  return shift_.to(at::kDouble) + sum_ / static_cast<double>(n_);
}

Tensor Moments::covariance() {
  flush();
  if (n_ < 2) too_few(n_, 2);
  const double n = static_cast<double>(n_);
  Tensor out = (outer_ - at::outer(sum_, sum_) / n) / (n - 1);
  mirror_lower(out);
  return out;
}

double Gaussian::trace() const {
  return rows.defined() ? rows.square().sum().item<double>() : covariance.diagonal().sum().item<double>();
}

Tensor Gaussian::full_covariance() const { return rows.defined() ? gram(rows) : covariance; }

Gaussian fit_gaussian(const Tensor& features) {
  check_features(features, "features");
  const int64_t n = features.size(0), d = features.size(1);
  if (n < 2) too_few(n, 2);
  Gaussian out;
  out.n = n;
  if (n <= d) {
    const Tensor x = features.to(at::kDouble);
    out.mean = x.mean(0);
    out.rows = (x - out.mean) / std::sqrt(static_cast<double>(n - 1));
    return out;
  }
  Moments moments(d);
  moments.add(features);
  out = fitted(moments, n);
  if (features.scalar_type() == at::kDouble || stands_above_float32(out.covariance)) return out;
  Moments exact(d);
  for (int64_t first = 0; first < n; first += kBlock) exact.add(features.slice(0, first, first + kBlock).to(at::kDouble));
  return fitted(exact, n);
}

}  // namespace plumb::metrics
