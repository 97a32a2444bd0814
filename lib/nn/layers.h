// Layers with torch.nn's names, defaults and arithmetic. A faster kernel for a layer goes behind its forward().
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "nn/lora.h"
#include "nn/module.h"

namespace plumb::nn {

/// y = x W^T + b on the last axis. weight [out,in], bias [out].
class Linear : public LoraTarget {
 public:
  Linear(int64_t in, int64_t out, bool bias = true);
  Tensor forward(const Tensor& x);
  std::vector<int64_t> weight_shape() const override { return weight_.sizes().vec(); }
  Tensor& weight() override { return weight_; }
  Tensor& bias() { return bias_; }   ///< undefined without one
  void reset_parameters(WeightInit& init) override;

 private:
  Tensor weight_, bias_;
};

/// Cross-correlation of x [B,in,L] with weight [out,in,k] of `dilation` positions between its taps, zero padding, stride 1.
class Conv1d : public LoraTarget {
 public:
  Conv1d(int64_t in, int64_t out, int64_t kernel, int64_t padding = 0, int64_t dilation = 1, bool bias = true);
  /// The length stays: padding = dilation * (kernel - 1) / 2. The kernel must be odd.
  static int64_t same_padding(int64_t kernel, int64_t dilation = 1) { return dilation * (kernel - 1) / 2; }
  Tensor forward(const Tensor& x);
  std::vector<int64_t> weight_shape() const override { return weight_.sizes().vec(); }
  Tensor& weight() override { return weight_; }
  void reset_parameters(WeightInit& init) override;

 private:
  Tensor weight_, bias_;
  int64_t padding_, dilation_;
};

/// Cross-correlation of x [B,in,H,W] with weight [out,in,k,k], zero padding.
class Conv2d : public LoraTarget {
 public:
  Conv2d(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1, int64_t padding = 0, bool bias = true);
  Tensor forward(const Tensor& x);
  std::vector<int64_t> weight_shape() const override { return weight_.sizes().vec(); }
  Tensor& weight() override { return weight_; }
  void reset_parameters(WeightInit& init) override;

 private:
  Tensor weight_, bias_;
  int64_t stride_, padding_;
};

/// Source: Wu & He 2018, "Group normalization". x [B,channels,*].
class GroupNorm : public Module {
 public:
  GroupNorm(int64_t groups, int64_t channels, double eps = 1e-5);
  Tensor forward(const Tensor& x);
  Tensor forward_silu(const Tensor& x);   ///< silu(forward(x))
  void reset_parameters(WeightInit& init) override;

 private:
  Tensor weight_, bias_;
  int64_t groups_;
  double eps_;
};

/// Rows of weight [count,dim] by int64 index. Throws Error(kBadInput) for an index outside [0,count) on the CPU.
class Embedding : public Module {
 public:
  Embedding(int64_t count, int64_t dim);
  Tensor forward(const Tensor& index);
  void reset_parameters(WeightInit& init) override;

 private:
  Tensor weight_;
};

}  // namespace plumb::nn
