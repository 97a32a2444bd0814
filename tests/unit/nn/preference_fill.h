// The networks of tests/numeric/preference.json: its cases and how they fill weights.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cmath>
#include <string>

#include "unit/cases.h"
#include "unit/nn/helpers.h"

namespace plumb::nn::test {

inline io::Json preference_case(const std::string& id) { return plumb::test::numeric_case("preference.json", id); }

/// Row-major v_i = sin(0.7 i + 0.001 numel): matrices and kernels sqrt(2 / (numel / shape[0])) v, vectors 0.5 + 0.3 v.
inline void fill_as_preference(Module& module) {
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : module.parameters()) {
    const auto count = static_cast<double>(tensor.numel());
    const Tensor v = at::sin(0.7 * at::arange(tensor.numel(), at::kDouble) + 0.001 * count).view(tensor.sizes());
    tensor.copy_(tensor.dim() > 1 ? std::sqrt(2 / (count / static_cast<double>(tensor.size(0)))) * v : 0.5 + 0.3 * v);
  }
}

}  // namespace plumb::nn::test
