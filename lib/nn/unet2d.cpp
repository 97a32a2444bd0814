// SPDX-License-Identifier: Apache-2.0
#include "nn/unet2d.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"

namespace plumb::nn {
namespace {

constexpr double kFourierScale = 16;      // Song et al. 2021 (score SDE), appendix C

}  // namespace

UNet2D::UNet2D(const UNet2DOptions& options, int64_t patch, bool null_class, bool value)
    : options_(options), patch_(patch), null_class_(null_class), conv_in_(options.in_channels, options.block_out_channels[0], 3, 1, 1) {
  const UNet2DOptions& o = options_;
  const std::vector<int64_t>& channels = o.block_out_channels;
  const size_t levels = channels.size();
  const int64_t temb = o.time_embedding_dim.value_or(4 * channels[0]);
  const int64_t time_dim = o.time_embedding_type == "fourier" ? 2 * channels[0] : channels[0];

  register_module("conv_in", conv_in_);
  if (o.time_embedding_type == "fourier") {
    fourier_ = std::make_unique<FourierProjection>(channels[0], kFourierScale);
    register_module("time_proj", *fourier_);
  } else if (o.time_embedding_type == "learned") {
    learned_time_ = std::make_unique<Embedding>(*o.num_train_timesteps, channels[0]);
    register_module("time_proj", *learned_time_);
  } else {
    frequencies_ = positional_frequencies(channels[0], o.freq_shift);
  }
  time_embedding_ = std::make_unique<TimestepEmbedding>(time_dim, temb);
  register_module("time_embedding", *time_embedding_);
  if (o.class_embed_type == "timestep") {
    class_time_embedding_ = std::make_unique<TimestepEmbedding>(time_dim, temb);
    register_module("class_embedding", *class_time_embedding_);
  } else if (o.num_class_embeds) {
    class_table_ = std::make_unique<Embedding>(*o.num_class_embeds, temb);
    register_module("class_embedding", *class_table_);
  }

  BlockOptions block;
  block.temb_channels = temb;
  block.norm_groups = o.norm_num_groups;
  block.norm_eps = o.norm_eps;
  block.dropout = o.dropout;
  block.scale_shift = o.resnet_time_scale_shift == "scale_shift";
  block.attention_head_dim = o.attention_head_dim.value_or(0);
  block.downsample_padding = o.downsample_padding;
  block.resnet_downsample = o.downsample_type == "resnet";
  block.resnet_upsample = o.upsample_type == "resnet";

  for (size_t i = 0; i < levels; ++i) {
    down_blocks_.add(std::make_unique<DownBlock>(channels[i == 0 ? 0 : i - 1], channels[i], o.layers_per_block,
                                                 o.down_block_types[i] == "AttnDownBlock2D", i + 1 < levels, block));
  }
  for (size_t i = 0; i < levels; ++i) {
    const size_t level = levels - 1 - i;
    up_blocks_.add(std::make_unique<UpBlock>(channels[i == 0 ? level : level + 1], channels[level > 0 ? level - 1 : 0], channels[level],
                                             o.layers_per_block + 1, o.up_block_types[i] == "AttnUpBlock2D", i + 1 < levels, block));
  }
  register_module("down_blocks", down_blocks_);
  register_module("up_blocks", up_blocks_);
  if (o.mid_block) {
    const int64_t groups = o.attn_norm_num_groups.value_or(block.scale_shift ? 0 : o.norm_num_groups);
    mid_block_ = std::make_unique<MidBlock>(channels.back(), o.add_attention, groups, o.mid_block_scale_factor, block);
    register_module("mid_block", *mid_block_);
  }
  conv_norm_out_ = std::make_unique<GroupNorm>(o.norm_num_groups, channels[0], o.norm_eps);
  conv_out_ = std::make_unique<Conv2d>(channels[0], o.out_channels, 3, 1, 1);
  register_module("conv_norm_out", *conv_norm_out_);
  register_module("conv_out", *conv_out_);
  if (value) {   // last, so that the other weights are drawn as without it
    value_embedding_ = std::make_unique<ValueEmbedding>(temb);
    register_module("value_embedding", *value_embedding_);
  }
}

int64_t UNet2D::num_classes() const {
  return options_.num_class_embeds ? *options_.num_class_embeds - (null_class_ ? 1 : 0) : 0;
}

io::Json UNet2D::config() const {
  io::Json json{{"type", "unet2d"}};
  if (patch_ != 1) json["patch"] = patch_;
  if (options_.num_class_embeds && !null_class_) json["null_class"] = false;
  if (value_embedding_) json["value"] = true;
  json["config"] = options_.to_json();
  return json;
}

Tensor UNet2D::project_time(const Tensor& t) {
  if (fourier_) return fourier_->forward(at::log(t));
  if (frequencies_.device() != t.device()) frequencies_ = frequencies_.to(t.device());
  const Tensor angle = t.unsqueeze(1) * frequencies_.unsqueeze(0);
  const Tensor sine = at::sin(angle), cosine = at::cos(angle);
  const Tensor wave = options_.flip_sin_to_cos ? at::cat({cosine, sine}, 1) : at::cat({sine, cosine}, 1);
  return options_.block_out_channels[0] % 2 == 0 ? wave : at::constant_pad_nd(wave, {0, 1});
}

Tensor UNet2D::embed_label(Tensor label, int64_t batch) {
  const bool wanted = class_table_ || class_time_embedding_ || options_.class_embed_type == "identity";
  if (!wanted) {
    if (!label.defined()) return {};
    throw Error(Exit::kBadInput, "label", "the model is unconditional: it has no classes");
  }
  if (!label.defined()) {
    if (!class_table_ || !null_class_) throw Error(Exit::kBadInput, "label", "the model needs a class for each item");
    label = at::full({batch}, *options_.num_class_embeds - 1, at::TensorOptions(at::kLong).device(conv_in_.weight().device()));
  }
  if (label.dim() < 1 || label.size(0) != batch) {
    throw Error(Exit::kBadInput, "label", cat("is ", shape_text(label.sizes().vec()), " for a batch of ", batch));
  }
  const at::ScalarType type = conv_in_.weight().scalar_type();
  if (class_table_) return class_table_->forward(label);
  if (class_time_embedding_) return class_time_embedding_->forward(project_time(label.to(at::kFloat)).to(type));
  return label.to(type);
}

Tensor UNet2D::embed(const Tensor& timestep, const Condition& condition, int64_t batch) {
  if (timestep.dim() > 1 || (timestep.numel() != batch && timestep.numel() != 1)) {
    throw Error(Exit::kBadInput, "timestep", cat("is ", shape_text(timestep.sizes().vec()), " for a batch of ", batch));
  }
  const at::Device device = conv_in_.weight().device();
  const Tensor t = timestep.to(device).reshape({-1}).expand({batch});
  const Tensor wave = learned_time_ ? learned_time_->forward(t.to(at::kLong)) : project_time(t.to(at::kFloat));
  Tensor temb = time_embedding_->forward(wave.to(conv_in_.weight().scalar_type()));
  const Tensor classes = embed_label(condition.label.defined() ? condition.label.to(device) : condition.label, batch);
  if (classes.defined()) temb = temb + classes;
  const Tensor value = value_of_items(condition, takes_value(), batch, device);
  return value_embedding_ ? temb + value_embedding_->forward(value) : temb;
}

void UNet2D::check_input(const Tensor& x) const {
  const int64_t multiple = patch_ << (options_.block_out_channels.size() - 1);
  const bool fits = x.dim() == 4 && x.size(1) * patch_ * patch_ == options_.in_channels && x.size(2) % multiple == 0 &&
                    x.size(3) % multiple == 0 && x.size(2) > 0 && x.size(3) > 0;
  if (fits) return;
  throw Error(Exit::kBadInput, "x_t", cat("is ", shape_text(x.sizes().vec()), ", the network takes [B,",
                                          options_.in_channels / (patch_ * patch_), ",H,W] with H and W multiples of ", multiple));
}

Tensor UNet2D::forward(const Tensor& x_t, const Tensor& timestep, const Condition& condition) {
  check_input(x_t);
  Tensor x = options_.center_input_sample ? 2 * x_t - 1.0 : x_t;
  if (patch_ > 1) x = at::pixel_unshuffle(x, patch_);
  const Tensor temb = at::silu(embed(timestep, condition, x.size(0)));   // each block's projection is of its silu

  x = conv_in_.forward(x);
  std::vector<Tensor> skips{x};
  for (size_t i = 0; i < down_blocks_.size(); ++i) x = down_blocks_[i].forward(x, temb, skips);
  if (mid_block_) x = mid_block_->forward(x, temb);
  for (size_t i = 0; i < up_blocks_.size(); ++i) x = up_blocks_[i].forward(x, temb, skips);
  x = conv_out_->forward(conv_norm_out_->forward_silu(x));

  if (patch_ > 1) x = at::pixel_shuffle(x, patch_);
  if (fourier_) x = x / timestep.to(x.device(), x.scalar_type()).reshape({-1, 1, 1, 1});
  return x.to(x_t.scalar_type());
}

}  // namespace plumb::nn
