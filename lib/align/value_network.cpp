// DPOK's value network.   SPDX-License-Identifier: Apache-2.0
#include "align/value_network.h"

#include <ATen/ATen.h>

#include <cmath>

#include "nn/init.h"

namespace plumb::align {
namespace {

constexpr int kHiddenLayers = 3;

double xavier_sd(const Tensor& weight) {
  return std::sqrt(2.0 / static_cast<double>(weight.size(0) + weight.size(1)));
}

}  // namespace

ValueNetwork::ValueNetwork(int64_t elements, int64_t classes, int64_t steps, uint64_t seed, int64_t width)
    : classes_(classes) {
  int64_t in = elements + classes;
  for (int k = 0; k < kHiddenLayers; ++k) {
    layers_.add(std::make_unique<nn::Linear>(in, width));
    gains_.add(std::make_unique<nn::Embedding>(steps, width));
    in = width;
  }
  layers_.add(std::make_unique<nn::Linear>(in, 1));
  register_module("layers", layers_);
  register_module("gains", gains_);
  const at::NoGradGuard no_grad;
  nn::WeightInit init(seed);
  for (size_t k = 0; k < layers_.size(); ++k) {
    layers_[k].reset_parameters(init);  // biases
    init.normal(layers_[k].weight(), xavier_sd(layers_[k].weight()));
  }
  gains_.each_parameter([&](const std::string&, Tensor& gain) {
    init.uniform(gain, 0.5);
    gain.add_(0.5);
  });
}

Tensor ValueNetwork::forward(const Tensor& x_t, const Tensor& step, const nn::Condition& condition) {
  Tensor h = x_t.flatten(1);
  if (classes_ > 0)
    h = at::cat({h, at::one_hot(condition.label, classes_).to(h.options())}, 1);
  for (size_t k = 0; k < kHiddenLayers; ++k)
    h = (gains_[k].forward(step) * layers_[k].forward(h)).relu();
  return layers_[kHiddenLayers].forward(h).squeeze(1);
}

}  // namespace plumb::align
