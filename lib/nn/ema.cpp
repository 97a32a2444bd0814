// SPDX-License-Identifier: Apache-2.0
#include "nn/ema.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/error.h"

namespace plumb::nn {
namespace {

std::vector<Tensor> tensors_of(const NamedTensors& named) {
  std::vector<Tensor> tensors;
  tensors.reserve(named.size());
  for (const auto& [name, tensor] : named) tensors.push_back(tensor.detach());
  return tensors;
}

}  // namespace

Ema::Ema(const NamedTensors& parameters, double decay) : decay_(decay) {
  for (const auto& [name, tensor] : parameters) shadow_.emplace_back(name, tensor.detach().clone());
}

void Ema::update(const NamedTensors& parameters) {
  const at::NoGradGuard no_grad;
  ++updates_;
  const double n = static_cast<double>(updates_);
  const double decay = std::min(decay_, (1 + n) / (10 + n));
  std::vector<Tensor> shadow = tensors_of(shadow_);
  const std::vector<Tensor> values = tensors_of(parameters);
  if (shadow.size() != values.size()) throw Error(Exit::kFailed, "ema", "the number of parameters has changed");
  at::_foreach_mul_(shadow, decay);
  at::_foreach_add_(shadow, values, 1 - decay);
}

void Ema::restore(const NamedTensors& shadow, int64_t updates) {
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : shadow_) {
    const auto found = std::find_if(shadow.begin(), shadow.end(), [&, &key = name](const auto& entry) { return entry.first == key; });
    if (found == shadow.end() || found->second.sizes() != tensor.sizes()) {
      throw Error(Exit::kBadInput, "checkpoint", "the moving average of '" + name + "' is absent or of another shape");
    }
    tensor.copy_(found->second);
  }
  updates_ = updates;
}

}  // namespace plumb::nn
