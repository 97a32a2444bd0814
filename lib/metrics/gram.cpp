// SPDX-License-Identifier: Apache-2.0
#include "metrics/gram.h"

#include <algorithm>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"

namespace plumb::metrics {

void check_features(const Tensor& x, const std::string& name) {
  if (!x.defined() || x.dim() != 2 || x.size(0) < 1 || x.size(1) < 1 || !x.is_floating_point()) {
    throw Error(Exit::kBadInput, name, cat("features are not a matrix [N,d] of floating point numbers",
                                           x.defined() ? ", but " + shape_text(x.sizes().vec()) : std::string()),
                "give at least one item");
  }
  if (!x.isfinite().all().item<bool>()) {
    throw Error(Exit::kBadNumbers, name, "features hold NaN or infinite numbers", "look at the items and the feature network");
  }
}

Tensor unit_rows(const Tensor& x) {
  const Tensor rows = x.to(at::kDouble);
  const Tensor norms = rows.square().sum(1, true).sqrt(), zero = norms == 0;
  const auto zeros = zero.sum().item<int64_t>();
  if (zeros == 0) return rows / norms;
  log::warn(zeros, " of ", x.size(0), " items have all-zero features, which have no direction: they count as one of their own");
  return at::cat({rows / norms.masked_fill(zero, 1), zero.to(at::kDouble)}, 1);
}

void add_gram(Tensor& sum, const Tensor& rows) {
  constexpr int64_t kPanel = 512;
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
    for (const Tensor& block : rows.split(256)) add_gram(sum, block.to(at::kFloat));
  }
  mirror_lower(sum);
  return sum;
}

Tensor squared_distances(const Tensor& x, const Tensor& x_norms, const Tensor& y, const Tensor& y_norms) {
  Tensor out = x_norms.unsqueeze(1) + y_norms.unsqueeze(0);
  return out.addmm_(x, y.t(), 1, -2).clamp_min_(0);
}

}  // namespace plumb::metrics
