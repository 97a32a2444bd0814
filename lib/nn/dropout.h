// Dropout whose masks are functions of (seed, item, step), like every other draw.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "core/philox.h"

namespace plumb::nn {

using at::Tensor;

/// While one is alive on a thread, dropout layers in training mode take their masks from it: row i of each batch uses the
/// draws of (seed, kDropout, items[i], step), layer after layer. Random layers inside a TorchScript network draw from LibTorch's own
/// generators, which it seeds by (seed, items[0], step). Make one for each forward pass that trains.
class DropoutScope {
 public:
  DropoutScope(uint64_t seed, const std::vector<int64_t>& items, uint32_t step);
  ~DropoutScope();
  DropoutScope(const DropoutScope&) = delete;
  DropoutScope& operator=(const DropoutScope&) = delete;

 private:
  friend Tensor dropout(const Tensor& x, double p);
  std::vector<Philox> random_;
  DropoutScope* outer_;
};

/// Zeroes each element of x [B,*] with probability p and scales the others by 1/(1-p).
/// Throws Error(kFailed) without a DropoutScope of B items: a mask nobody keyed could not be resumed.
Tensor dropout(const Tensor& x, double p);

}  // namespace plumb::nn
