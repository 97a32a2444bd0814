// Reading and checking UNet2D's configuration.   SPDX-License-Identifier: Apache-2.0
#include "core/text.h"
#include "nn/config_keys.h"
#include "nn/unet2d.h"

namespace plumb::nn {
namespace {

template <typename T>
io::Json or_null(const std::optional<T>& value) {
  return value ? io::Json(*value) : io::Json(nullptr);
}

void check(const UNet2DOptions& o, const ConfigKeys& keys) {
  keys.one_of("time_embedding_type", o.time_embedding_type, {"positional", "fourier", "learned"});
  keys.one_of("downsample_type", o.downsample_type, {"conv", "resnet"});
  keys.one_of("upsample_type", o.upsample_type, {"conv", "resnet"});
  keys.one_of("resnet_time_scale_shift", o.resnet_time_scale_shift, {"default", "scale_shift"});
  if (!o.class_embed_type.empty()) keys.one_of("class_embed_type", o.class_embed_type, {"timestep", "identity"});
  for (const std::string& type : o.down_block_types) keys.one_of("down_block_types", type, {"DownBlock2D", "AttnDownBlock2D"});
  for (const std::string& type : o.up_block_types) keys.one_of("up_block_types", type, {"UpBlock2D", "AttnUpBlock2D"});

  const size_t levels = o.block_out_channels.size();
  if (levels == 0) keys.refuse("block_out_channels", "is empty");
  if (o.down_block_types.size() != levels) keys.refuse("down_block_types", cat("needs one entry per block_out_channels, ", levels));
  if (o.up_block_types.size() != levels) keys.refuse("up_block_types", cat("needs one entry per block_out_channels, ", levels));
  keys.at_least("in_channels", static_cast<double>(o.in_channels), 1);
  keys.at_least("out_channels", static_cast<double>(o.out_channels), 1);
  keys.at_least("layers_per_block", static_cast<double>(o.layers_per_block), 1);
  keys.at_least("norm_num_groups", static_cast<double>(o.norm_num_groups), 1);
  keys.at_least("attention_head_dim", static_cast<double>(o.attention_head_dim.value_or(1)), 1);
  keys.at_least("num_class_embeds", static_cast<double>(o.num_class_embeds.value_or(1)), 1);
  keys.at_least("time_embedding_dim", static_cast<double>(o.time_embedding_dim.value_or(1)), 1);
  if (!(o.norm_eps > 0)) keys.refuse("norm_eps", "must be above 0");
  if (!(o.mid_block_scale_factor > 0)) keys.refuse("mid_block_scale_factor", "must be above 0");
  if (!(o.dropout >= 0 && o.dropout < 1)) keys.refuse("dropout", "must be from 0 up to, not including, 1");
  if (o.downsample_padding < 0 || o.downsample_padding > 1) keys.refuse("downsample_padding", "must be 0 or 1");
  for (const int64_t channels : o.block_out_channels) {
    if (channels < 1 || channels % o.norm_num_groups != 0) {
      keys.refuse("block_out_channels", cat(channels, " channels do not split into norm_num_groups = ", o.norm_num_groups));
    }
  }
  if (o.attn_norm_num_groups && (*o.attn_norm_num_groups < 1 || o.block_out_channels.back() % *o.attn_norm_num_groups != 0)) {
    keys.refuse("attn_norm_num_groups", "does not divide the last of block_out_channels");
  }
  for (size_t i = 0; i < levels; ++i) {
    const bool down = o.down_block_types[i] == "AttnDownBlock2D", up = o.up_block_types[levels - 1 - i] == "AttnUpBlock2D";
    const bool middle = i + 1 == levels && o.mid_block && o.add_attention;
    if ((down || up || middle) && o.attention_head_dim.value_or(1) > o.block_out_channels[i]) {
      keys.refuse("attention_head_dim", cat(*o.attention_head_dim, " is more than the block's ", o.block_out_channels[i], " channels"));
    }
  }
  const bool half_needed = o.time_embedding_type == "positional";
  if (half_needed && o.block_out_channels[0] < 4) keys.refuse("block_out_channels", "the first must be at least 4 (time embedding)");
  if (o.time_embedding_type == "learned" && !o.num_train_timesteps) keys.refuse("num_train_timesteps", "is needed by learned time embedding");
  if (!o.class_embed_type.empty() && o.num_class_embeds) keys.refuse("num_class_embeds", "has no meaning with class_embed_type " + o.class_embed_type);
  if (o.class_embed_type == "timestep" && o.time_embedding_type == "learned") {
    keys.refuse("class_embed_type", "timestep needs a positional or fourier time embedding");
  }
}

}  // namespace

UNet2DOptions UNet2DOptions::from_json(const io::Json& json, const std::string& where) {
  UNet2DOptions o;
  ConfigKeys keys(json, where);
  std::string mid_block_type = "UNetMidBlock2D", act_fn = "silu";
  if (json.is_object() && json.contains("sample_size") && json.at("sample_size").is_array()) {
    keys.refuse("sample_size", "a pair is not supported: give one number");
  }
  keys.read("sample_size", o.sample_size);
  keys.read("in_channels", o.in_channels);
  keys.read("out_channels", o.out_channels);
  keys.read("center_input_sample", o.center_input_sample);
  keys.read("time_embedding_type", o.time_embedding_type);
  keys.read("time_embedding_dim", o.time_embedding_dim);
  keys.read("freq_shift", o.freq_shift);
  keys.read("flip_sin_to_cos", o.flip_sin_to_cos);
  keys.read("down_block_types", o.down_block_types);
  keys.read("mid_block_type", mid_block_type);
  keys.read("up_block_types", o.up_block_types);
  keys.read("block_out_channels", o.block_out_channels);
  keys.read("layers_per_block", o.layers_per_block);
  keys.read("mid_block_scale_factor", o.mid_block_scale_factor);
  keys.read("downsample_padding", o.downsample_padding);
  keys.read("downsample_type", o.downsample_type);
  keys.read("upsample_type", o.upsample_type);
  keys.read("dropout", o.dropout);
  keys.read("act_fn", act_fn);
  keys.read("attention_head_dim", o.attention_head_dim);
  keys.read("norm_num_groups", o.norm_num_groups);
  keys.read("attn_norm_num_groups", o.attn_norm_num_groups);
  keys.read("norm_eps", o.norm_eps);
  keys.read("resnet_time_scale_shift", o.resnet_time_scale_shift);
  keys.read("add_attention", o.add_attention);
  keys.read("class_embed_type", o.class_embed_type);
  keys.read("num_class_embeds", o.num_class_embeds);
  keys.read("num_train_timesteps", o.num_train_timesteps);
  keys.done();
  keys.one_of("mid_block_type", mid_block_type, {"UNetMidBlock2D"});
  keys.one_of("act_fn", act_fn, {"silu", "swish"});
  o.mid_block = !keys.is_null("mid_block_type");
  check(o, keys);
  return o;
}

io::Json UNet2DOptions::to_json() const {
  return io::Json{{"sample_size", or_null(sample_size)},
                  {"in_channels", in_channels},
                  {"out_channels", out_channels},
                  {"center_input_sample", center_input_sample},
                  {"time_embedding_type", time_embedding_type},
                  {"time_embedding_dim", or_null(time_embedding_dim)},
                  {"freq_shift", freq_shift},
                  {"flip_sin_to_cos", flip_sin_to_cos},
                  {"down_block_types", down_block_types},
                  {"mid_block_type", mid_block ? io::Json("UNetMidBlock2D") : io::Json(nullptr)},
                  {"up_block_types", up_block_types},
                  {"block_out_channels", block_out_channels},
                  {"layers_per_block", layers_per_block},
                  {"mid_block_scale_factor", mid_block_scale_factor},
                  {"downsample_padding", downsample_padding},
                  {"downsample_type", downsample_type},
                  {"upsample_type", upsample_type},
                  {"dropout", dropout},
                  {"act_fn", "silu"},
                  {"attention_head_dim", or_null(attention_head_dim)},
                  {"norm_num_groups", norm_num_groups},
                  {"attn_norm_num_groups", or_null(attn_norm_num_groups)},
                  {"norm_eps", norm_eps},
                  {"resnet_time_scale_shift", resnet_time_scale_shift},
                  {"add_attention", add_attention},
                  {"class_embed_type", class_embed_type.empty() ? io::Json(nullptr) : io::Json(class_embed_type)},
                  {"num_class_embeds", or_null(num_class_embeds)},
                  {"num_train_timesteps", or_null(num_train_timesteps)}};
}

}  // namespace plumb::nn
