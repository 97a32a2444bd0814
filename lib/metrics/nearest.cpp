// SPDX-License-Identifier: Apache-2.0
#include "metrics/nearest.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "metrics/gram.h"

namespace plumb::metrics {
namespace {

constexpr int64_t kBlock = 1024;
constexpr int64_t kSlack = 8;  // candidates beyond k, so that rounding seldom hides a true neighbour

/// The running nearest candidates of each row of one set.
struct Candidates {
  Tensor squared, index;  // [N,c] float32, int64
  Candidates(int64_t n, int64_t c)
      : squared(at::full({n, c}, std::numeric_limits<double>::infinity(), at::kFloat)), index(at::zeros({n, c}, at::kLong)) {}

  /// block [b,m]: squared distances of rows first.. to rows from.. of the other set.
  void merge(int64_t first, int64_t from, const Tensor& block) {
    const int64_t c = squared.size(1);
    Tensor rows = squared.slice(0, first, first + block.size(0));
    Tensor rows_index = index.slice(0, first, first + block.size(0));
    const auto [near, at_column] = at::topk(block, std::min(c, block.size(1)), 1, false, false);
    const Tensor values = at::cat({rows, near}, 1), indices = at::cat({rows_index, at_column + from}, 1);
    const auto [best, place] = at::topk(values, c, 1, false, false);
    rows.copy_(best);
    rows_index.copy_(indices.gather(1, place));
  }
};

Neighbours decide(const DistanceBlocks& blocks, const Candidates& found, int64_t k, int64_t others) {
  const int64_t n = found.index.size(0), c = found.index.size(1);
  const Tensor rows = at::arange(n, at::kLong).unsqueeze(1).expand({n, c}).reshape({-1});
  Tensor distance = blocks.exact(rows, found.index.reshape({-1})).view({n, c});
  distance.masked_fill_(found.squared.isinf(), std::numeric_limits<double>::infinity());
  auto [values, place] = at::sort(distance, true, 1, false);
  Neighbours out{values.slice(1, 0, k).contiguous(), found.index.gather(1, place).slice(1, 0, k).contiguous()};
  if (c >= others) return out;
  // A row is settled if nothing outside its candidates can be nearer: the farthest candidate, less its rounding, is
  // beyond the k-th distance. The others are done in full.
  const Tensor kth = out.distance.select(1, k - 1);
  const Tensor bound = std::get<0>(found.squared.max(1)).to(at::kDouble) - blocks.tolerance(0, -1, found.squared).to(at::kDouble).squeeze(1);
  const Tensor open = at::nonzero((kth.square() > bound).logical_and(kth > 0)).squeeze(1);
  for (const Tensor& some : open.split(256)) {
    if (some.size(0) == 0) continue;
    Tensor all = blocks.exact_rows(some);
    if (blocks.within()) all.scatter_(1, some.unsqueeze(1), std::numeric_limits<double>::infinity());
    const auto [near, column] = at::topk(all, k, 1, false, true);
    out.distance.index_copy_(0, some, near);
    out.index.index_copy_(0, some, column);
  }
  return out;
}

void check_count(int64_t k, int64_t others) {
  if (k >= 1 && k <= others) return;
  throw Error(Exit::kBadNumbers, "nearest neighbours", cat(k, " of ", others, " items"), "give more items or ask for fewer neighbours");
}

}  // namespace

DistanceBlocks::DistanceBlocks(const Tensor& x, const Tensor& y) : within_(x.is_same(y)), x_(x), y_(y) {
  check_features(x, "distances");
  if (!within_) check_features(y, "distances");
  if (x.size(1) != y.size(1)) {
    throw Error(Exit::kBadInput, "distances", cat("features of ", x.size(1), " and ", y.size(1), " dimensions"),
                "use one feature network for both sides");
  }
  const Tensor centre = y.mean(0, false, at::kDouble).to(y.scalar_type());
  y_centred_ = (y - centre).to(at::kFloat);
  y_norms_ = y_centred_.square().sum(1);
  x_centred_ = within_ ? y_centred_ : (x - centre).to(at::kFloat);
  x_norms_ = within_ ? y_norms_ : x_centred_.square().sum(1);
  unit_ = 2 * std::numeric_limits<float>::epsilon() * (4 + std::sqrt(static_cast<double>(x.size(1))));
}

void DistanceBlocks::each(const std::function<void(int64_t, int64_t, const Tensor&)>& f) const {
  for (int64_t i = 0; i < x_.size(0); i += kBlock) {
    for (int64_t j = within_ ? i : 0; j < y_.size(0); j += kBlock) {
      f(i, j, squared_distances(x_centred_.slice(0, i, i + kBlock), x_norms_.slice(0, i, i + kBlock),
                                y_centred_.slice(0, j, j + kBlock), y_norms_.slice(0, j, j + kBlock)));
    }
  }
}

Tensor DistanceBlocks::tolerance(int64_t i, int64_t j, const Tensor& squared) const {
  const Tensor x = x_norms_.slice(0, i, i + squared.size(0)).unsqueeze(1);
  return unit_ * (j < 0 ? x + y_norms_.max() : x + y_norms_.slice(0, j, j + squared.size(1)).unsqueeze(0));
}

Tensor DistanceBlocks::exact(const Tensor& x_rows, const Tensor& y_rows) const {
  const int64_t chunk = std::max<int64_t>(1, (int64_t{1} << 22) / x_.size(1));
  Tensor out = at::empty({x_rows.size(0)}, at::kDouble);
  for (int64_t i = 0; i < x_rows.size(0); i += chunk) {
    const Tensor a = x_.index_select(0, x_rows.slice(0, i, i + chunk)).to(at::kDouble);
    const Tensor b = y_.index_select(0, y_rows.slice(0, i, i + chunk)).to(at::kDouble);
    out.slice(0, i, i + chunk).copy_((a - b).square_().sum(1).sqrt_());
  }
  return out;
}

Tensor DistanceBlocks::exact_rows(const Tensor& x_rows) const {
  Tensor out = at::empty({x_rows.size(0), y_.size(0)}, at::kDouble);
  const Tensor columns = at::arange(y_.size(0), at::kLong);
  for (int64_t r = 0; r < x_rows.size(0); ++r) out[r].copy_(exact(x_rows[r].expand({y_.size(0)}), columns));
  return out;
}

Neighbours nearest_within(const Tensor& x, int64_t k) {
  const DistanceBlocks blocks(x, x);
  const int64_t others = x.size(0) - 1;
  check_count(k, others);
  Candidates found(x.size(0), std::min(k + kSlack, others));
  blocks.each([&](int64_t i, int64_t j, const Tensor& squared) {
    if (i == j) {
      Tensor block = squared;
      block.fill_diagonal_(std::numeric_limits<double>::infinity());
    }
    found.merge(i, j, squared);
    if (j > i) found.merge(j, i, squared.t());
  });
  return decide(blocks, found, k, others);
}

Neighbours nearest_between(const Tensor& queries, const Tensor& points, int64_t k) {
  const DistanceBlocks blocks(queries, points.is_same(queries) ? points.alias() : points);
  check_count(k, points.size(0));
  Candidates found(queries.size(0), std::min(k + kSlack, points.size(0)));
  blocks.each([&](int64_t i, int64_t j, const Tensor& squared) { found.merge(i, j, squared); });
  return decide(blocks, found, k, points.size(0));
}

}  // namespace plumb::metrics
