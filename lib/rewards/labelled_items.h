// What reward-train learns from: items and what each is worth.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "io/artefact.h"

namespace plumb::rewards {

using at::Tensor;

struct LabelledItems {
  io::Manifest items;                 // samples or dataset artefact that holds the items
  Tensor target;                      // [N] int64 classes, or float64 values; of comparisons [P], see comparisons.h
  Tensor pairs;                       // [P,2] int64 rows of items that were compared; undefined: the target is the items' own
  std::vector<std::string> classes;   // a classifier's; empty: a regressor's
  std::string target_name;            // a regressor's: the column, or "value"; of comparisons "preference"
};

/// `type` as of RewardTrainingOptions. For a "classifier": the nearest dataset of `source` with its `label`; class names from the manifest, else "0", "1", ...
/// For a "regressor": the nearest scores with column `target` ("" = the only one) and the items they are of; or, if `source` is a
/// dataset, its measured `value`. For "preference": read_comparisons of the nearest feedback. Throws Error(kBadInput) if labels, scores or items are absent, do not fit each other or are not
/// finite, and Error(kUsage) naming the columns there are.
LabelledItems read_labelled(const io::Manifest& source, const std::string& type, const std::string& target);

/// Throws Error(kBadInput) unless `test` has the same space and, for a classifier, no other classes than `train`, by the same names.
void check_same_labels(const LabelledItems& train, const LabelledItems& test);

}  // namespace plumb::rewards
