// What people said of items, as comparisons that a reward is fitted to.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include <ATen/core/Tensor.h>

#include "io/manifest.h"

namespace plumb::rewards {

using at::Tensor;

struct LabelledItems;

/// The answers of a feedback artefact: `pairs` [P,2] int64, rows of the items that were compared, and `target` [P] float64, the share of the
/// first: 1 if it was preferred, 0 if the second, 1/2 for a tie, (1 + y)/2 in between. An item judged by itself (modes single and rating) is
/// compared with nothing, -1. Throws Error(kBadInput) if there are no answers, or they are not of these items or outside -1 .. 1.
LabelledItems read_comparisons(const io::Manifest& feedback);

/// The rows that the comparisons `which` need: their first items, then their second; the first again where there is none. [2B]
std::vector<int64_t> compared_rows(const Tensor& pairs, const std::vector<int64_t>& which);

/// m = r(first) - r(second) of the comparisons `which`, r = 0 for nothing; outputs [2B,1] in the order of compared_rows -> [B].
Tensor margins(const Tensor& outputs, const Tensor& pairs, const std::vector<int64_t>& which);

/// Mean of -p log sigma(m) - (1 - p) log sigma(-m), nats; p the target [B] of the margins [B]. Source: Bradley and Terry 1952, "Rank analysis of
/// incomplete block designs I", fitted to a network as by Christiano et al. 2017, "Deep reinforcement learning from human preferences",
/// sec. 2.2.3, with p = 1/2 for a tie.
Tensor preference_loss(const Tensor& margin, const Tensor& target);

/// {"count", "decided": comparisons that are no tie, "accuracy": share of those whose margin has the right sign (0 counts half), null without
/// any, "nll": preference_loss}. margin, target [P], float64.
io::Json preference_quality(const Tensor& margin, const Tensor& target);

}  // namespace plumb::rewards
