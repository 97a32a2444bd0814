// Classifier-free guidance.   SPDX-License-Identifier: Apache-2.0
#include <limits>

#include <ATen/ATen.h>

#include "core/error.h"
#include "diffusion/sampler.h"

namespace plumb::diffusion {

Tensor GuidedDenoiser::operator()(const Tensor& x_t, const Tensor& timestep, const nn::Condition& condition) const {
  const bool by_class = condition.label.defined(), by_value = condition.value.defined();
  if (guidance_scale == 1.0 || !(by_class || by_value)) return denoiser.forward(x_t, timestep, condition);
  if (by_class && denoiser.num_classes() == 0) {
    throw Error(Exit::kUsage, "--guidance-scale", "an unconditional model has nothing to be guided by");
  }
  nn::Condition both = condition;
  if (by_class) both.label = at::cat({at::full_like(condition.label, denoiser.num_classes()), condition.label});
  if (by_value) both.value = at::cat({at::full_like(condition.value, std::numeric_limits<double>::quiet_NaN()), condition.value});
  const Tensor output = denoiser.forward(at::cat({x_t, x_t}), at::cat({timestep, timestep}), both);
  const int64_t count = x_t.size(0);
  const Tensor without = output.narrow(0, 0, count), with = output.narrow(0, count, count);
  return without + guidance_scale * (with - without);
}

}  // namespace plumb::diffusion
