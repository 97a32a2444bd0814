// The UNet of PAPA's experiments on 28x28 images, with its parameter names.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/denoiser.h"
#include "nn/layers.h"

namespace plumb::nn {

/// The keys of the published configuration (model_params), with its values for MNIST and Fashion-MNIST; sample_size and num_heads are ours.
struct PapaUNetOptions {
  std::optional<int64_t> sample_size;                       ///< height of an item, for the record
  int64_t im_channels = 1;
  std::vector<int64_t> down_channels{32, 64, 128, 256};     ///< multiples of 8; two or more
  std::vector<int64_t> mid_channels{256, 256, 128};         ///< from the last of down_channels to the one before it
  std::vector<bool> down_sample{true, true, false};         ///< whether a block halves the picture; one fewer than down_channels
  int64_t time_emb_dim = 128;                               ///< even
  int64_t num_heads = 4;                                    ///< of attention; divides every width
  int64_t num_down_layers = 2, num_mid_layers = 2, num_up_layers = 2;
  /// Throws Error(kUsage) naming an unknown key, a value that is not known, or numbers that do not go together.
  static PapaUNetOptions from_json(const io::Json& json, const std::string& where);
  io::Json to_json() const;   ///< all keys
};

/// [sin(t / f_i), cos(t / f_i)], f_i = 10000^(i / h), i < h = dim / 2. t [B] of any type -> [B,dim] float64.
Tensor papa_time_embedding(const Tensor& t, int64_t dim);

/// Multi-head self-attention over the tokens of x [B,T,C], by one packed projection: softmax(Q K^T / sqrt(C / heads)) V, then a linear layer.
/// Source: Vaswani et al. 2017, eq. 1. Parameters are those of torch's MultiheadAttention: in_proj_weight [3C,C] and in_proj_bias [3C], rows in
/// the order query, key, value; out_proj. As a LoRA target this module stands for the packed projection.
class PackedAttention : public LoraTarget {
 public:
  PackedAttention(int64_t channels, int64_t heads);
  Tensor forward(const Tensor& x);
  std::vector<int64_t> weight_shape() const override { return in_proj_weight_.sizes().vec(); }
  Tensor& weight() override { return in_proj_weight_; }
  void reset_parameters(WeightInit& init) override;   ///< torch's: Xavier-uniform, biases 0

 private:
  class Output : public Linear {
   public:
    explicit Output(int64_t channels) : Linear(channels, channels) {}
    void reset_parameters(WeightInit& init) override;
  };
  int64_t heads_;
  Tensor in_proj_weight_, in_proj_bias_;
  Output out_proj_;
};

/// Transposed convolution of x [B,in,H,W] with weight [in,out,k,k]: height (H - 1) stride - 2 padding + k. Carries no adapter.
class ConvTranspose2d : public Module {
 public:
  ConvTranspose2d(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding);
  Tensor forward(const Tensor& x);
  void reset_parameters(WeightInit& init) override;

 private:
  Tensor weight_, bias_;
  int64_t stride_, padding_;
};

/// silu(norm(x)), then a 3x3 convolution; torch's Sequential(GroupNorm, SiLU, Conv2d).
class NormConv : public Module {
 public:
  NormConv(int64_t in, int64_t out);
  Tensor forward(const Tensor& x) { return conv_.forward(norm_.forward_silu(x)); }

 private:
  GroupNorm norm_;
  Conv2d conv_;
};

/// torch's Sequential(SiLU, Linear), given the silu.
class TimeLayer : public Module {
 public:
  TimeLayer(int64_t in, int64_t out) : linear_(in, out) { register_module("1", linear_); }
  Tensor forward(const Tensor& silu_temb) { return linear_.forward(silu_temb); }

 private:
  Linear linear_;
};

/// Residual layers, the first in -> out, and attentions, each a residual itself. A down block ends in, and an up block begins with, a 4x4
/// convolution of stride 2, if it changes the size of the picture.
class PapaBlock : public Module {
 public:
  enum class Resample { kNone, kDown, kUp };
  PapaBlock(int64_t in, int64_t out, int64_t layers, int64_t attentions, Resample resample, const PapaUNetOptions& options);
  /// [B,in,H,W] -> [B,out,H,W]: layer 0, then by turns layers and attentions; attention i comes after layer i. silu_temb [B,time_emb_dim].
  Tensor forward(Tensor x, const Tensor& silu_temb);
  Tensor resample(const Tensor& x);   ///< the convolution; x itself without one

 private:
  Tensor residual(size_t i, const Tensor& x, const Tensor& silu_temb);
  Tensor attend(size_t i, const Tensor& x);

  ModuleList<NormConv> first_, second_;
  ModuleList<TimeLayer> times_;
  ModuleList<GroupNorm> norms_;
  ModuleList<PackedAttention> attentions_;
  ModuleList<Conv2d> shortcuts_;
  std::unique_ptr<Conv2d> down_;
  std::unique_ptr<ConvTranspose2d> up_;
};

/// torch's Sequential(Linear, SiLU, Linear).
class PapaTimeProjection : public Module {
 public:
  explicit PapaTimeProjection(int64_t dim);
  Tensor forward(const Tensor& x);

 private:
  Linear first_, second_;
};

/// Unconditional. Config form: {"type":"papa-unet","config":{PapaUNetOptions}}. 10,188,081 parameters with the published options.
/// Source: NasikNafi/papa (GitHub), its config and weights. Time is embedded in float64 and is not rounded to a whole step.
class PapaUNet : public Denoiser {
 public:
  explicit PapaUNet(const PapaUNetOptions& options);
  /// Throws Error(kBadInput) for a picture of other channels or whose sides the down blocks cannot halve, and for any condition.
  Tensor forward(const Tensor& x_t, const Tensor& timestep, const Condition& condition) override;
  io::Json config() const override { return {{"type", "papa-unet"}, {"config", options_.to_json()}}; }

 private:
  PapaUNetOptions options_;
  PapaTimeProjection t_proj_;
  Conv2d conv_in_;
  ModuleList<PapaBlock> downs_, mids_, ups_;
  GroupNorm norm_out_;
  Conv2d conv_out_;
};

/// Sides of pictures must be multiples of this: 2 for each block that halves them.
int64_t papa_multiple(const PapaUNetOptions& options);

}  // namespace plumb::nn
