// Which samples RAFT keeps.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include <ATen/core/Tensor.h>

namespace plumb::align {

using at::Tensor;

/// Indices of the `count` samples that rank highest within their own class, ascending: by the share of the class that is better,
/// (rank - 1/2) / size of the class, so that where classes have n times as many samples as are kept, each keeps its best n-th. Equal
/// rewards, and then equal shares: the earlier sample. label [N] int64, or undefined: one class. reward [N].
/// Source: Dong et al. 2023, "RAFT: reward ranked finetuning for generative foundation model alignment", alg. 1 (its prompts are
/// drawn a fixed number of times each; here classes are drawn at random).
std::vector<int64_t> best_within_classes(const Tensor& label, const Tensor& reward, int64_t count);

}  // namespace plumb::align
