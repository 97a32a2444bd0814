// SPDX-License-Identifier: Apache-2.0
#include "nn/layers.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "nn/init.h"

namespace plumb::nn {
namespace {

/// The adapter's factor is put on its few inner channels, not on the whole output. B is cast to the output's type, since autocast
/// leaves in-place sums alone.
Tensor scaled(const Tensor& x, double factor) { return factor == 1.0 ? x : x * factor; }

}  // namespace

Linear::Linear(int64_t in, int64_t out, bool bias) : weight_(at::zeros({out, in})) {
  register_parameter("weight", weight_);
  if (bias) {
    bias_ = at::zeros({out});
    register_parameter("bias", bias_);
  }
}

Tensor Linear::forward(const Tensor& x) {
  Tensor y = at::linear(x, weight_, bias_);
  if (lora_active()) {
    const Tensor low = scaled(at::linear(x, lora_a_), lora_factor());
    y.view({-1, y.size(-1)}).addmm_(low.view({-1, low.size(-1)}), lora_b_.t().to(y.scalar_type()));
  }
  return y;
}

void Linear::reset_parameters(WeightInit& init) { init.fan_in_uniform(weight_, bias_); }

Conv1d::Conv1d(int64_t in, int64_t out, int64_t kernel, int64_t padding, int64_t dilation, bool bias)
    : weight_(at::zeros({out, in, kernel})), padding_(padding), dilation_(dilation) {
  register_parameter("weight", weight_);
  if (bias) {
    bias_ = at::zeros({out});
    register_parameter("bias", bias_);
  }
}

Tensor Conv1d::forward(const Tensor& x) {
  const int64_t stride = 1;
  Tensor y = at::conv1d(x, weight_, bias_, stride, padding_, dilation_);
  if (lora_active()) {
    const Tensor low = scaled(at::conv1d(x, lora_a_, {}, stride, padding_, dilation_), lora_factor());
    y.baddbmm_(lora_b_.flatten(1).to(y.scalar_type()).unsqueeze(0).expand({x.size(0), -1, -1}), low);
  }
  return y;
}

void Conv1d::reset_parameters(WeightInit& init) { init.fan_in_uniform(weight_, bias_); }

Conv2d::Conv2d(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding, bool bias)
    : weight_(at::zeros({out, in, kernel, kernel})), stride_(stride), padding_(padding) {
  register_parameter("weight", weight_);
  if (bias) {
    bias_ = at::zeros({out});
    register_parameter("bias", bias_);
  }
}

Tensor Conv2d::forward(const Tensor& x) {
  Tensor y = at::conv2d(x, weight_, bias_, stride_, padding_);
  if (lora_active()) {
    const Tensor low = scaled(at::conv2d(x, lora_a_, {}, stride_, padding_), lora_factor());
    const Tensor up = lora_b_.flatten(1).to(y.scalar_type()).unsqueeze(0).expand({x.size(0), -1, -1});
    y = y.flatten(2).baddbmm_(up, low.flatten(2)).view(y.sizes());
  }
  return y;
}

void Conv2d::reset_parameters(WeightInit& init) { init.fan_in_uniform(weight_, bias_); }

GroupNorm::GroupNorm(int64_t groups, int64_t channels, double eps)
    : weight_(at::ones({channels})), bias_(at::zeros({channels})), groups_(groups), eps_(eps) {
  register_parameter("weight", weight_);
  register_parameter("bias", bias_);
}

Tensor GroupNorm::forward(const Tensor& x) { return at::group_norm(x, groups_, weight_, bias_, eps_); }
Tensor GroupNorm::forward_silu(const Tensor& x) { return at::silu(forward(x)); }

void GroupNorm::reset_parameters(WeightInit& init) {
  init.constant(weight_, 1);
  init.constant(bias_, 0);
}

Embedding::Embedding(int64_t count, int64_t dim) : weight_(at::zeros({count, dim})) { register_parameter("weight", weight_); }

Tensor Embedding::forward(const Tensor& index) {
  if (index.device().is_cpu() && index.numel() > 0) {
    const int64_t low = index.min().item<int64_t>(), high = index.max().item<int64_t>();
    if (low < 0 || high >= weight_.size(0)) {
      throw Error(Exit::kBadInput, "label", cat("class ", low < 0 ? low : high, " is outside 0..", weight_.size(0) - 1));
    }
  }
  return at::embedding(weight_, index);
}

void Embedding::reset_parameters(WeightInit& init) { init.normal(weight_, 1); }

}  // namespace plumb::nn
