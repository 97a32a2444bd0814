// SPDX-License-Identifier: Apache-2.0
#include "nn/unet2d_blocks.h"

#include <ATen/ATen.h>

#include <cmath>

#include "nn/dropout.h"

namespace plumb::nn {

Tensor upsample_nearest_2x(const Tensor& x) {
  return at::upsample_nearest2d(x, {x.size(2) * 2, x.size(3) * 2});
}

ResnetBlock::ResnetBlock(int64_t in, int64_t out, const BlockOptions& o, Resample resample, double output_scale)
    : norm1_(o.norm_groups, in, o.norm_eps),
      conv1_(in, out, 3, 1, 1),
      time_emb_proj_(o.temb_channels, o.scale_shift ? 2 * out : out),
      norm2_(o.norm_groups, out, o.norm_eps),
      conv2_(out, out, 3, 1, 1),
      resample_(resample),
      dropout_(o.dropout),
      output_scale_(output_scale),
      scale_shift_(o.scale_shift) {
  register_module("norm1", norm1_);
  register_module("conv1", conv1_);
  register_module("time_emb_proj", time_emb_proj_);
  register_module("norm2", norm2_);
  register_module("conv2", conv2_);
  if (in != out) {
    conv_shortcut_.emplace(in, out, 1);
    register_module("conv_shortcut", *conv_shortcut_);
  }
}

Tensor ResnetBlock::forward(const Tensor& input, const Tensor& silu_temb) {
  Tensor x = input;
  Tensor h = norm1_.forward_silu(x);
  if (resample_ == Resample::kUp) {
    x = upsample_nearest_2x(x);
    h = upsample_nearest_2x(h);
  } else if (resample_ == Resample::kDown) {
    x = at::avg_pool2d(x, 2, 2);
    h = at::avg_pool2d(h, 2, 2);
  }
  h = conv1_.forward(h);
  const Tensor temb = time_emb_proj_.forward(silu_temb).unsqueeze(-1).unsqueeze(-1);
  if (scale_shift_) {
    const std::vector<Tensor> parts = temb.chunk(2, 1);
    h = at::silu(norm2_.forward(h) * (1 + parts[0]) + parts[1]);
  } else {
    h = norm2_.forward_silu(h + temb);
  }
  if (dropout_ > 0 && is_training()) h = dropout(h, dropout_);
  h = conv2_.forward(h);
  if (conv_shortcut_) x = conv_shortcut_->forward(x);
  Tensor y = x + h;
  return output_scale_ == 1 ? y : y / output_scale_;
}

Attention::Attention(int64_t channels, int64_t head_dim, int64_t groups, double eps, double output_scale)
    : heads_(channels / head_dim),
      head_dim_(head_dim),
      to_q_(channels, heads_ * head_dim),
      to_k_(channels, heads_ * head_dim),
      to_v_(channels, heads_ * head_dim),
      to_out_(heads_ * head_dim, channels),
      output_scale_(output_scale) {
  if (groups > 0) {
    group_norm_.emplace(groups, channels, eps);
    register_module("group_norm", *group_norm_);
  }
  register_module("to_q", to_q_);
  register_module("to_k", to_k_);
  register_module("to_v", to_v_);
  register_module("to_out", to_out_);
}

Tensor Attention::forward(const Tensor& x) {
  const int64_t batch = x.size(0), channels = x.size(1), positions = x.size(2) * x.size(3);
  Tensor h = x.reshape({batch, channels, positions});
  if (group_norm_) h = group_norm_->forward(h);
  // [B,HW,C], contiguous: at::linear on a strided batch picks its kernel by whether weights need gradients, which would make
  // a frozen copy of a network differ from a trained one in the last bits.
  h = h.transpose(1, 2).contiguous();
  const auto heads = [&](const Tensor& y) { return y.view({batch, positions, heads_, head_dim_}).transpose(1, 2); };
  h = at::scaled_dot_product_attention(heads(to_q_.forward(h)), heads(to_k_.forward(h)), heads(to_v_.forward(h)));
  h = to_out_.forward(h.transpose(1, 2).reshape({batch, positions, heads_ * head_dim_}));
  Tensor y = h.transpose(1, 2).contiguous().view(x.sizes()) + x;
  return output_scale_ == 1 ? y : y / output_scale_;
}

Downsample::Downsample(int64_t channels, int64_t padding) : conv_(channels, channels, 3, 2, padding), padding_(padding) {
  register_module("conv", conv_);
}

Tensor Downsample::forward(const Tensor& x) { return conv_.forward(padding_ == 0 ? at::constant_pad_nd(x, {0, 1, 0, 1}) : x); }

TimestepEmbedding::TimestepEmbedding(int64_t in, int64_t dim) : linear_1_(in, dim), linear_2_(dim, dim) {
  register_module("linear_1", linear_1_);
  register_module("linear_2", linear_2_);
}

Tensor TimestepEmbedding::forward(const Tensor& x) { return linear_2_.forward(at::silu(linear_1_.forward(x))); }

namespace {

std::unique_ptr<Attention> block_attention(int64_t channels, const BlockOptions& o) {
  return std::make_unique<Attention>(channels, o.attention_head_dim > 0 ? o.attention_head_dim : channels, o.norm_groups, o.norm_eps);
}

}  // namespace

DownBlock::DownBlock(int64_t in, int64_t out, int64_t layers, bool attention, bool downsample, const BlockOptions& o) {
  for (int64_t i = 0; i < layers; ++i) {
    resnets_.add(std::make_unique<ResnetBlock>(i == 0 ? in : out, out, o));
    if (attention) attentions_.add(block_attention(out, o));
  }
  if (attention) register_module("attentions", attentions_);
  register_module("resnets", resnets_);
  if (!downsample) return;
  if (attention && o.resnet_downsample) {
    resnet_downsamplers_.add(std::make_unique<ResnetBlock>(out, out, o, Resample::kDown));
    register_module("downsamplers", resnet_downsamplers_);
  } else {
    downsamplers_.add(std::make_unique<Downsample>(out, o.downsample_padding));
    register_module("downsamplers", downsamplers_);
  }
}

Tensor DownBlock::forward(Tensor x, const Tensor& silu_temb, std::vector<Tensor>& skips) {
  for (size_t i = 0; i < resnets_.size(); ++i) {
    x = resnets_[i].forward(x, silu_temb);
    if (attentions_.size() > 0) x = attentions_[i].forward(x);
    skips.push_back(x);
  }
  if (downsamplers_.size() + resnet_downsamplers_.size() == 0) return x;
  x = downsamplers_.size() > 0 ? downsamplers_[0].forward(x) : resnet_downsamplers_[0].forward(x, silu_temb);
  skips.push_back(x);
  return x;
}

UpBlock::UpBlock(int64_t in, int64_t skip_out, int64_t out, int64_t layers, bool attention, bool upsample, const BlockOptions& o) {
  for (int64_t i = 0; i < layers; ++i) {
    const int64_t skip = i == layers - 1 ? skip_out : out;
    resnets_.add(std::make_unique<ResnetBlock>((i == 0 ? in : out) + skip, out, o));
    if (attention) attentions_.add(block_attention(out, o));
  }
  if (attention) register_module("attentions", attentions_);
  register_module("resnets", resnets_);
  if (!upsample) return;
  if (attention && o.resnet_upsample) {
    resnet_upsamplers_.add(std::make_unique<ResnetBlock>(out, out, o, Resample::kUp));
    register_module("upsamplers", resnet_upsamplers_);
  } else {
    upsamplers_.add(std::make_unique<Upsample>(out));
    register_module("upsamplers", upsamplers_);
  }
}

Tensor UpBlock::forward(Tensor x, const Tensor& silu_temb, std::vector<Tensor>& skips) {
  for (size_t i = 0; i < resnets_.size(); ++i) {
    x = resnets_[i].forward(at::cat({x, skips.back()}, 1), silu_temb);
    skips.pop_back();
    if (attentions_.size() > 0) x = attentions_[i].forward(x);
  }
  if (upsamplers_.size() > 0) return upsamplers_[0].forward(x);
  return resnet_upsamplers_.size() > 0 ? resnet_upsamplers_[0].forward(x, silu_temb) : x;
}

MidBlock::MidBlock(int64_t channels, bool attention, int64_t attention_groups, double output_scale, const BlockOptions& o) {
  for (int i = 0; i < 2; ++i) resnets_.add(std::make_unique<ResnetBlock>(channels, channels, o, Resample::kNone, output_scale));
  if (attention) {
    const int64_t head_dim = o.attention_head_dim > 0 ? o.attention_head_dim : channels;
    attentions_.add(std::make_unique<Attention>(channels, head_dim, attention_groups, o.norm_eps, output_scale));
    register_module("attentions", attentions_);
  }
  register_module("resnets", resnets_);
}

Tensor MidBlock::forward(const Tensor& x, const Tensor& silu_temb) {
  Tensor h = resnets_[0].forward(x, silu_temb);
  if (attentions_.size() > 0) h = attentions_[0].forward(h);
  return resnets_[1].forward(h, silu_temb);
}

}  // namespace plumb::nn
