// SPDX-License-Identifier: Apache-2.0
#include "metrics/pairwise.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/error.h"
#include "metrics/gram.h"
#include "metrics/nearest.h"
#include "metrics/registry.h"

namespace plumb::metrics {
namespace {

constexpr float kNever = std::numeric_limits<float>::infinity();

/// Mean and its standard error from each item's summed distance to the others.
PairwiseDistance from_row_sums(const Tensor& sums) {
  const double n = static_cast<double>(sums.size(0)), total = sums.sum().item<double>();
  PairwiseDistance out;
  out.mean = check_finite(total / (n * (n - 1)), "pairwise");
  out.has_error = n > 2;
  if (out.has_error) out.standard_error = std::sqrt(jackknife_variance((total - 2 * sums) / ((n - 1) * (n - 2))));
  return out;
}

/// Each item's summed 1 - cosine to the others [N]: Σ_{j≠i} (1 - u_i·u_j) = N - 1 - u_i·Σu + |u_i|²; no pairs needed.
Tensor cosine_sums(const UnitRows& unit, int64_t n) {
  constexpr int64_t kRows = 1024;
  Tensor total = at::zeros({unit.width()}, at::kDouble), out = at::empty({n}, at::kDouble);
  for (int64_t i = 0; i < n; i += kRows) total.add_(unit.slice(i, std::min(kRows, n - i), at::kDouble).sum(0));
  for (int64_t i = 0; i < n; i += kRows) {
    const Tensor u = unit.slice(i, std::min(kRows, n - i), at::kDouble);
    out.slice(0, i, i + kRows).copy_(static_cast<double>(n - 1) - u.mv(total) + u.square().sum(1));
  }
  return out;
}

void check_pairs(int64_t n) {
  if (n < 2) throw Error(Exit::kBadNumbers, "pairwise", "1 item has no pairs", "give at least 2");
}

/// Lower bounds of the two distances of a pair, from its squared distance in float32.
class Bounds {
 public:
  Bounds(const DistanceBlocks& blocks, const UnitRows& unit)
      : lengths_(unit.norms().to(at::kFloat)),
        inverses_(at::where(unit.norms() > 0, unit.norms().reciprocal(), 0).to(at::kFloat)),
        rounding_(blocks.rounding()),
        centred_(blocks.x_norms().const_data_ptr<float>()),
        length_(lengths_.const_data_ptr<float>()),
        inverse_(inverses_.const_data_ptr<float>()) {}
  /// Of the squared Euclidean distance.
  float euclidean(int64_t x, int64_t y, float squared) const { return squared - rounding_ * (centred_[x] + centred_[y]); }
  /// 1 - cosine = (|x - y|² - (|x| - |y|)²) / (2 |x| |y|); 0 for an item without direction.
  float cosine(int64_t x, int64_t y, float squared) const {
    constexpr float kUnit = 4 * std::numeric_limits<float>::epsilon();
    const float gap = std::abs(length_[x] - length_[y]) + kUnit * (length_[x] + length_[y]);
    const float low = (euclidean(x, y, squared) - gap * gap) * 0.5f * inverse_[x] * inverse_[y];
    return low - kUnit * std::abs(low);
  }

 private:
  Tensor lengths_, inverses_;
  float rounding_;
  const float *centred_, *length_, *inverse_;  // |x - mean|², |x|, 1/|x| or 0
};

/// The nearest pair of a set, found block by block: float64 decides among the pairs whose lower bound does not exceed the best so far.
class NearestPair {
 public:
  using Exact = std::function<Tensor(const Tensor& rows, const Tensor& columns)>;  // [P] float64
  /// The bounds given to look() are of the distance to the `power`, 1 or 2.
  NearestPair(int power, Exact exact) : power_(power), exact_(std::move(exact)) {}
  void set(int64_t row, int64_t column, double distance) {
    distance_ = distance;
    rows_ = std::minmax({row, column});
    reach_ = (power_ == 2 ? distance * distance : distance) * (1 + 1e-12);
  }
  /// A block of m columns at (i, j) whose row r begins at column first(r). lowest [b]: the least bound of each row.
  template <typename First, typename Bound>
  void look(int64_t i, int64_t j, int64_t m, const std::vector<float>& lowest, const First& first, const Bound& bound) {
    std::vector<int64_t> open, rows, columns;
    for (int64_t r = 0; r < static_cast<int64_t>(lowest.size()); ++r) {
      if (first(r) >= m || !in_reach(lowest[static_cast<size_t>(r)])) continue;
      open.push_back(r);
      int64_t best = first(r);  // each row's likeliest pair before all others: that leaves few
      for (int64_t c = best + 1; c < m; ++c) {
        if (bound(r, c) < bound(r, best)) best = c;
      }
      rows.push_back(i + r);
      columns.push_back(j + best);
    }
    settle(rows, columns);
    rows.clear();
    columns.clear();
    for (const int64_t r : open) {
      for (int64_t c = first(r); c < m; ++c) {
        if (!in_reach(bound(r, c))) continue;
        rows.push_back(i + r);
        columns.push_back(j + c);
      }
    }
    settle(rows, columns);
  }
  void write(PairwiseDistance& out) const {
    out.minimum = distance_;
    out.nearest = rows_;
  }

 private:
  /// Nothing is nearer than 0.
  bool in_reach(float bound) const { return distance_ > 0 && static_cast<double>(bound) <= reach_; }
  void settle(const std::vector<int64_t>& rows, const std::vector<int64_t>& columns) {
    if (rows.empty()) return;
    const Tensor distances = exact_(at::tensor(rows, at::kLong), at::tensor(columns, at::kLong));
    const auto p = static_cast<size_t>(distances.argmin().item<int64_t>());
    const double nearest = distances.const_data_ptr<double>()[p];
    if (nearest < distance_) set(rows[p], columns[p], nearest);
  }
  int power_;
  Exact exact_;
  double distance_ = std::numeric_limits<double>::infinity(), reach_ = distance_;
  std::pair<int64_t, int64_t> rows_{0, 0};
};

/// What a pass over one block finds: sums of distances of its rows [b] and columns [m], and the least bounds of each row [b].
/// In pieces of a fixed number of rows, so that the number of threads changes no bit.
struct BlockPass {
  std::vector<double> rows, columns;
  std::vector<float> euclidean, cosine;
  template <typename First>
  BlockPass(int64_t i, int64_t j, const Tensor& squared, const Bounds& bounds, const First& first)
      : rows(static_cast<size_t>(squared.size(0))),
        columns(static_cast<size_t>(squared.size(1))),
        euclidean(rows.size(), kNever),
        cosine(rows.size(), kNever) {
    constexpr int64_t kPiece = 64;
    const int64_t b = squared.size(0), m = squared.size(1), pieces = (b + kPiece - 1) / kPiece;
    const float* const d2 = squared.const_data_ptr<float>();
    std::vector<std::vector<double>> parts(static_cast<size_t>(pieces), std::vector<double>(columns.size()));
    at::parallel_for(0, pieces, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin * kPiece; r < std::min(end * kPiece, b); ++r) {
        double* const part = parts[static_cast<size_t>(r / kPiece)].data();
        const auto row = static_cast<size_t>(r);
        for (int64_t c = first(r); c < m; ++c) {
          const float s = d2[r * m + c];
          const auto distance = static_cast<double>(std::sqrt(s));
          rows[row] += distance;
          part[c] += distance;
          euclidean[row] = std::min(euclidean[row], bounds.euclidean(i + r, j + c, s));
          cosine[row] = std::min(cosine[row], bounds.cosine(i + r, j + c, s));
        }
      }
    });
    for (const std::vector<double>& part : parts) {
      for (size_t c = 0; c < columns.size(); ++c) columns[c] += part[c];
    }
  }
};

}  // namespace

PairwiseDistance mean_cosine_distance(const Tensor& features) {
  check_features(features, "pairwise");
  check_pairs(features.size(0));
  return from_row_sums(cosine_sums(UnitRows(features), features.size(0)));
}

PairwiseResult pairwise(const Tensor& features) {
  check_features(features, "pairwise");
  PairwiseResult out;
  out.n = features.size(0);
  out.d = features.size(1);
  check_pairs(out.n);
  const UnitRows unit(features);
  out.cosine = from_row_sums(cosine_sums(unit, out.n));

  const DistanceBlocks blocks(features, features);
  const Bounds bounds(blocks, unit);
  NearestPair euclidean(2, [&](const Tensor& rows, const Tensor& columns) { return blocks.exact(rows, columns); });
  NearestPair cosine(1, [&](const Tensor& rows, const Tensor& columns) {  // 1 - u·v = |u - v|²/2
    Tensor distances = at::empty({rows.size(0)}, at::kDouble);
    for (int64_t p = 0; p < rows.size(0); p += 1024) {
      const Tensor gap = unit.select(rows.slice(0, p, p + 1024), at::kDouble) - unit.select(columns.slice(0, p, p + 1024), at::kDouble);
      distances.slice(0, p, p + 1024).copy_(gap.square().sum(1) / 2);
    }
    return distances;
  });
  Tensor sums = at::zeros({out.n}, at::kDouble);
  double* const sum = sums.data_ptr<double>();
  blocks.each([&](int64_t i, int64_t j, const Tensor& squared) {
    const auto first = [&](int64_t r) { return i == j ? r + 1 : 0; };
    const int64_t m = squared.size(1);
    const float* const d2 = squared.const_data_ptr<float>();
    const BlockPass pass(i, j, squared, bounds, first);
    for (size_t r = 0; r < pass.rows.size(); ++r) sum[i + static_cast<int64_t>(r)] += pass.rows[r];
    for (size_t c = 0; c < pass.columns.size(); ++c) sum[j + static_cast<int64_t>(c)] += pass.columns[c];
    euclidean.look(i, j, m, pass.euclidean, first, [&](int64_t r, int64_t c) { return bounds.euclidean(i + r, j + c, d2[r * m + c]); });
    cosine.look(i, j, m, pass.cosine, first, [&](int64_t r, int64_t c) { return bounds.cosine(i + r, j + c, d2[r * m + c]); });
  });
  out.euclidean = from_row_sums(sums);
  euclidean.write(out.euclidean);
  cosine.write(out.cosine);
  return out;
}

io::Json PairwiseResult::to_json() const {
  const auto part = [](const PairwiseDistance& p) {
    io::Json json{{"mean", p.mean}};
    if (const auto interval = p.interval()) add_interval(json, *interval);
    json["min"] = p.minimum;
    json["nearest"] = {p.nearest.first, p.nearest.second};
    return json;
  };
  io::Json out{{"value", cosine.mean}};
  if (const auto interval = cosine.interval()) add_interval(out, *interval);
  out.update({{"cosine", part(cosine)}, {"euclidean", part(euclidean)}, {"n", n}, {"d", d}});
  return out;
}

io::Json pairwise_metric(const MetricInput& in, const Settings& settings) {
  const auto of = [](const Tensor& features) { return pairwise(features).to_json(); };
  io::Json out = of(in.samples.features);
  if (settings.pairwise.per_class) add_per_class(out, in.samples, of);
  return out;
}

}  // namespace plumb::metrics
