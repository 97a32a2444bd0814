// The UNet of image diffusion models; options, defaults and parameter names are diffusers' UNet2DModel's, so that its checkpoints
// load and ours export.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/denoiser_inputs.h"
#include "nn/unet2d_blocks.h"

namespace plumb::nn {

/// The keys of UNet2DModel's config.json, with its defaults. null means absent, except where said.
struct UNet2DOptions {
  std::optional<int64_t> sample_size;
  int64_t in_channels = 3, out_channels = 3;
  bool center_input_sample = false;                   ///< x <- 2x - 1 first
  std::string time_embedding_type = "positional";     ///< positional, fourier, learned
  std::optional<int64_t> time_embedding_dim;          ///< default: 4 * block_out_channels[0]
  double freq_shift = 0;
  bool flip_sin_to_cos = true;
  std::vector<std::string> down_block_types{"DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"};
  std::vector<std::string> up_block_types{"AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"};
  std::vector<int64_t> block_out_channels{224, 448, 672, 896};
  int64_t layers_per_block = 2;
  double mid_block_scale_factor = 1;
  bool mid_block = true;                              ///< mid_block_type: "UNetMidBlock2D" or null
  int64_t downsample_padding = 1;
  std::string downsample_type = "conv", upsample_type = "conv";   ///< conv, resnet
  double dropout = 0;
  std::optional<int64_t> attention_head_dim = 8;      ///< null: one head
  int64_t norm_num_groups = 32;
  std::optional<int64_t> attn_norm_num_groups;        ///< of the middle attention; null: norm_num_groups, or none with scale_shift
  double norm_eps = 1e-5;
  std::string resnet_time_scale_shift = "default";    ///< default, scale_shift
  bool add_attention = true;                          ///< attention in the middle block
  std::string class_embed_type;                       ///< "" (a table if num_class_embeds is set), timestep, identity
  std::optional<int64_t> num_class_embeds;
  std::optional<int64_t> num_train_timesteps;         ///< of the learned time embedding

  /// Throws Error(kUsage) naming an unknown key, a value that is not known, or numbers that do not go together.
  static UNet2DOptions from_json(const io::Json& json, const std::string& where);
  io::Json to_json() const;   ///< all keys
};

/// Config form: {"type":"unet2d","patch":f,"null_class":true,"value":false,"config":{UNet2DOptions}}. patch folds f x f pixels into channels
/// before the network and back after it (in_channels and out_channels count folded channels). null_class: the last row of the
/// class table is "no class" (models trained here); false for imported tables without one. value: conditioned on a value, whose
/// embedding is added to the time embedding.
class UNet2D : public Denoiser {
 public:
  explicit UNet2D(const UNet2DOptions& options, int64_t patch = 1, bool null_class = true, bool value = false);
  Tensor forward(const Tensor& x_t, const Tensor& timestep, const Condition& condition) override;
  int64_t num_classes() const override;
  bool takes_value() const override { return value_embedding_ != nullptr; }
  io::Json config() const override;

 private:
  Tensor embed(const Tensor& timestep, const Condition& condition, int64_t batch);
  Tensor embed_label(Tensor label, int64_t batch);
  Tensor project_time(const Tensor& timestep);   // [B] -> [B,timestep_input_dim]
  void check_input(const Tensor& x_t) const;

  UNet2DOptions options_;
  int64_t patch_;
  bool null_class_;
  Conv2d conv_in_;
  std::unique_ptr<FourierProjection> fourier_;   // of log t: "time_proj.weight"
  std::unique_ptr<Embedding> learned_time_;
  Tensor frequencies_;    // of the positional embedding, [block_out_channels[0] / 2] float32
  std::unique_ptr<TimestepEmbedding> time_embedding_;
  std::unique_ptr<Embedding> class_table_;
  std::unique_ptr<TimestepEmbedding> class_time_embedding_;
  ModuleList<DownBlock> down_blocks_;
  ModuleList<UpBlock> up_blocks_;
  std::unique_ptr<MidBlock> mid_block_;
  std::unique_ptr<GroupNorm> conv_norm_out_;
  std::unique_ptr<Conv2d> conv_out_;
  std::unique_ptr<ValueEmbedding> value_embedding_;
};

}  // namespace plumb::nn
