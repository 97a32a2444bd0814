// DPOK's value function of a state, its step and its class.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include "nn/denoiser.h"
#include "nn/layers.h"

namespace plumb::align {

using at::Tensor;

/// V(x_i, i, c): three hidden layers h <- relu(g_k[i] * (W_k h + b_k)) on [x_i, one-hot c], where g_k[i] is a learned vector for
/// step i, then a linear output. Weights Xavier-normal, biases as PyTorch's, g ~ U(0,1).
/// Source: Fan et al. 2023 (DPOK), app. B, and its code, with a one-hot class where that has CLIP's text embedding.
class ValueNetwork : public nn::Module {
 public:
  /// elements: D of an item in model space; classes: rows of the one-hot (0: none); steps: T.
  ValueNetwork(int64_t elements, int64_t classes, int64_t steps, uint64_t seed, int64_t width = 256);
  /// x_t [B,*] float32, step [B] int64 -> [B] float32.
  Tensor forward(const Tensor& x_t, const Tensor& step, const nn::Condition& condition);

 private:
  int64_t classes_;
  nn::ModuleList<nn::Linear> layers_;
  nn::ModuleList<nn::Embedding> gains_;
};

}  // namespace plumb::align
