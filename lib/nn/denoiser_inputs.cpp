// SPDX-License-Identifier: Apache-2.0
#include "nn/denoiser_inputs.h"

#include <ATen/ATen.h>

#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "nn/init.h"

namespace plumb::nn {
namespace {

constexpr double kMaxPeriod = 10000;
constexpr double kTwoPi = 6.283185307179586;

}  // namespace

FourierProjection::FourierProjection(int64_t dim, double scale) : weight_(at::zeros({dim})), scale_(scale) {
  register_buffer("weight", weight_);
}

Tensor FourierProjection::forward(const Tensor& s) const {
  const Tensor angle = s.unsqueeze(1) * weight_.unsqueeze(0) * kTwoPi;
  return at::cat({at::sin(angle), at::cos(angle)}, 1);
}

void FourierProjection::reset_parameters(WeightInit& init) { init.normal(weight_, scale_); }

Tensor positional_frequencies(int64_t dim, double freq_shift) {
  const int64_t half = dim / 2;
  const Tensor exponent = at::arange(half, at::kFloat) * -std::log(kMaxPeriod) / (static_cast<double>(half) - freq_shift);
  return at::exp(exponent);
}

Tensor timestep_of_items(const Tensor& timestep, int64_t batch, at::Device device) {
  if (timestep.dim() > 1 || (timestep.numel() != batch && timestep.numel() != 1)) {
    throw Error(Exit::kBadInput, "timestep", cat("is ", shape_text(timestep.sizes().vec()), " for a batch of ", batch));
  }
  return timestep.to(device, at::kFloat).reshape({-1}).expand({batch});
}

Tensor class_of_items(const Condition& condition, int64_t num_classes, int64_t batch, at::Device device) {
  const Tensor& label = condition.label;
  if (num_classes == 0) {
    if (!label.defined()) return {};
    throw Error(Exit::kBadInput, "label", "the model is unconditional: it has no classes");
  }
  if (!label.defined()) return at::full({batch}, num_classes, at::TensorOptions(at::kLong).device(device));
  if (label.dim() != 1 || label.size(0) != batch) {
    throw Error(Exit::kBadInput, "label", cat("is ", shape_text(label.sizes().vec()), " for a batch of ", batch));
  }
  return label.to(device);
}

}  // namespace plumb::nn
