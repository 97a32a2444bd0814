// Whether samples are of the wanted classes, and how evenly of them: what to report beside a preference.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "io/manifest.h"

namespace plumb::metrics {

using at::Tensor;

/// Numbers of the wanted classes, ascending, from names or numbers, each by itself or several with commas between
/// them (a name may hold commas of its own); all `count` if nothing is wanted. names: of the classes, or empty
/// (then there are numbers only). Throws Error(kUsage) with the nearest name for one that is not there, and for one named twice.
std::vector<int64_t> find_classes(const std::vector<std::string>& wanted, const std::vector<std::string>& names, int64_t count);

struct ClassCoverageResult {
  struct Class {
    int64_t index = 0, count = 0;   ///< items that are predicted to be of it
    double share = 0;               ///< of those inside the set; 0 if there are none
    double distance = 0;            ///< mean 1 - cosine over its pairs; of fewer than 2 items there is none
  };
  std::vector<Class> classes;       ///< the wanted ones, ascending
  int64_t n = 0, inside = 0;        ///< items; of them, those predicted to be of a wanted class
  double entropy = 0;               ///< of the shares, over ln(classes); 0 for a single class
  double entropy_error = 0;         ///< its standard error, delete-one jackknife over the items inside; of fewer than 3 there is none
  double min_share = 0;             ///< the smallest share
  double distance = 0;              ///< mean of the classes' distances, weighted by their counts, of classes of 2 items and more
  std::optional<double> distance_error;  ///< its standard error for these predictions: that of each class by the jackknife; none if one has 2 items
  bool has_distance = false;        ///< whether any class has 2 items
  double success() const { return static_cast<double>(inside) / static_cast<double>(n); }
  /// "value": the success rate, with the interval of a share; "normalised_entropy", "min_share" and "class_distance" are null where nothing
  /// is inside (or, the last, no class has 2 items). `names` as of find_classes.
  io::Json to_json(const std::vector<std::string>& names) const;
};

/// Of N items with class probabilities [N,K] and features [N,D]: an item's class is the most probable one, of equally probable ones the
/// first. wanted: as find_classes() gives it. Source: the evaluation of preference fine-tuning (PAPA): success rate, entropy, distances.
/// Throws Error(kBadInput) if there are other than one row of each an item.
ClassCoverageResult class_coverage(const Tensor& probabilities, const Tensor& features, const std::vector<int64_t>& wanted);

}  // namespace plumb::metrics
