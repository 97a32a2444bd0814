// SPDX-License-Identifier: Apache-2.0
#include "metrics/vendi.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "metrics/gram.h"
#include "metrics/registry.h"

namespace plumb::metrics {
namespace {

constexpr int64_t kKernelItems = 4096;  // a larger N x N kernel is computed only if asked for by name

/// The spectrum of a kernel under weights p_i of the items (√p [N] given): that of diag(√p) K diag(√p).
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual Tensor spectrum(const Tensor& root_weights, const Tensor& rows) const = 0;  // rows [r]: those with weight
};

class CosineKernel : public Kernel {
 public:
  CosineKernel(const Tensor& features, bool exact) : unit_(unit_rows(features)), exact_(exact) {}
  Tensor spectrum(const Tensor& root_weights, const Tensor& rows) const override {
    const bool whole = rows.size(0) == unit_.size(0);
    const Tensor weighted = (whole ? unit_ : unit_.index_select(0, rows)) * root_weights.unsqueeze(1);
    const bool on_features = weighted.size(1) < weighted.size(0);
    return at::linalg_eigvalsh(gram(on_features ? weighted : weighted.t(), exact_));
  }

 private:
  Tensor unit_;  // [N,d]
  bool exact_;
};

class RbfKernel : public Kernel {
 public:
  RbfKernel(const Tensor& features, double& bandwidth) {
    const Tensor x = features.to(at::kDouble);
    const Tensor centred = x - x.mean(0);
    const Tensor norms = centred.square().sum(1);
    Tensor squared = squared_distances(centred, norms, centred, norms);
    squared = (squared + squared.t()).div_(2).fill_diagonal_(0);
    // What is below the rounding of |x|² + |y|² - 2xy are equal items.
    squared.masked_fill_(squared <= 16 * std::numeric_limits<double>::epsilon() * norms.max(), 0);
    if (bandwidth == 0) {
      const int64_t n = x.size(0);
      const Tensor pairs = squared.masked_select(at::ones({n, n}, at::kBool).triu_(1));
      bandwidth = std::sqrt(pairs.median().item<double>());
    }
    kernel_ = bandwidth > 0 ? (squared / (-2 * bandwidth * bandwidth)).exp() : (squared == 0).to(at::kDouble);
  }
  Tensor spectrum(const Tensor& root_weights, const Tensor& rows) const override {
    const bool whole = rows.size(0) == kernel_.size(0);
    const Tensor part = whole ? kernel_ : kernel_.index_select(0, rows).index_select(1, rows);
    return at::linalg_eigvalsh(part * root_weights.unsqueeze(1) * root_weights.unsqueeze(0));
  }

 private:
  Tensor kernel_;  // [N,N]
};

void add_intervals(const Kernel& kernel, const std::vector<double>& orders, const VendiOptions& options, VendiResult& out) {
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

}  // namespace

double parse_order(const std::string& order) {
  if (order == "inf") return std::numeric_limits<double>::infinity();
  const double q = parse_double(order, "--vendi.order");
  if (!(q > 0)) throw Error(Exit::kUsage, "--vendi.order", "'" + order + "' is not above 0", "such as 0.5, 1, 2, inf");
  return q;
}

double vendi_of_spectrum(const Tensor& eigenvalues, double order) {
  const Tensor values = eigenvalues.to(at::kDouble);
  const double largest = values.max().item<double>();
  const double cut = largest * static_cast<double>(values.size(0)) * std::numeric_limits<double>::epsilon();
  const Tensor p = values.masked_select(values > cut);
  if (std::isinf(order)) return 1 / largest;
  if (order == 1) return std::exp(-at::xlogy(p, p).sum().item<double>());
  return std::pow(p.pow(order).sum().item<double>(), 1 / (1 - order));
}

VendiResult vendi(const Tensor& features, const std::string& kernel_name, const VendiOptions& options) {
  check_features(features, "vendi");
  VendiResult out;
  out.kernel = kernel_name;
  out.n = features.size(0);
  out.d = features.size(1);
  out.bootstrap = options.bootstrap;
  if (out.n < 2) throw Error(Exit::kBadNumbers, "vendi", "1 item has no diversity", "give at least 2");
  std::vector<double> orders;
  for (const std::string& order : options.orders) orders.push_back(parse_order(order));
  std::unique_ptr<Kernel> kernel;
  if (kernel_name == "cosine") {
    const int64_t small = std::min(out.n, out.d), large = std::max(out.n, out.d);
    const bool below_one = std::any_of(orders.begin(), orders.end(), [](double q) { return q < 1; });
    kernel = std::make_unique<CosineKernel>(features, below_one || large * small * small <= int64_t{1} << 33);
    out.side = out.d < out.n ? "features" : "items";
  } else if (kernel_name == "rbf") {
    out.bandwidth = options.bandwidth;
    kernel = std::make_unique<RbfKernel>(features, out.bandwidth);
    out.side = "items";
  } else {
    throw Error(Exit::kUsage, "--vendi.kernel", "'" + kernel_name + "' is unknown", "cosine or rbf");
  }
  const Tensor rows = at::arange(out.n, at::kLong);
  const Tensor values = kernel->spectrum(at::full({out.n}, 1 / std::sqrt(static_cast<double>(out.n)), at::kDouble), rows);
  for (size_t i = 0; i < orders.size(); ++i) {
    out.scores.push_back({options.orders[i], check_finite(vendi_of_spectrum(values, orders[i]), "vendi"), std::nullopt});
  }
  if (options.bootstrap > 0) add_intervals(*kernel, orders, options, out);
  return out;
}

io::Json VendiResult::to_json() const {
  io::Json out{{"kernel", kernel}, {"side", side}, {"n", n}, {"d", d}};
  if (kernel == "rbf") out["bandwidth"] = bandwidth;
  if (bootstrap) out["bootstrap"] = bootstrap;
  out["scores"] = io::Json::array();
  for (const VendiScore& s : scores) {
    io::Json row{{"order", s.order}, {"value", s.value}};
    if (s.interval) {
      row["stderr"] = s.interval->standard_error;
      row["low"] = s.interval->low;
      row["high"] = s.interval->high;
    }
    out["scores"].push_back(std::move(row));
  }
  return out;
}

io::Json vendi_metric(const MetricInput& in, const Settings& settings) {
  const VendiOptions& options = settings.vendi;
  const auto group = [&](const Tensor& features) {
    io::Json kernels = io::Json::array();
    for (const std::string& kernel : options.kernels) {
      if (kernel == "rbf" && features.size(0) > kKernelItems && !options.kernels_chosen) {
        log::info("vendi: rbf kernel left out: ", features.size(0), " items make a matrix of their square; ask for it with --vendi.kernel");
        continue;
      }
      kernels.push_back(vendi(features, kernel, options).to_json());
    }
    return kernels;
  };
  const auto headline = [](const io::Json& kernels) {  // the first kernel; order 1 if it was asked for
    const io::Json& scores = kernels.at(0).at("scores");
    for (const io::Json& score : scores) {
      if (score["order"] == "1") return score;
    }
    return scores.at(0);
  };
  io::Json kernels = group(in.samples.features);
  if (kernels.empty()) throw NotApplicable(Exit::kUsage, "vendi", "no kernel left", "name one with --vendi.kernel");
  io::Json out = headline(kernels);  // order, value and its interval first
  out["n"] = in.samples.features.size(0);
  out["kernels"] = std::move(kernels);
  if (!options.per_class || !in.samples.label.defined()) return out;
  io::Json classes = io::Json::object();
  double sum = 0;
  for (const auto& [label, rows] : rows_by_class(in.samples.label)) {
    if (rows.size(0) < 2) continue;
    io::Json of_class = group(in.samples.features.index_select(0, rows));
    io::Json entry = headline(of_class);
    sum += entry["value"].get<double>();
    entry["n"] = rows.size(0);
    entry["kernels"] = std::move(of_class);
    classes[std::to_string(label)] = std::move(entry);
  }
  if (!classes.empty()) {
    out["class_mean"] = sum / static_cast<double>(classes.size());
    out["per_class"] = std::move(classes);
  }
  return out;
}

}  // namespace plumb::metrics
