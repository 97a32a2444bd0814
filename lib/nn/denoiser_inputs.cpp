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
constexpr int64_t kValueWaves = 6;

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

Tensor value_of_items(const Condition& condition, bool takes_value, int64_t batch, at::Device device) {
  const Tensor& value = condition.value;
  if (!takes_value) {
    if (!value.defined()) return {};
    throw Error(Exit::kBadInput, "value", "the model is not conditioned on a value");
  }
  if (!value.defined()) return at::zeros({batch, 2}, at::TensorOptions(at::kFloat).device(device));
  if (value.dim() != 1 || value.size(0) != batch) {
    throw Error(Exit::kBadInput, "value", cat("is ", shape_text(value.sizes().vec()), " for a batch of ", batch));
  }
  const Tensor y = value.to(device, at::kFloat), unknown = at::isnan(y);
  return at::stack({y.masked_fill(unknown, 0), at::logical_not(unknown).to(at::kFloat)}, 1);
}

void ZeroLinear::reset_parameters(WeightInit& init) {
  init.constant(weight(), 0);
  if (bias().defined()) init.constant(bias(), 0);
}

ValueEmbedding::ValueEmbedding(int64_t dim)
    : linear_1_(2 + 2 * kValueWaves, dim), linear_2_(dim, dim), frequencies_(at::pow(2.0, at::arange(kValueWaves, at::kFloat) - 3)) {
  register_module("linear_1", linear_1_);
  register_module("linear_2", linear_2_);
}

Tensor ValueEmbedding::forward(const Tensor& value) {
  if (frequencies_.device() != value.device()) frequencies_ = frequencies_.to(value.device());
  const Tensor known = value.slice(1, 1, 2), angle = value.slice(1, 0, 1) * frequencies_.unsqueeze(0);
  const Tensor features = at::cat({value, known * at::sin(angle), known * at::cos(angle)}, 1);
  return linear_2_.forward(at::silu(linear_1_.forward(features.to(linear_1_.weight().scalar_type()))));
}

}  // namespace plumb::nn
