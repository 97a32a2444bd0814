// SPDX-License-Identifier: Apache-2.0
#include "metrics/vendi.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <tuple>
#include <utility>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/log.h"
#include "core/philox.h"
#include "core/text.h"
#include "metrics/gram.h"
#include "metrics/registry.h"

namespace plumb::metrics {
namespace {

constexpr int64_t kKernelItems = 4096;    // a larger N x N kernel only if asked for
constexpr int64_t kLargestKernel = 20000; // 3.2 GB a copy
constexpr double kCostly = 17179869184;   // 2^34 operations: 100 of them take about half a minute

/// Whether products are made in float64: orders below 1 see float32's rounding; small ones cost nothing.
bool exact_needed(int64_t small, int64_t large, bool below_one) { return below_one || large * small * small <= int64_t{1} << 33; }

/// Eigenvalues up to this are rounding.
double cut_of(const Tensor& values) {
  return values.max().item<double>() * static_cast<double>(values.size(0)) * std::numeric_limits<double>::epsilon();
}

/// A spectrum λ, and how items move it: λ_j by (u_i·v_j)² - λ_j, with u_i the item as a unit vector and v_j an eigenvector.
struct Decomposition {
  Tensor values;
  std::function<Tensor(const Tensor& items, const Tensor& weights)> weighted;  // Σ_j weights_jk (u_i·v_j)² [R,k]
};

/// The spectrum of a kernel under weights p_i of the items (√p [N] given): that of diag(√p) K diag(√p).
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual Tensor spectrum(const Tensor& root_weights, const Tensor& rows) const = 0;  // rows [r]: those with weight
  virtual Tensor spectrum() const = 0;                                                 // equal weights
  virtual Decomposition decompose() const = 0;                                         // equal weights
  virtual double cost() const = 0;                                                     // of a spectrum, in operations
};

/// Items as unit vectors u(x) in R^m, m small: the spectrum of Σ p_i u_i u_iᵀ.
class FeatureKernel : public Kernel {
 public:
  /// unit(items, weights, type) [R,m]: the vectors, each times its weight [R].
  using Unit = std::function<Tensor(const Tensor& items, const Tensor& weights, at::ScalarType type)>;
  FeatureKernel(Unit unit, int64_t n, int64_t m, bool exact) : unit_(std::move(unit)), n_(n), m_(m), exact_(exact) {}
  /// Σ p_i u_i u_iᵀ [m,m], its lower triangle, for equal weights.
  const Tensor& whole() const {
    if (!whole_.defined()) whole_ = sum(at::full({n_}, 1 / std::sqrt(static_cast<double>(n_)), at::kDouble), at::arange(n_, at::kLong));
    return whole_;
  }
  Tensor spectrum(const Tensor& root_weights, const Tensor& rows) const override { return at::linalg_eigvalsh(sum(root_weights, rows), "L"); }
  Tensor spectrum() const override { return at::linalg_eigvalsh(whole(), "L"); }
  Decomposition decompose() const override {
    const auto [values, vectors] = at::linalg_eigh(whole(), "L");
    return {values, [this, v = vectors](const Tensor& items, const Tensor& weights) {
              const auto rows = [&](int64_t first, int64_t count) {
                const Tensor some = items.slice(0, first, first + count);
                return unit_(some, at::ones({some.size(0)}, at::kDouble), at::kDouble);
              };
              return weighted_squares(items.size(0), rows, v, weights);
            }};
  }
  double cost() const override { return static_cast<double>(n_ * m_ * m_) + 10 * std::pow(static_cast<double>(m_), 3); }

 private:
  Tensor sum(const Tensor& root_weights, const Tensor& rows) const {
    constexpr int64_t kRows = 1024;
    const at::ScalarType type = exact_ ? at::kDouble : at::kFloat;
    Tensor out = at::zeros({m_, m_}, at::kDouble);
    for (int64_t i = 0; i < rows.size(0); i += kRows) {
      add_gram(out, unit_(rows.slice(0, i, i + kRows), root_weights.slice(0, i, i + kRows), type));
    }
    return out;
  }
  Unit unit_;
  int64_t n_, m_;
  bool exact_;
  mutable Tensor whole_;
};

/// The kernel itself [N,N] float64.
class ItemKernel : public Kernel {
 public:
  explicit ItemKernel(Tensor kernel) : kernel_(std::move(kernel)) {}
  Tensor spectrum(const Tensor& root_weights, const Tensor& rows) const override {
    const bool whole = rows.size(0) == kernel_.size(0);
    const Tensor part = whole ? kernel_ : kernel_.index_select(0, rows).index_select(1, rows);
    return at::linalg_eigvalsh(part * root_weights.unsqueeze(1) * root_weights.unsqueeze(0));
  }
  Tensor spectrum() const override { return at::linalg_eigvalsh(kernel_ / static_cast<double>(kernel_.size(0))); }
  Decomposition decompose() const override {
    const double n = static_cast<double>(kernel_.size(0));
    const auto [values, vectors] = at::linalg_eigh(kernel_ / n);
    // An eigenvector w of K/N with eigenvalue λ belongs to v = Σ w_i u_i / √(N λ): (u_i·v)² = N λ w_i².
    return {values, [n, l = values, w = vectors](const Tensor& items, const Tensor& weights) {
              return at::mm(w.index_select(0, items).square_(), n * l.unsqueeze(1) * weights);
            }};
  }
  double cost() const override { return 10 * std::pow(static_cast<double>(kernel_.size(0)), 3); }

 private:
  Tensor kernel_;
};

/// k = [x = y], the rbf kernel in the limit of no bandwidth: a group of equal items is an eigenvector, its share the eigenvalue.
class EqualityKernel : public Kernel {
 public:
  explicit EqualityKernel(const Tensor& features) : group_(std::get<1>(at::unique_dim(features, 0, true, true))) {}
  Tensor spectrum(const Tensor& root_weights, const Tensor& rows) const override {
    const Tensor group = group_.index_select(0, rows);
    return at::zeros({group_.max().item<int64_t>() + 1}, at::kDouble).index_add_(0, group, root_weights.square());
  }
  Tensor spectrum() const override {
    const double n = static_cast<double>(group_.size(0));
    return spectrum(at::full({group_.size(0)}, 1 / std::sqrt(n), at::kDouble), at::arange(group_.size(0), at::kLong));
  }
  Decomposition decompose() const override {
    return {spectrum(), [this](const Tensor& items, const Tensor& weights) { return weights.index_select(0, group_.index_select(0, items)); }};
  }
  double cost() const override { return static_cast<double>(group_.size(0)); }

 private:
  Tensor group_;  // [N] int64
};

std::unique_ptr<Kernel> cosine_kernel(const Tensor& features, bool exact, VendiResult& out) {
  auto unit = std::make_shared<UnitRows>(features);
  out.side = out.d < out.n ? "features" : "items";
  if (out.d >= out.n) return std::make_unique<ItemKernel>(gram(unit->slice(0, out.n, at::kDouble).t(), exact));
  const auto rows = [unit](const Tensor& items, const Tensor& weights, at::ScalarType type) { return unit->select(items, type, weights); };
  return std::make_unique<FeatureKernel>(rows, out.n, unit->width(), exact);
}

/// Squared distances within a set [N,N] float64; what is below the rounding of |x|² + |y|² - 2xy are equal items.
Tensor squared_within(const Tensor& features) {
  const Tensor x = features.to(at::kDouble);
  const Tensor centred = x - x.mean(0);
  const Tensor norms = centred.square().sum(1);
  Tensor squared = squared_distances(centred, norms, centred, norms);
  squared = (squared + squared.t()).div_(2).fill_diagonal_(0);
  return squared.masked_fill_(squared <= 16 * std::numeric_limits<double>::epsilon() * norms.max(), 0);
}

double median_distance(const Tensor& squared) {
  const int64_t n = squared.size(0);
  return std::sqrt(squared.masked_select(at::ones({n, n}, at::kBool).triu_(1)).median().item<double>());
}

/// Random Fourier features of the rbf kernel. Column order: frequency j has its cosine at j, its sine at r + j.
class FourierKernel : public FeatureKernel {
 public:
  FourierKernel(const Tensor& features, int64_t r, double bandwidth, uint64_t seed, bool exact)
      : FeatureKernel(embedding(features, r, bandwidth, seed), features.size(0), 2 * r, exact), r_(r) {}
  /// How far each score by r frequencies is likely to be from the kernel's: its standard error, from the scores by 8 groups of r/8
  /// frequencies, and its bias, from the scores by r/4, r/2 and r extrapolated as a geometric series (Aitken 1926). std::nullopt if
  /// those do not close in on a limit.
  std::vector<std::optional<double>> approximation(const std::vector<double>& orders, const std::vector<double>& values) const {
    const std::vector<Tensor> quarters = scores_by_groups(4, orders), halves = scores_by_groups(2, orders), eighths = scores_by_groups(8, orders);
    std::vector<std::optional<double>> out;
    for (size_t q = 0; q < orders.size(); ++q) {
      const double error = std::sqrt(eighths[q].var(0, true).item<double>() / 8), half = halves[q].mean().item<double>();
      const double last = values[q] - half, before = half - quarters[q].mean().item<double>();
      double bias = last;
      if (std::abs(last) > error && last / before > 0) {
        const double ratio = last / before;
        if (ratio > 0.9) {
          out.emplace_back();
          continue;
        }
        bias = last * ratio / (1 - ratio);
      }
      out.emplace_back(std::sqrt(error * error + bias * bias));
    }
    return out;
  }

 private:
  static Unit embedding(const Tensor& features, int64_t r, double bandwidth, uint64_t seed) {
    Tensor frequencies = at::empty({features.size(1), r}, at::kFloat);
    Philox(seed, Stream::kSubset, 0, subset_of::kFrequencies).fill_normal(frequencies.data_ptr<float>(), frequencies.numel());
    frequencies /= bandwidth;
    const Tensor x = features.to(at::kFloat), mean = mean_of_rows(x).to(at::kFloat);
    const double scale = 1 / std::sqrt(static_cast<double>(r));
    return [=](const Tensor& items, const Tensor& weights, at::ScalarType type) {
      const Tensor phase = at::mm(x.index_select(0, items) - mean, frequencies);
      return at::cat({phase.cos(), phase.sin()}, 1).to(type).mul_((weights * scale).to(type).unsqueeze(1));
    };
  }
  /// For each order the scores by each of `groups` groups of frequencies [groups]: the kernel of a group is a part of the whole one.
  std::vector<Tensor> scores_by_groups(int64_t groups, const std::vector<double>& orders) const {
    const int64_t size = r_ / groups;
    std::vector<Tensor> out(orders.size());
    for (Tensor& scores : out) scores = at::empty({groups}, at::kDouble);
    for (int64_t g = 0; g < groups; ++g) {
      const Tensor cosines = at::arange(g * size, (g + 1) * size, at::kLong), index = at::cat({cosines, cosines + r_});
      const double scale = static_cast<double>(r_) / static_cast<double>(size);
      const Tensor spectrum = at::linalg_eigvalsh(whole().index_select(0, index).index_select(1, index) * scale, "L");
      for (size_t q = 0; q < orders.size(); ++q) out[q][g] = vendi_of_spectrum(spectrum, orders[q]);
    }
    return out;
  }
  int64_t r_;
};

/// The kernel, and the same as FourierKernel if it is one.
std::pair<std::unique_ptr<Kernel>, const FourierKernel*> rbf_kernel(const Tensor& features, bool below_one, const VendiOptions& options, VendiResult& out) {
  const bool approximate = out.n > kKernelItems && options.frequencies > 0;
  if (!approximate && out.n > kLargestKernel) {
    throw Error(Exit::kUsage, "--vendi.frequencies",
                cat("without, the rbf kernel of ", out.n, " items is a matrix of ", out.n * out.n * 8 / 1000000000, " GB"),
                cat("--vendi.frequencies 512, or --limit ", kLargestKernel));
  }
  if (approximate && options.frequencies < 8) {
    throw Error(Exit::kUsage, "--vendi.frequencies", cat(options.frequencies, " cannot tell how far off they are"), "at least 8, or 0 for the kernel itself");
  }
  out.side = "items";
  out.bandwidth = options.bandwidth;
  Tensor squared;
  if (!approximate) {
    squared = squared_within(features);
    if (out.bandwidth == 0) out.bandwidth = median_distance(squared);
  } else if (out.bandwidth == 0) {
    out.bandwidth = median_distance(squared_within(features.index_select(0, draw_rows(out.n, kKernelItems, options.seed, subset_of::kMedian))));
  }
  if (out.bandwidth == 0) return {std::make_unique<EqualityKernel>(features), nullptr};
  if (!approximate) return {std::make_unique<ItemKernel>(squared.div_(-2 * out.bandwidth * out.bandwidth).exp_()), nullptr};
  out.side = "frequencies";
  out.frequencies = options.frequencies;
  auto fourier = std::make_unique<FourierKernel>(features, options.frequencies, out.bandwidth, options.seed,
                                                 exact_needed(2 * options.frequencies, out.n, below_one));
  const FourierKernel* const same = fourier.get();
  return {std::move(fourier), same};
}

void add_bootstrap(const Kernel& kernel, const std::vector<double>& orders, const VendiOptions& options, VendiResult& out) {
  std::vector<std::vector<double>> replicates(orders.size());
  for (int64_t r = 0; r < options.bootstrap; ++r) {
    const Tensor counts = bootstrap_counts(out.n, options.seed, r);
    const Tensor rows = at::nonzero(counts).squeeze(1);
    const Tensor weights = counts.index_select(0, rows).to(at::kDouble) / static_cast<double>(out.n);
    const Tensor values = kernel.spectrum(weights.sqrt(), rows);
    for (size_t i = 0; i < orders.size(); ++i) replicates[i].push_back(vendi_of_spectrum(values, orders[i]));
  }
  for (size_t i = 0; i < orders.size(); ++i) out.scores[i].interval = bootstrap_interval(out.scores[i].value, replicates[i]);
}

void add_jackknife(const Decomposition& parts, const std::vector<double>& orders, const VendiOptions& options, VendiResult& out) {
  std::vector<Tensor> weights;
  for (const double order : orders) weights.push_back(vendi_gradient(parts.values, order));
  const Tensor influence = parts.weighted(influence_items(out.n, options.seed), at::stack(weights, 1));  // [R,orders]
  for (size_t i = 0; i < orders.size(); ++i) {
    const double variance = influence_variance(influence.select(1, static_cast<int64_t>(i)), out.n);
    out.scores[i].interval = normal_interval(out.scores[i].value, std::sqrt(variance));
  }
}

/// Keeps the scores that the frequencies settle.
void keep_settled(const std::vector<std::optional<double>>& approximation, VendiResult& out) {
  std::vector<VendiScore> kept;
  for (size_t i = 0; i < out.scores.size(); ++i) {
    out.scores[i].approximation = approximation[i];
    if (approximation[i]) {
      kept.push_back(out.scores[i]);
    } else {
      log::info("vendi: rbf, order ", out.scores[i].order, " is left out: it still grows with the number of random frequencies (--vendi.frequencies)");
    }
  }
  out.scores = std::move(kept);
}

}  // namespace

double parse_order(const std::string& order) {
  if (order == "inf") return std::numeric_limits<double>::infinity();
  const double q = parse_double(order, "--vendi.order");
  if (!(q > 0)) throw Error(Exit::kUsage, "--vendi.order", "'" + order + "' is not above 0", "such as 0.5, 1, 2, inf");
  return q;
}

/// Beside 1 the general form cancels; the score changes by less than its rounding there.
static bool is_shannon(double order) { return std::abs(order - 1) < 1e-7; }

double vendi_of_spectrum(const Tensor& eigenvalues, double order) {
  const Tensor values = eigenvalues.to(at::kDouble);
  const Tensor p = values.masked_select(values > cut_of(values));
  if (std::isinf(order)) return 1 / values.max().item<double>();
  if (is_shannon(order)) return std::exp(-at::xlogy(p, p).sum().item<double>());
  return std::exp(at::logsumexp(order * p.log(), 0).item<double>() / (1 - order));  // p^q itself may underflow
}

Tensor vendi_gradient(const Tensor& eigenvalues, double order) {
  const Tensor values = eigenvalues.to(at::kDouble);
  const double score = vendi_of_spectrum(values, order), cut = cut_of(values);
  if (std::isinf(order)) return at::where(values == values.max(), -score * score, at::zeros_like(values));
  const Tensor safe = values.clamp_min(cut);
  const Tensor log_sum = at::logsumexp(order * values.masked_select(values > cut).log(), 0);
  const Tensor slope = is_shannon(order) ? -score * safe.log()
                                         : ((order - 1) * safe.log() - log_sum).exp() * (score * order / (1 - order));
  return at::where(values > cut, slope, at::zeros_like(values));
}

VendiResult vendi(const Tensor& features, const std::string& kernel_name, const VendiOptions& options) {
  check_features(features, "vendi");
  VendiResult out;
  out.kernel = kernel_name;
  out.n = features.size(0);
  out.d = features.size(1);
  if (out.n < 2) throw Error(Exit::kBadNumbers, "vendi", "1 item has no diversity", "give at least 2");
  std::vector<double> orders;
  for (const std::string& order : options.orders) orders.push_back(parse_order(order));
  const bool below_one = std::any_of(orders.begin(), orders.end(), [](double q) { return q < 1; });
  std::unique_ptr<Kernel> kernel;
  const FourierKernel* fourier = nullptr;
  if (kernel_name == "cosine") {
    kernel = cosine_kernel(features, exact_needed(std::min(out.n, out.d), std::max(out.n, out.d), below_one), out);
  } else if (kernel_name == "rbf") {
    std::tie(kernel, fourier) = rbf_kernel(features, below_one, options, out);
  } else {
    throw Error(Exit::kUsage, "--vendi.kernel", "'" + kernel_name + "' is unknown", "cosine or rbf");
  }
  const bool jackknife = options.bootstrap > 0 && !options.bootstrap_chosen && kernel->cost() > kCostly;
  Decomposition parts;
  if (jackknife) {
    parts = kernel->decompose();
  } else {
    parts.values = kernel->spectrum();
  }
  std::vector<double> values;
  for (size_t i = 0; i < orders.size(); ++i) {
    values.push_back(check_finite(vendi_of_spectrum(parts.values, orders[i]), "vendi"));
    out.scores.push_back({options.orders[i], values.back(), std::nullopt, std::nullopt});
  }
  if (options.bootstrap > 0) {
    out.interval = jackknife ? "infinitesimal jackknife" : "bootstrap";
    if (jackknife) {
      add_jackknife(parts, orders, options, out);
    } else {
      out.bootstrap = options.bootstrap;
      add_bootstrap(*kernel, orders, options, out);
    }
  }
  if (fourier) keep_settled(fourier->approximation(orders, values), out);
  return out;
}

io::Json VendiResult::to_json() const {
  io::Json out{{"kernel", kernel}, {"side", side}, {"n", n}, {"d", d}};
  if (kernel == "rbf") out["bandwidth"] = bandwidth;
  if (frequencies) out["frequencies"] = frequencies;
  if (!interval.empty()) out["interval"] = interval;
  if (bootstrap) out["bootstrap"] = bootstrap;
  out["scores"] = io::Json::array();
  for (const VendiScore& s : scores) {
    io::Json row{{"order", s.order}, {"value", s.value}};
    if (s.interval) add_interval(row, *s.interval);
    if (s.approximation) row["approximation"] = *s.approximation;
    out["scores"].push_back(std::move(row));
  }
  return out;
}

io::Json vendi_metric(const MetricInput& in, const Settings& settings) {
  const VendiOptions& options = settings.vendi;
  const auto of = [&](const Tensor& features) {
    io::Json kernels = io::Json::array();
    for (const std::string& kernel : options.kernels) {
      io::Json of_kernel = vendi(features, kernel, options).to_json();
      if (!of_kernel["scores"].empty()) kernels.push_back(std::move(of_kernel));
    }
    if (kernels.empty()) {
      throw NotApplicable(Exit::kUsage, "vendi", "random frequencies do not settle these orders of the rbf kernel",
                          "another --vendi.order or --vendi.kernel, or more --vendi.frequencies");
    }
    // The headline is of the first kernel; of order 1, if that was asked for. Order, value and interval come first.
    const io::Json& scores = kernels.at(0).at("scores");
    const auto first = std::find_if(scores.begin(), scores.end(), [](const io::Json& score) { return score.at("order") == "1"; });
    io::Json out = first == scores.end() ? scores.at(0) : *first;
    out["n"] = features.size(0);
    out["kernels"] = std::move(kernels);
    return out;
  };
  io::Json out = of(in.samples.features);
  if (options.per_class) add_per_class(out, in.samples, of);
  return out;
}

}  // namespace plumb::metrics
