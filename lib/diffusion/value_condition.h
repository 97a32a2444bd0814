// Models that are conditioned on a number, such as a reward: what is learned from data, and what samples are asked to have.
// Source: Yuan et al. 2023, "Reward-directed conditional diffusion"; Krishnamoorthy et al. 2023, "Diffusion models for black-box
// optimization" (DDOM).   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "io/artefact.h"
#include "nn/denoiser.h"

namespace plumb::diffusion {

using at::Tensor;

/// What a network is told of a value: (value - mean) / std. min and max are those of the data.
struct ValueCondition {
  std::string name;
  double mean = 0, std = 1, min = 0, max = 0;
  Tensor standardise(const Tensor& raw) const;   ///< [B] -> [B] float32; NaN (no value) stays
  io::Json to_json() const;                      ///< the manifest's model.condition
};

/// Of rows [0, rows) of a dataset of numbers, std with rows - 1. Throws Error(kBadInput) for other shapes, values that are not finite,
/// or a column whose values are all alike.
ValueCondition measure_value(const io::H5Reader& file, const std::string& dataset, const std::string& name, int64_t rows);

/// What a model's manifest says of its value; nothing for a model without one. Throws Error(kBadInput) if it is not understood.
std::optional<ValueCondition> value_condition(const io::Manifest& model);

/// What pretrain --condition asks for, found in its input.
struct TrainingCondition {
  int64_t num_classes = 0;                 // 0: not on classes
  std::optional<ValueCondition> value;
  io::Manifest source;                     // artefact of the value's column
  std::string column;                      // its dataset: "value", "reward/NAME"
};

/// `wanted`: "class" (labels of the dataset), "value" (its measured values), "reward" (the only column of the nearest scores), a column
/// of the nearest scores by name, or "none" alone; empty: the labels, if there are any. The scores must be of the dataset's items.
/// Throws Error(kUsage, "--condition") for what is not there.
TrainingCondition find_condition(const std::vector<std::string>& wanted, const io::Manifest& input, const io::Manifest& dataset);

/// Loss weights that lean towards high values: exp((y - max) / tau), divided by their mean over the data, y and tau in standard
/// deviations. Source: Krishnamoorthy et al. 2023, sec. 3.2, whose exponent this is; their factor for rarely filled bins of y is left out.
class ValueWeight {
 public:
  ValueWeight() = default;   ///< ones
  /// text: "none" or "exp:TAU". Throws Error(kUsage, "--value-weight").
  static ValueWeight parse(const std::string& text);
  bool is_none() const { return tau_ == 0; }
  /// Reads the data once for the mean.
  void measure(const TrainingCondition& condition, int64_t rows);
  Tensor operator()(const Tensor& standardised) const;   ///< [B] -> [B] float32

 private:
  double tau_ = 0, max_ = 0, mean_ = 1;   // of standardised values; mean_ of exp((y - max) / tau)
};

/// Values that samples are asked to have, dealt in turn: item k has target number floor(k / items_a_target) modulo their number. With
/// classes dealt in turn too, each class gets the first target, then each the second, so that both are balanced.
class Targets {
 public:
  /// text: numbers in the value's own units, separated by commas; "": none. Throws Error(kUsage, "--target") for anything else, or for a
  /// model that takes no value.
  Targets(const std::string& text, const nn::Model& model, int64_t items_a_target = 1);
  bool any() const { return !values_.empty(); }
  Tensor raw(const std::vector<int64_t>& items) const;             ///< [B] float32
  Tensor standardised(const std::vector<int64_t>& items) const;    ///< what the network is told

 private:
  std::vector<double> values_;
  ValueCondition condition_;
  int64_t items_a_target_;
};

}  // namespace plumb::diffusion
