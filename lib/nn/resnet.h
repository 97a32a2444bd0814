// A small residual network for pictures.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "nn/layers.h"
#include "nn/predictor.h"

namespace plumb::nn {

struct ResNetOptions {
  int64_t in_channels = 1;
  std::vector<int64_t> channels{32, 64, 128};   ///< of each stage; every stage after the first halves the picture
  int64_t blocks_per_stage = 1;
  int64_t stem_stride = 2;                      ///< of the first convolution
  int64_t norm_num_groups = 8;                  ///< divides each of `channels`
  int64_t outputs = 10;
  io::Json to_json() const;
  static ResNetOptions from_json(const io::Json& json, const std::string& where);   ///< Error(kUsage)
};

/// Two 3x3 convolutions with group norm and SiLU before each, and a 1x1 convolution on the way around where the shape changes.
/// Source: He et al. 2016, "Identity mappings in deep residual networks", fig. 4e; group norm instead of batch norm, so that an
/// item's output does not depend on its batch.
class ResidualBlock : public Module {
 public:
  ResidualBlock(int64_t in, int64_t out, int64_t stride, int64_t groups);
  Tensor forward(const Tensor& x);

 private:
  GroupNorm norm1_, norm2_;
  Conv2d conv1_, conv2_;
  std::unique_ptr<Conv2d> shortcut_;
};

/// 3x3 convolution, stages of residual blocks, group norm, SiLU, mean over pixels (the features), linear head.
class ResNet : public Predictor {
 public:
  explicit ResNet(const ResNetOptions& options);
  Tensor features(const Tensor& x) override;    // [B,C,H,W] -> [B,channels.back()]
  Tensor head(const Tensor& features) override { return head_.forward(features); }
  int64_t feature_dimension() const override { return options_.channels.back(); }
  int64_t outputs() const override { return options_.outputs; }
  io::Json config() const override { return {{"type", "resnet"}, {"config", options_.to_json()}}; }

 private:
  ResNetOptions options_;
  Conv2d conv_in_;
  ModuleList<ResidualBlock> blocks_;
  GroupNorm norm_out_;
  Linear head_;
};

}  // namespace plumb::nn
