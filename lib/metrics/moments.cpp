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
  out.mean = moments.mean();
  out.covariance = moments.covariance();
  return out;
}

}  // namespace plumb::metrics
