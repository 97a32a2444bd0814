// Draws of initial weights, the same whatever the device or order of creation.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include <ATen/core/Tensor.h>

namespace plumb::nn {

using at::Tensor;

/// Hands out one independent Philox stream a parameter: (seed, kInit, index), index counting calls from 0.
class WeightInit {
 public:
  explicit WeightInit(uint64_t seed) : seed_(seed) {}
  void uniform(Tensor& parameter, double bound);   ///< U(-bound, bound)
  void normal(Tensor& parameter, double sigma);    ///< N(0, sigma^2)
  void constant(Tensor& parameter, double value);
  /// torch.nn.Linear's and ConvNd's default: U(+-1/sqrt(fan_in)) for weight and bias (Kaiming-uniform with a = sqrt(5)).
  /// weight [out,in,...]; bias may be undefined.
  void fan_in_uniform(Tensor& weight, Tensor& bias);

 private:
  uint64_t seed_;
  uint64_t index_ = 0;
};

}  // namespace plumb::nn
