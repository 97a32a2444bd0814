// Gradients against central differences, in float64.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

namespace plumb::test {

/// Largest |analytic - numeric| / max(1, |numeric|) over the entries of `inputs` (float64 leaves) of the gradient of the scalar
/// f(): at most `samples` entries of each tensor, evenly spread. step^2 is the order of the truncation error: with 1e-5 and
/// smooth functions of order 1 expect below 1e-8.
inline double gradient_error(const std::function<at::Tensor()>& f, std::vector<at::Tensor> inputs, int64_t samples = 12,
                             double step = 1e-5) {
  for (at::Tensor& input : inputs) {
    TORCH_CHECK(input.scalar_type() == at::kDouble, "gradient_error needs float64");
    input.set_requires_grad(true);
    input.mutable_grad() = at::Tensor();
  }
  torch::autograd::backward({f()}, {});
  const at::NoGradGuard no_grad;
  double worst = 0;
  for (at::Tensor& input : inputs) {
    if (!input.grad().defined()) return INFINITY;
    const at::Tensor flat = input.view({-1}), grad = input.grad().contiguous().view({-1});
    const int64_t count = std::min(samples, flat.numel());
    for (int64_t k = 0; k < count; ++k) {
      at::Tensor entry = flat[k * flat.numel() / count];
      const double value = entry.item<double>();
      entry.fill_(value + step);
      const double above = f().item<double>();
      entry.fill_(value - step);
      const double below = f().item<double>();
      entry.fill_(value);
      const double numeric = (above - below) / (2 * step);
      const double analytic = grad[k * flat.numel() / count].item<double>();
      worst = std::max(worst, std::abs(analytic - numeric) / std::max(1.0, std::abs(numeric)));
    }
  }
  return worst;
}

}  // namespace plumb::test
