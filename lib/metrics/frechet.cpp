// SPDX-License-Identifier: Apache-2.0
#include "metrics/frechet.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "metrics/gram.h"
#include "metrics/registry.h"

namespace plumb::metrics {
namespace {

void check_rank(const Gaussian& side, const std::string& who, bool allowed) {
  if (side.n == 0 || side.n > side.dimension() || allowed) return;
  throw Error(Exit::kBadNumbers, "fid", cat(who, ": ", side.n, " items in ", side.dimension(),
                                            " dimensions: the covariance has rank ", side.n - 1, " at most"),
              cat("give more than ", side.dimension(), ", or use kid, or --allow-rank-deficient"));
}

/// A factor F [r,d] of a covariance, FᵀF = S.
struct Factor {
  Tensor f;
  int64_t rank = 0;
  bool cholesky = false;
};

/// By Cholesky; by eigenvectors if S is not positive definite.
Factor factor(const Tensor& covariance) {
  const double rounding = static_cast<double>(covariance.size(0)) * std::numeric_limits<double>::epsilon();
  const auto [lower, info] = at::linalg_cholesky_ex(covariance, false, false);
  if (info.item<int>() == 0 && (covariance.size(0) == 0 || lower.diagonal().min().square().item<double>() > rounding * covariance.diagonal().max().item<double>())) {
    return {lower.t(), covariance.size(0), true};
  }
  const auto [values, vectors] = at::linalg_eigh(covariance);
  const double largest = values.numel() ? values[-1].item<double>() : 0;
  const double cut = largest * rounding;
  const Tensor keep = values > std::max(cut, 0.0);
  const Tensor kept = values.masked_select(keep).sqrt();
  return {kept.unsqueeze(1) * vectors.t().index({keep}), kept.numel(), false};
}

/// The lower triangle of Lᵀ S L, L lower triangular: panels that skip the zeros of L and the upper half do a third of the
/// work of two full products.
Tensor congruence(const Tensor& lower, const Tensor& s) {
  constexpr int64_t kPanel = 128;
  const int64_t d = s.size(0);
  Tensor product = at::empty_like(s), out = at::zeros_like(s);
  for (int64_t j = 0; j < d; j += kPanel) {  // S L
    const int64_t end = std::min(j + kPanel, d);
    product.slice(1, j, end).copy_(at::mm(s.slice(1, j), lower.slice(0, j).slice(1, j, end)));
  }
  for (int64_t i = 0; i < d; i += kPanel) {
    const int64_t end = std::min(i + kPanel, d);
    out.slice(0, i, end).slice(1, 0, end).copy_(at::mm(lower.slice(0, i).slice(1, i, end).t(), product.slice(0, i).slice(1, 0, end)));
  }
  return out;
}

/// Keeps the columns (and rows, of a covariance) named by `index`.
Gaussian restrict_to(const Gaussian& g, const Tensor& index) {
  Gaussian out;
  out.n = g.n;
  out.mean = g.mean.index_select(0, index);
  if (g.rows.defined()) {
    out.rows = g.rows.index_select(1, index);
  } else {
    out.covariance = g.covariance.index_select(0, index).index_select(1, index);
  }
  return out;
}

Tensor variances(const Gaussian& g) { return g.rows.defined() ? g.rows.square().sum(0) : g.covariance.diagonal(); }

/// A constant column is a zero row and column of S: (S_a S_b)^½ has no part there. The others [d'].
Tensor varying_columns(const Gaussian& a, const Gaussian& b) {
  return at::nonzero((variances(a) > 0).logical_and(variances(b) > 0)).squeeze(1);
}

/// Tr (S_a S_b)^½; fills the result's path and ranks.
double trace_of_root(const Gaussian& a, const Gaussian& b, FrechetResult& result) {
  const auto rank_of = [](const Gaussian& g) { return g.rows.defined() ? g.n - 1 : g.dimension(); };
  result.rank = rank_of(a);
  result.rank_reference = rank_of(b);
  if (a.rows.defined() || b.rows.defined()) {
    result.path = "low-rank";
    const auto factor_of = [](const Gaussian& g, int64_t& rank) {
      if (g.rows.defined()) return g.rows;
      const Factor found = factor(g.covariance);
      rank = found.rank;
      return found.f;
    };
    const Tensor fa = factor_of(a, result.rank), fb = factor_of(b, result.rank_reference);
    return at::linalg_svdvals(at::mm(fa, fb.t())).sum().item<double>();
  }
  const Factor fa = factor(a.covariance);
  result.path = fa.cholesky ? "cholesky" : "eigh";
  result.rank = fa.rank;
  const Tensor inner = fa.cholesky ? congruence(fa.f.t(), b.covariance) : at::mm(at::mm(fa.f, b.covariance), fa.f.t());
  return at::linalg_eigvalsh(inner, "L").clamp_min(0).sqrt().sum().item<double>();
}

}  // namespace

FrechetResult frechet_distance(const Gaussian& a, const Gaussian& b, const FrechetOptions& options) {
  if (a.dimension() != b.dimension()) {
    throw Error(Exit::kBadInput, "fid", cat("features of ", a.dimension(), " and ", b.dimension(), " dimensions"),
                "use one feature network for both sides");
  }
  check_rank(a, "samples", options.allow_rank_deficient);
  check_rank(b, "reference", options.allow_rank_deficient);
  FrechetResult result;
  result.n = a.n;
  result.n_reference = b.n;
  result.d = a.dimension();
  const Tensor index = varying_columns(a, b);
  const bool whole = index.size(0) == result.d;
  const double root = trace_of_root(whole ? a : restrict_to(a, index), whole ? b : restrict_to(b, index), result);
  const double mean_part = (a.mean - b.mean).square().sum().item<double>();
  // The distance is >= 0; rounding may leave about -1e-12 of the trace between equal sets.
  result.value = std::max(0.0, check_finite(mean_part + a.trace() + b.trace() - 2 * root, "fid"));
  return result;
}

std::optional<FrechetInfluence> frechet_influence(const Gaussian& a, const Gaussian& b, const Tensor& a_rows, const Tensor& b_rows) {
  if (!a.covariance.defined() || !b.covariance.defined()) return std::nullopt;
  const Tensor index = varying_columns(a, b);
  if (index.size(0) == 0) return std::nullopt;  // all items of a side are the same
  const auto part = [&](const Gaussian& g) { return restrict_to(g, index).covariance; };
  const auto [lower, info] = at::linalg_cholesky_ex(part(a), false, false);
  if (info.item<int>() != 0) return std::nullopt;
  const auto [values, vectors] = at::linalg_eigh(congruence(lower, part(b)), "L");
  const double cut = values.max().item<double>() * static_cast<double>(values.size(0)) * std::numeric_limits<double>::epsilon();
  if (!(values.min().item<double>() > cut)) return std::nullopt;
  const Tensor quarter = values.pow(0.25), mean_shift = a.mean - b.mean;
  const auto influence = [&](const Gaussian& own, const Tensor& rows, const Tensor& map, double sign) {
    if (!rows.defined()) return Tensor();
    const auto centred = [&](int64_t first, int64_t count) { return rows.slice(0, first, first + count).to(at::kDouble) - own.mean; };
    const auto varying = [&](int64_t first, int64_t count) { return centred(first, count).index_select(1, index); };
    Tensor out = at::empty({rows.size(0)}, at::kDouble);
    constexpr int64_t kRows = 1024;
    for (int64_t i = 0; i < rows.size(0); i += kRows) {
      const Tensor c = centred(i, kRows);
      out.slice(0, i, i + kRows).copy_(2 * sign * c.mv(mean_shift) + c.square().sum(1));
    }
    return out - weighted_squares(rows.size(0), varying, map, at::ones({map.size(1), 1}, at::kDouble)).squeeze(1);
  };
  const Tensor to_b = at::linalg_solve_triangular(lower.t(), vectors, true) * quarter;  // L^-ᵀ V Λ^¼
  const Tensor to_a = at::mm(lower, vectors) / quarter;                                 // L V Λ^-¼
  return FrechetInfluence{influence(a, a_rows, to_b, 1), influence(b, b_rows, to_a, -1)};
}

FrechetResult frechet_distance(const Gaussian& a, const Gaussian& b, const FrechetOptions& options, const FittedItems& a_items,
                               const FittedItems& b_items) {
  FrechetResult out = frechet_distance(a, b, options);
  const auto rows = [](const Gaussian& g, const FittedItems& items) {
    return items.features.defined() ? items.features.index_select(0, influence_items(g.n, items.seed)) : Tensor();
  };
  const auto influence = frechet_influence(a, b, rows(a, a_items), rows(b, b_items));
  if (!influence) return out;
  double variance = 0;
  if (influence->of_a.defined()) variance += influence_variance(influence->of_a, a.n);
  if (influence->of_b.defined()) variance += influence_variance(influence->of_b, b.n);
  out.interval = normal_interval(out.value, std::sqrt(variance));
  out.interval->low = std::max(0.0, out.interval->low);
  return out;
}

io::Json FrechetResult::to_json() const {
  io::Json out{{"value", value}};
  if (interval) add_interval(out, *interval);
  if (n) out["n"] = n;
  if (n_reference) out["n_reference"] = n_reference;
  out["rank"] = rank;
  out["rank_reference"] = rank_reference;
  out["d"] = d;
  out["path"] = path;
  return out;
}

io::Json frechet_metric(const MetricInput& in, const Settings& settings) {
  const Gaussian b = in.statistics ? *in.statistics : fit_gaussian(in.reference_features("fid").features);
  const FittedItems ours{in.samples.features, settings.frechet.seed};
  const FittedItems theirs{in.statistics ? Tensor() : in.reference->features, settings.frechet.seed};
  return frechet_distance(fit_gaussian(in.samples.features), b, settings.frechet, ours, theirs).to_json();
}

}  // namespace plumb::metrics
