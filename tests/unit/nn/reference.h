// Reference files of networks: weights by a formula, and what PyTorch made of them.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cmath>
#include <cstring>
#include <map>
#include <string>

#include <torch/csrc/autograd/autograd.h>

#include "io/safetensors.h"
#include "unit/nn/helpers.h"

namespace plumb::nn::test {

/// The formula of tests/numeric/hashed.py: offset + scale * u, u in [-1,1) from an integer hash.
inline Tensor hashed(uint64_t index, const std::vector<int64_t>& shape, double scale, double offset) {
  Tensor values = at::empty(shape, at::kFloat);
  float* out = values.mutable_data_ptr<float>();
  for (uint64_t n = 0; n < static_cast<uint64_t>(values.numel()); ++n) {
    uint64_t h = (n * 2654435761U + index * 40503U + 12345U) & 0xFFFFFFFFU;
    h = ((h ^ (h >> 15)) * 2246822519U) & 0xFFFFFFFFU;
    h = ((h ^ (h >> 13)) * 3266489917U) & 0xFFFFFFFFU;
    out[n] = static_cast<float>(offset + scale * (static_cast<double>(h) / 2147483648.0 - 1.0));
  }
  return values;
}

/// Parameters and buffers by sorted name.
inline std::map<std::string, Tensor> by_name(Module& module) {
  std::map<std::string, Tensor> sorted;
  for (const auto& [name, tensor] : module.state()) sorted.emplace(name, tensor);
  return sorted;
}

/// Each weight as hashed.py fills it, in the order of sorted names.
inline void fill_as_reference(Module& module) {
  const at::NoGradGuard no_grad;
  uint64_t index = 0;
  for (auto& [name, tensor] : by_name(module)) {
    const bool norm = name.find("norm") != std::string::npos && name.ends_with("weight");
    const double fan_in = static_cast<double>(tensor.numel() / tensor.size(0));
    tensor.copy_(hashed(index++, tensor.sizes().vec(), tensor.dim() == 1 ? 0.5 : std::sqrt(3.0 / fan_in), norm ? 1.0 : 0.0));
  }
}

/// A tensor of a reference file.
inline Tensor read(const io::SafetensorsReader& file, const std::string& name) {
  const io::TensorView& view = file.tensor(name);
  Tensor values = at::empty(view.shape, view.dtype == "I64" ? at::kLong : at::kFloat);
  REQUIRE(values.nbytes() == view.bytes);
  std::memcpy(values.mutable_data_ptr(), view.data, view.bytes);
  return values;
}

/// Largest difference of the gradients of the module's parameters, by sorted name, from `expected`, over the largest entry (at least 1).
inline double parameter_gradient_error(Module& module, const Tensor& expected) {
  std::vector<Tensor> grads;
  std::map<std::string, Tensor> sorted;
  for (const auto& [key, tensor] : module.parameters()) sorted.emplace(key, tensor);
  for (const auto& [key, tensor] : sorted) {
    if (tensor.grad().defined()) grads.push_back(tensor.grad().flatten());
  }
  const Tensor grad = at::cat(grads);
  REQUIRE((grad.sizes() == expected.sizes()));
  return max_difference(grad, expected) / std::max(1.0, expected.abs().max().item<double>());
}

}  // namespace plumb::nn::test
