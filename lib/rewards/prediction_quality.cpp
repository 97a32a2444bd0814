// SPDX-License-Identifier: Apache-2.0
#include "rewards/prediction_quality.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <ATen/ATen.h>

#include "core/error.h"

namespace plumb::rewards {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// [N,K] float64 log-probabilities.
Tensor log_probabilities(const Tensor& logits, double temperature) {
  return (logits.to(at::kCPU, at::kDouble) / temperature).log_softmax(1);
}

double mean_nll(const Tensor& logits, const Tensor& label, double temperature) {
  return -log_probabilities(logits, temperature).gather(1, label.unsqueeze(1)).mean().item<double>();
}

}  // namespace

ClassifierQuality classifier_quality(const Tensor& logits, const Tensor& label, double temperature, int64_t bins) {
  const Tensor log_p = log_probabilities(logits, temperature);
  const auto [top, predicted] = log_p.max(1);                                                     // [N]
  const Tensor right = predicted.eq(label).to(at::kDouble);
  const Tensor confidence = top.exp();
  const Tensor bin = (confidence * bins).ceil().sub(1).clamp(0, static_cast<double>(bins - 1)).to(at::kLong);  // (a,b]
  const Tensor gap = at::zeros({bins}, at::kDouble).index_add(0, bin, right - confidence);
  ClassifierQuality quality;
  quality.accuracy = right.mean().item<double>();
  quality.nll = mean_nll(logits, label, temperature);
  quality.ece = gap.abs().sum().item<double>() / static_cast<double>(label.size(0));
  return quality;
}

io::Json ClassifierQuality::to_json() const {
  return {{"accuracy", check_finite(accuracy, "accuracy")}, {"nll", check_finite(nll, "nll")}, {"ece", check_finite(ece, "ece")}};
}

double fit_temperature(const Tensor& logits, const Tensor& label) {
  const double shrink = (std::sqrt(5.0) - 1) / 2;
  double low = std::log(0.05), high = std::log(20.0);
  double left = high - shrink * (high - low), right = low + shrink * (high - low);
  double at_left = mean_nll(logits, label, std::exp(left)), at_right = mean_nll(logits, label, std::exp(right));
  while (high - low > 1e-6) {
    if (at_left < at_right) {
      high = right;
      right = left;
      at_right = at_left;
      left = high - shrink * (high - low);
      at_left = mean_nll(logits, label, std::exp(left));
    } else {
      low = left;
      left = right;
      at_left = at_right;
      right = low + shrink * (high - low);
      at_right = mean_nll(logits, label, std::exp(right));
    }
  }
  return std::exp((low + high) / 2);
}

std::vector<double> mean_ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) { return values[i] < values[j]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (size_t i = begin; i < end; ++i) ranks[order[i]] = static_cast<double>(begin + end + 1) / 2;
  }
  return ranks;
}

double pearson(const std::vector<double>& a, const std::vector<double>& b) {
  const double n = static_cast<double>(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n, mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  const double rounding = n * 1e-24;  // of a constant's mean
  return aa > rounding * mean_a * mean_a && bb > rounding * mean_b * mean_b ? ab / std::sqrt(aa * bb) : kNaN;
}

double spearman(const std::vector<double>& a, const std::vector<double>& b) { return pearson(mean_ranks(a), mean_ranks(b)); }

namespace {

/// Sorts values[begin,end) and returns how many pairs were out of order.
int64_t sort_counting_swaps(std::vector<double>& values, std::vector<double>& scratch, size_t begin, size_t end) {
  if (end - begin < 2) return 0;
  const size_t middle = begin + (end - begin) / 2;
  int64_t swaps = sort_counting_swaps(values, scratch, begin, middle) + sort_counting_swaps(values, scratch, middle, end);
  for (size_t left = begin, right = middle, out = begin; out < end; ++out) {
    if (right < end && (left >= middle || values[right] < values[left])) {
      swaps += static_cast<int64_t>(middle - left);
      scratch[out] = values[right++];
    } else {
      scratch[out] = values[left++];
    }
  }
  std::copy(scratch.begin() + static_cast<std::ptrdiff_t>(begin), scratch.begin() + static_cast<std::ptrdiff_t>(end),
            values.begin() + static_cast<std::ptrdiff_t>(begin));
  return swaps;
}

/// Pairs within runs of equal neighbours, same(i, i + 1) telling whether two neighbours are equal.
template <typename Same>
int64_t tied_pairs(size_t n, const Same& same) {
  int64_t pairs = 0, run = 1;
  for (size_t i = 1; i <= n; ++i) {
    if (i < n && same(i - 1, i)) {
      ++run;
    } else {
      pairs += run * (run - 1) / 2;
      run = 1;
    }
  }
  return pairs;
}

}  // namespace

double kendall_tau_b(const std::vector<double>& a, const std::vector<double>& b) {
  const size_t n = a.size();
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) { return a[i] != a[j] ? a[i] < a[j] : b[i] < b[j]; });
  const int64_t all = static_cast<int64_t>(n) * (static_cast<int64_t>(n) - 1) / 2;
  const int64_t tied_a = tied_pairs(n, [&](size_t i, size_t j) { return a[order[i]] == a[order[j]]; });
  const int64_t tied_both =
      tied_pairs(n, [&](size_t i, size_t j) { return a[order[i]] == a[order[j]] && b[order[i]] == b[order[j]]; });
  std::vector<double> ordered(n), scratch(n);
  for (size_t i = 0; i < n; ++i) ordered[i] = b[order[i]];
  const int64_t discordant = sort_counting_swaps(ordered, scratch, 0, n);
  const int64_t tied_b = tied_pairs(n, [&](size_t i, size_t j) { return ordered[i] == ordered[j]; });
  const double norm = std::sqrt(static_cast<double>(all - tied_a)) * std::sqrt(static_cast<double>(all - tied_b));
  const int64_t difference = all - tied_a - tied_b + tied_both - 2 * discordant;  // concordant - discordant
  return norm > 0 ? static_cast<double>(difference) / norm : kNaN;
}

RegressionQuality regression_quality(const std::vector<double>& predicted, const std::vector<double>& truth) {
  const double n = static_cast<double>(truth.size());
  const double mean = std::accumulate(truth.begin(), truth.end(), 0.0) / n;
  double residual = 0, total = 0, absolute = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    const double error = predicted[i] - truth[i];
    residual += error * error;
    absolute += std::abs(error);
    total += (truth[i] - mean) * (truth[i] - mean);
  }
  RegressionQuality quality;
  quality.rmse = std::sqrt(residual / n);
  quality.mae = absolute / n;
  quality.r2 = total > 0 ? 1 - residual / total : kNaN;
  quality.pearson = pearson(predicted, truth);
  quality.spearman = spearman(predicted, truth);
  quality.kendall = kendall_tau_b(predicted, truth);
  return quality;
}

io::Json RegressionQuality::to_json() const {
  auto or_null = [](double value) { return std::isfinite(value) ? io::Json(value) : io::Json(nullptr); };
  return {{"rmse", check_finite(rmse, "rmse")}, {"mae", check_finite(mae, "mae")}, {"r2", or_null(r2)},
          {"pearson", or_null(pearson)}, {"spearman", or_null(spearman)}, {"kendall", or_null(kendall)}};
}

io::Json quality_json(const Tensor& outputs, const Tensor& target, const OutputScale& scale) {
  io::Json json{{"count", target.size(0)}};
  if (target.scalar_type() == at::kLong) {
    json.update(classifier_quality(outputs, target, scale.temperature).to_json());
    if (scale.temperature != 1) json["uncalibrated"] = classifier_quality(outputs, target).to_json();
    return json;
  }
  auto values = [](const Tensor& tensor) {
    const Tensor flat = tensor.to(at::kDouble).contiguous();
    return std::vector<double>(flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel());
  };
  json.update(regression_quality(values(outputs.squeeze(1) * scale.std + scale.mean), values(target)).to_json());
  return json;
}

}  // namespace plumb::rewards
