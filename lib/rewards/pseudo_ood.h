// Items that play the unknown, so that an uncertainty can be scaled without new measurements.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include <ATen/core/Tensor.h>

#include "io/manifest.h"
#include "nn/data.h"
#include "rewards/reward_training.h"

namespace plumb::rewards {

/// Lloyd's k-means on x [n,d] float64 with k-means++ centres by (seed, kCluster): the centres [k,d]. At most 100 rounds; a centre that loses
/// all its items stays. Throws Error(kBadInput) for fewer items than centres. Source: Arthur and Vassilvitskii 2007, "k-means++".
Tensor kmeans(const Tensor& x, int64_t k, uint64_t seed);
/// The nearest centre of each row, [n] int64; of equally near ones the first.
Tensor nearest_centre(const Tensor& x, const Tensor& centres);

/// What is held out: the tenth of the labelled items with the highest targets, and the cluster with the highest mean target of those that
/// hold at most half of the items. Of equal targets a draw by the seed decides. Clusters are of the items in model space, flattened, and found on at most 10000 of them, evenly spread.
/// A choice of this project, in answer to how such a method is tuned offline: both ways in which a design may leave the data, by value and
/// by place.
struct PseudoOod {
  Split rest;                     ///< what is left of both sides of the split
  std::vector<int64_t> held;      ///< rows, in ascending order
  int64_t top = 0, cluster = 0;   ///< how many are there for which reason (some for both)
  double threshold = 0;           ///< the lowest target of the top tenth
};
PseudoOod hold_out_extremes(const ItemRows& items, const nn::Codec& codec, const Tensor& target, const Split& split, int64_t clusters, uint64_t seed);

/// The smallest factor c with share(|target - mean| <= c g) >= coverage, all [n] float64. Infinite if more than 1 - coverage of the g are 0
/// where the error is not.
double smallest_scale(const Tensor& mean, const Tensor& g, const Tensor& target, double coverage);

}  // namespace plumb::rewards
