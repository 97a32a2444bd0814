// SPDX-License-Identifier: Apache-2.0
#include "metrics/gram.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"

namespace plumb::metrics {
namespace {

constexpr int64_t kRows = 1024;  // in one step of what is streamed

/// Euclidean norms of the rows, summed in float64; eight sums at once, so that additions need not wait for each other.
template <typename T>
void write_norms(const Tensor& x, Tensor& norms) {
  const int64_t d = x.size(1);
  const T* const rows = x.const_data_ptr<T>();
  double* const out = norms.data_ptr<double>();
  at::parallel_for(0, x.size(0), 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* const row = rows + i * d;
      double sums[8] = {0, 0, 0, 0, 0, 0, 0, 0};
      for (int64_t k = 0; k < d; ++k) sums[k % 8] += static_cast<double>(row[k]) * static_cast<double>(row[k]);
      out[i] = std::sqrt(((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7])));
    }
  });
}

}  // namespace

void check_features(const Tensor& x, const std::string& name) {
  if (!x.defined() || x.dim() != 2 || x.size(0) < 1 || x.size(1) < 1 || !x.is_floating_point()) {
    throw Error(Exit::kBadInput, name, cat("features are not a matrix [N,d] of floating point numbers",
                                           x.defined() ? ", but " + shape_text(x.sizes().vec()) : std::string()),
                "give at least one item");
  }
  for (const Tensor& block : x.split(kRows)) {
    // One pass: a sum of finite numbers is finite unless it overflows. isfinite() makes three copies of what it looks at.
    if (std::isfinite(block.sum().item<double>()) || block.isfinite().all().item<bool>()) continue;
    throw Error(Exit::kBadNumbers, name, "features hold NaN or infinite numbers", "look at the items and the feature network");
  }
}

Tensor mean_of_rows(const Tensor& x) {
  Tensor sum = at::zeros({x.size(1)}, at::kDouble);
  for (const Tensor& block : x.split(kRows)) sum.add_(block.sum(0, false, at::kDouble));
  return sum.div_(static_cast<double>(x.size(0)));
}

UnitRows::UnitRows(const Tensor& x) : x_(x.contiguous()), norms_(at::empty({x.size(0)}, at::kDouble)) {
  if (x_.scalar_type() == at::kFloat) {
    write_norms<float>(x_, norms_);
  } else {
    write_norms<double>(x_, norms_);
  }
  zeros_ = (norms_ == 0).sum().item<int64_t>();
  if (zeros_ > 0) {
    log::warn(zeros_, " of ", x.size(0), " items have all-zero features, which have no direction: they count as one of their own");
  }
}

Tensor UnitRows::slice(int64_t first, int64_t count, at::ScalarType type) const { return select(at::arange(first, first + count, at::kLong), type); }

Tensor UnitRows::select(const Tensor& index, at::ScalarType type, const Tensor& weights) const {
  const Tensor norms = norms_.index_select(0, index), weight = weights.defined() ? weights : at::ones_like(norms);
  Tensor rows = x_.index_select(0, index).to(type);
  const Tensor zero = norms == 0;
  rows.mul_((weight / norms.masked_fill(zero, 1)).to(type).unsqueeze(1));
  return zeros_ == 0 ? rows : at::cat({rows, (weight * zero).to(type).unsqueeze(1)}, 1);
}

void add_gram(Tensor& sum, const Tensor& rows) {
  constexpr int64_t kPanel = 256;
  const int64_t d = rows.size(1);
  for (int64_t j = 0; j < d; j += kPanel) {
    const int64_t width = std::min(kPanel, d - j);
    sum.slice(0, j).slice(1, j, j + width).add_(at::mm(rows.slice(1, j).t(), rows.slice(1, j, j + width)));
  }
}

void mirror_lower(Tensor& matrix) { matrix = matrix.tril().add_(matrix.tril(-1).t()); }

Tensor gram(const Tensor& rows, bool exact) {
  Tensor sum = at::zeros({rows.size(1), rows.size(1)}, at::kDouble);
  if (exact) {
    add_gram(sum, rows.to(at::kDouble));
  } else {
    for (const Tensor& block : rows.split(kRows)) add_gram(sum, block.to(at::kFloat));
  }
  mirror_lower(sum);
  return sum;
}

Tensor weighted_squares(int64_t count, const std::function<Tensor(int64_t, int64_t)>& rows, const Tensor& directions, const Tensor& weights) {
  Tensor out = at::empty({count, weights.size(1)}, at::kDouble);
  for (int64_t i = 0; i < count; i += kRows) {
    const Tensor block = rows(i, std::min(kRows, count - i));
    out.slice(0, i, i + kRows).copy_(at::mm(at::mm(block, directions).square_(), weights));
  }
  return out;
}

Tensor squared_distances(const Tensor& x, const Tensor& x_norms, const Tensor& y, const Tensor& y_norms) {
  Tensor out = x_norms.unsqueeze(1) + y_norms.unsqueeze(0);
  return out.addmm_(x, y.t(), 1, -2).clamp_min_(0);
}

}  // namespace plumb::metrics
