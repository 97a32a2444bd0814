// EfficientNet-Lite0 with weights by the formula of tests/numeric/make_efficientnet_reference.py.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "io/manifest.h"
#include "io/safetensors.h"
#include "nn/efficientnet_lite.h"
#include "unit/metrics/synthetic.h"

namespace plumb::nn::test {

inline const io::Json& efficientnet_reference() {
  static const io::Json json = [] {
    const char* source = std::getenv("PLUMB_SOURCE_DIR");
    std::ifstream file(std::string(source ? source : ".") + "/tests/numeric/efficientnet_reference.json");
    return io::Json::parse(file);
  }();
  return json;
}

/// Tensor k of the sorted names is low + (high - low) * uniform(1000 + k, 1, numel).
inline void fill_as_reference(EfficientNetLite0& network) {
  std::map<std::string, Tensor> sorted;
  for (const auto& [name, tensor] : network.state()) sorted.emplace(name, tensor);
  const at::NoGradGuard no_grad;
  uint64_t k = 0;
  for (auto& [name, tensor] : sorted) {
    const uint64_t seed = 1000 + k++;
    if (name.ends_with("num_batches_tracked")) continue;
    const double fan_in = static_cast<double>(tensor.numel() / tensor.size(0));
    double high = tensor.dim() > 1 ? std::sqrt(1.1 / fan_in) : 0.3, low = -high;
    if (name.ends_with("running_var")) {
      low = 0.05;
      high = 0.25;
    } else if (name.find("_bn") != std::string::npos && name.ends_with(".weight")) {
      low = 0.5;
      high = 1.0;
    }
    tensor.copy_((low + (high - low) * metrics::test::uniform(seed, 1, tensor.numel())).view(tensor.sizes()));
  }
}

/// The state of a network as a file; returns its path.
inline std::string write_weights(EfficientNetLite0& network, const std::string& path) {
  std::vector<io::TensorToWrite> tensors;
  for (const auto& [name, tensor] : network.state()) {
    tensors.push_back({name, tensor.scalar_type() == at::kLong ? "I64" : "F32", tensor.sizes().vec(), tensor.data_ptr(), tensor.nbytes()});
  }
  io::write_safetensors(path, tensors);
  return path;
}

/// Largest difference between `kept` and every `step`-th element of a row.
inline double difference(const Tensor& row, int64_t step, const io::Json& kept) {
  const Tensor wanted = at::tensor(kept.get<std::vector<double>>(), at::kDouble);
  return (row.flatten().slice(0, 0, row.numel(), step).to(at::kDouble) - wanted).abs().max().item<double>();
}

}  // namespace plumb::nn::test
