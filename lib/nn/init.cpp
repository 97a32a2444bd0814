// SPDX-License-Identifier: Apache-2.0
#include "nn/init.h"

#include <ATen/ATen.h>

#include <cmath>

#include "core/philox.h"
#include "nn/denoiser.h"

namespace plumb::nn {
namespace {

/// Fills `parameter`, on whatever device, with draw() values in row-major order.
template <typename Draw>
void fill(Tensor& parameter, const Draw& draw) {
  const at::NoGradGuard no_grad;
  Tensor values = at::empty(parameter.sizes(), at::kFloat);
  float* out = values.mutable_data_ptr<float>();
  for (int64_t i = 0; i < values.numel(); ++i) out[i] = static_cast<float>(draw());
  parameter.copy_(values);
}

}  // namespace

void WeightInit::uniform(Tensor& parameter, double bound) {
  Philox random(seed_, Stream::kInit, index_++);
  fill(parameter, [&] { return (2 * random.uniform() - 1) * bound; });
}

void WeightInit::normal(Tensor& parameter, double sigma) {
  Philox random(seed_, Stream::kInit, index_++);
  fill(parameter, [&] { return random.normal() * sigma; });
}

void WeightInit::constant(Tensor& parameter, double value) {
  ++index_;
  const at::NoGradGuard no_grad;
  parameter.fill_(value);
}

void WeightInit::fan_in_uniform(Tensor& weight, Tensor& bias) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(weight.numel() / weight.size(0)));
  uniform(weight, bound);
  if (bias.defined()) uniform(bias, bound);
}

void initialise(Module& module, uint64_t seed) {
  WeightInit init(seed);
  module.each_module([&](const std::string&, Module& part) { part.reset_parameters(init); });
}

}  // namespace plumb::nn
