// The parts of UNet2D: residual blocks, attention, resampling, time embedding. Parameter names are those of the peer's state_dict.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "nn/layers.h"

namespace plumb::nn {

/// What all blocks of one network share.
struct BlockOptions {
  int64_t temb_channels = 0;
  int64_t norm_groups = 32;
  double norm_eps = 1e-5;
  double dropout = 0;
  bool scale_shift = false;          ///< the time embedding scales and shifts norm2 instead of being added before it
  int64_t attention_head_dim = 8;    ///< 0: one head as wide as the block
  int64_t downsample_padding = 1;
  bool resnet_downsample = false;    ///< attention blocks resample with a residual block instead of a convolution
  bool resnet_upsample = false;
};

/// Nearest-neighbour enlargement [B,C,H,W] -> [B,C,2H,2W].
Tensor upsample_nearest_2x(const Tensor& x);

enum class Resample { kNone, kUp, kDown };

/// h = conv1(resample(silu(norm1(x)))), h (+ or scaled by) proj(temb), conv2(dropout(silu(norm2(h)))), plus the (1x1-convolved)
/// resampled input, divided by output_scale.
class ResnetBlock : public Module {
 public:
  ResnetBlock(int64_t in, int64_t out, const BlockOptions& options, Resample resample = Resample::kNone, double output_scale = 1);
  /// x [B,in,H,W]; silu_temb [B,temb_channels] is silu of the time embedding.
  Tensor forward(const Tensor& x, const Tensor& silu_temb);

 private:
  GroupNorm norm1_;
  Conv2d conv1_;
  Linear time_emb_proj_;
  GroupNorm norm2_;
  Conv2d conv2_;
  std::optional<Conv2d> conv_shortcut_;
  Resample resample_;
  double dropout_, output_scale_;
  bool scale_shift_;
};

/// torch's ModuleList([Linear, Dropout]): only "0" has parameters.
class AttentionOutput : public Module {
 public:
  AttentionOutput(int64_t in, int64_t out) : linear_(in, out) { register_module("0", linear_); }
  Tensor forward(const Tensor& x) { return linear_.forward(x); }

 private:
  Linear linear_;
};

/// Self-attention over the H*W positions with a residual connection. Source: Vaswani et al. 2017, eq. 1.
class Attention : public Module {
 public:
  /// groups 0: no normalisation before the projections.
  Attention(int64_t channels, int64_t head_dim, int64_t groups, double eps, double output_scale = 1);
  Tensor forward(const Tensor& x);   // [B,C,H,W] -> same

 private:
  int64_t heads_, head_dim_;
  std::optional<GroupNorm> group_norm_;
  Linear to_q_, to_k_, to_v_;
  AttentionOutput to_out_;
  double output_scale_;
};

/// 3x3 convolution of stride 2. padding 0 pads one row and column at the far sides, as the peer does.
class Downsample : public Module {
 public:
  Downsample(int64_t channels, int64_t padding);
  Tensor forward(const Tensor& x);

 private:
  Conv2d conv_;
  int64_t padding_;
};

/// Nearest-neighbour 2x, then a 3x3 convolution.
class Upsample : public Module {
 public:
  explicit Upsample(int64_t channels) : conv_(channels, channels, 3, 1, 1) { register_module("conv", conv_); }
  Tensor forward(const Tensor& x) { return conv_.forward(upsample_nearest_2x(x)); }

 private:
  Conv2d conv_;
};

/// linear_2(silu(linear_1(x))).
class TimestepEmbedding : public Module {
 public:
  TimestepEmbedding(int64_t in, int64_t dim);
  Tensor forward(const Tensor& x);

 private:
  Linear linear_1_, linear_2_;
};

/// DownBlock2D and AttnDownBlock2D.
class DownBlock : public Module {
 public:
  DownBlock(int64_t in, int64_t out, int64_t layers, bool attention, bool downsample, const BlockOptions& options);
  /// Appends each intermediate result to `skips` and returns the last.
  Tensor forward(Tensor x, const Tensor& silu_temb, std::vector<Tensor>& skips);

 private:
  ModuleList<Attention> attentions_;
  ModuleList<ResnetBlock> resnets_;
  ModuleList<Downsample> downsamplers_;
  ModuleList<ResnetBlock> resnet_downsamplers_;
};

/// UpBlock2D and AttnUpBlock2D: each layer takes one skip from the end of the stack.
class UpBlock : public Module {
 public:
  UpBlock(int64_t in, int64_t skip_out, int64_t out, int64_t layers, bool attention, bool upsample, const BlockOptions& options);
  Tensor forward(Tensor x, const Tensor& silu_temb, std::vector<Tensor>& skips);

 private:
  ModuleList<Attention> attentions_;
  ModuleList<ResnetBlock> resnets_;
  ModuleList<Upsample> upsamplers_;
  ModuleList<ResnetBlock> resnet_upsamplers_;
};

/// ResnetBlock, Attention (optional), ResnetBlock.
class MidBlock : public Module {
 public:
  /// attention_groups 0: attention without normalisation.
  MidBlock(int64_t channels, bool attention, int64_t attention_groups, double output_scale, const BlockOptions& options);
  Tensor forward(const Tensor& x, const Tensor& silu_temb);

 private:
  ModuleList<Attention> attentions_;
  ModuleList<ResnetBlock> resnets_;
};

}  // namespace plumb::nn
