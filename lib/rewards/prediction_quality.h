// How good predictions are: calibration of class probabilities, agreement of predicted with true numbers. All in float64.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "io/manifest.h"

namespace plumb::rewards {

using at::Tensor;

struct ClassifierQuality {
  double accuracy = 0;
  double nll = 0;   ///< mean of -log p(label), nats
  double ece = 0;   ///< sum over bins of |B|/N * |accuracy(B) - confidence(B)|
  io::Json to_json() const;
};

/// Source of the calibration error: Guo et al. 2017, "On calibration of modern neural networks", eq. 3, with 15 equal bins of
/// the largest probability. logits [N,K], label [N] int64, N >= 1; probabilities are softmax(logits / temperature).
ClassifierQuality classifier_quality(const Tensor& logits, const Tensor& label, double temperature = 1.0, int64_t bins = 15);

/// The temperature that minimises the NLL of softmax(logits / T). Source: Guo et al. 2017, sec. 4.2. Golden-section search on
/// log T in [log 0.05, log 20]; the NLL is convex in 1/T, so there is one minimum.
double fit_temperature(const Tensor& logits, const Tensor& label);

struct RegressionQuality {
  double rmse = 0, mae = 0;
  double r2 = 0;            ///< 1 - SS_res / SS_tot; NaN if the truth is constant
  double pearson = 0, spearman = 0, kendall = 0;   ///< NaN if either side is constant
  io::Json to_json() const; ///< NaN as null
};
RegressionQuality regression_quality(const std::vector<double>& predicted, const std::vector<double>& truth);

/// What the outputs of a network mean: softmax(output / temperature), or output * std + mean.
struct OutputScale {
  double temperature = 1, mean = 0, std = 1;
};
/// The metrics of a manifest: {"count", ...} with ClassifierQuality (target [N] int64; "uncalibrated" beside it if the temperature is
/// not 1) or RegressionQuality (target [N] float64, raw units). outputs: [N,K] raw network outputs.
io::Json quality_json(const Tensor& outputs, const Tensor& target, const OutputScale& scale);

/// Ranks from 1, ties get their mean rank.
std::vector<double> mean_ranks(const std::vector<double>& values);
double pearson(const std::vector<double>& a, const std::vector<double>& b);
/// Pearson correlation of the mean ranks.
double spearman(const std::vector<double>& a, const std::vector<double>& b);
/// Kendall's tau-b, (P - Q) / sqrt((n0 - n1)(n0 - n2)), by merge sort in O(n log n). Source: Knight 1966, "A computer method
/// for calculating Kendall's tau with ungrouped data".
double kendall_tau_b(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace plumb::rewards
