// SPDX-License-Identifier: Apache-2.0
#include "metrics/nearest.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/error.h"
#include "core/progress.h"
#include "core/text.h"
#include "metrics/gram.h"

namespace plumb::metrics {
namespace {

constexpr int64_t kBlock = 1024;
constexpr int64_t kSlack = 8;  // candidates beyond k, so that rounding seldom hides a true neighbour

/// The running nearest candidates of each row of one set, ascending.
struct Candidates {
  int64_t c;
  Tensor squared, index;  // [N,c] float32, int64
  Candidates(int64_t n, int64_t count)
      : c(count), squared(at::full({n, c}, std::numeric_limits<double>::infinity(), at::kFloat)), index(at::zeros({n, c}, at::kLong)) {}

  /// block [b,m]: squared distances of rows first.. to rows from.. of the other set.
  void merge_rows(int64_t first, int64_t from, const Tensor& block) {
    const int64_t m = block.size(1);
    const float* distances = block.const_data_ptr<float>();
    at::parallel_for(0, block.size(0), 16, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const float* row = distances + r * m;
        const Row to = row_of(first + r);
        for (int64_t j = 0; j < m; ++j) {
          insert(to, row[j], from + j);
        }
      }
    });
  }
  /// The same block seen from its columns: rows first.. are its columns, from.. its rows.
  void merge_columns(int64_t first, int64_t from, const Tensor& block) {
    const int64_t n = block.size(0), m = block.size(1);
    const float* distances = block.const_data_ptr<float>();
    at::parallel_for(0, m, 128, [&](int64_t begin, int64_t end) {
      std::vector<float> worst(static_cast<size_t>(end - begin));
      for (int64_t j = begin; j < end; ++j) worst[static_cast<size_t>(j - begin)] = row_of(first + j).squared[c - 1];
      for (int64_t r = 0; r < n; ++r) {
        const float* row = distances + r * m + begin;
        for (size_t j = 0; j < worst.size(); ++j) {
          if (!(row[j] < worst[j])) continue;
          const Row to = row_of(first + begin + static_cast<int64_t>(j));
          insert(to, row[j], from + r);
          worst[j] = to.squared[c - 1];
        }
      }
    });
  }

 private:
  struct Row {
    float* squared;
    int64_t* index;
  };
  Row row_of(int64_t i) const { return {squared.data_ptr<float>() + i * c, index.data_ptr<int64_t>() + i * c}; }
  void insert(const Row& to, float value, int64_t at) const {
    if (!(value < to.squared[c - 1])) return;
    int64_t place = c - 1;
    for (; place > 0 && value < to.squared[place - 1]; --place) {
      to.squared[place] = to.squared[place - 1];
      to.index[place] = to.index[place - 1];
    }
    to.squared[place] = value;
    to.index[place] = at;
  }
};

/// √Σ(a-b)² in float64. Eight sums at once, so that additions need not wait for each other.
template <typename T>
double euclidean(const T* a, const T* b, int64_t d) {
  double sums[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  int64_t k = 0;
  for (; k + 8 <= d; k += 8) {
    for (int64_t l = 0; l < 8; ++l) {
      const double gap = static_cast<double>(a[k + l]) - static_cast<double>(b[k + l]);
      sums[l] += gap * gap;
    }
  }
  for (; k < d; ++k) {
    const double gap = static_cast<double>(a[k]) - static_cast<double>(b[k]);
    sums[0] += gap * gap;
  }
  return std::sqrt(((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7])));
}

template <typename T>
void exact_distances(const Tensor& x, const Tensor& y, const Tensor& x_rows, const Tensor& y_rows, Tensor& out) {
  const int64_t d = x.size(1);
  const T* const xs = x.const_data_ptr<T>();
  const T* const ys = y.const_data_ptr<T>();
  const int64_t* const i = x_rows.const_data_ptr<int64_t>();
  const int64_t* const j = y_rows.const_data_ptr<int64_t>();
  double* const to = out.data_ptr<double>();
  at::parallel_for(0, out.size(0), 64, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) to[p] = euclidean(xs + i[p] * d, ys + j[p] * d, d);
  });
}

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
  const Tensor off = (blocks.x_norms() + blocks.y_norms().max()).to(at::kDouble) * static_cast<double>(blocks.rounding());
  const Tensor bound = found.squared.select(1, c - 1).to(at::kDouble) - off;
  const Tensor open = at::nonzero((kth.square() > bound).logical_and(kth > 0)).squeeze(1);
  for (const Tensor& some : open.split(64)) {
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

DistanceBlocks::DistanceBlocks(const Tensor& x, const Tensor& y) : within_(x.is_same(y)) {
  check_features(x, "distances");
  if (!within_) check_features(y, "distances");
  if (x.size(1) != y.size(1)) {
    throw Error(Exit::kBadInput, "distances", cat("features of ", x.size(1), " and ", y.size(1), " dimensions"),
                "use one feature network for both sides");
  }
  const at::ScalarType type = x.scalar_type() == at::kFloat && y.scalar_type() == at::kFloat ? at::kFloat : at::kDouble;
  x_ = x.to(type).contiguous();
  y_ = within_ ? x_ : y.to(type).contiguous();
  centre_ = mean_of_rows(y_).to(type);
  const auto norms = [&](const Tensor& rows) {
    Tensor out = at::empty({rows.size(0)}, at::kFloat);
    for (int64_t i = 0; i < rows.size(0); i += kBlock) {
      out.slice(0, i, i + kBlock).copy_(centred(rows.slice(0, i, i + kBlock)).square().sum(1));
    }
    return out;
  };
  y_norms_ = norms(y_);
  x_norms_ = within_ ? y_norms_ : norms(x_);
  const double most = 2 * (x_norms_.max().item<double>() + y_norms_.max().item<double>());  // |x - y|² <= 2 (|x|² + |y|²)
  if (!(most <= static_cast<double>(std::numeric_limits<float>::max()))) {
    throw Error(Exit::kBadNumbers, "distances", "squared distances of these features are beyond float32",
                "scale the items, or look for features that ran away");
  }
  rounding_ = 2 * std::numeric_limits<float>::epsilon() * (4 + std::sqrt(static_cast<float>(x.size(1))));
}

Tensor DistanceBlocks::centred(const Tensor& rows) const { return (rows - centre_).to(at::kFloat); }

void DistanceBlocks::each(const std::function<void(int64_t, int64_t, const Tensor&)>& f) const {
  const int64_t rows = (x_.size(0) + kBlock - 1) / kBlock, columns = (y_.size(0) + kBlock - 1) / kBlock;
  Progress progress("blocks of distances", within_ ? rows * (rows + 1) / 2 : rows * columns);
  int64_t done = 0;
  for (int64_t i = 0; i < x_.size(0); i += kBlock) {
    const Tensor xi = centred(x_.slice(0, i, i + kBlock)), xi_norms = x_norms_.slice(0, i, i + kBlock);
    for (int64_t j = within_ ? i : 0; j < y_.size(0); j += kBlock) {
      const Tensor yj = within_ && j == i ? xi : centred(y_.slice(0, j, j + kBlock));
      f(i, j, squared_distances(xi, xi_norms, yj, y_norms_.slice(0, j, j + kBlock)));
      progress.update(++done);
    }
  }
}

Tensor DistanceBlocks::exact(const Tensor& x_rows, const Tensor& y_rows) const {
  const Tensor i = x_rows.contiguous(), j = y_rows.contiguous();
  Tensor out = at::empty({i.size(0)}, at::kDouble);
  if (y_.scalar_type() == at::kFloat) {
    exact_distances<float>(x_, y_, i, j, out);
  } else {
    exact_distances<double>(x_, y_, i, j, out);
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
    found.merge_rows(i, j, squared);
    if (j > i) found.merge_columns(j, i, squared);
  });
  return decide(blocks, found, k, others);
}

Neighbours nearest_between(const Tensor& queries, const Tensor& points, int64_t k) {
  const DistanceBlocks blocks(queries, points.is_same(queries) ? points.alias() : points);
  check_count(k, points.size(0));
  Candidates found(queries.size(0), std::min(k + kSlack, points.size(0)));
  blocks.each([&](int64_t i, int64_t j, const Tensor& squared) { found.merge_rows(i, j, squared); });
  return decide(blocks, found, k, points.size(0));
}

}  // namespace plumb::metrics
