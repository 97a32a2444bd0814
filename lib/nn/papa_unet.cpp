// SPDX-License-Identifier: Apache-2.0
#include "nn/papa_unet.h"

#include <cmath>
#include <utility>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "nn/config_keys.h"
#include "nn/denoiser_inputs.h"
#include "nn/init.h"

namespace plumb::nn {
namespace {

constexpr int64_t kGroups = 8;        // of every group norm
constexpr int64_t kLastWidth = 16;    // of the last up block
constexpr double kMaxPeriod = 10000;

void check(const PapaUNetOptions& o, const ConfigKeys& keys) {
  keys.size("im_channels", o.im_channels);
  keys.size("sample_size", o.sample_size.value_or(1));
  keys.sizes("down_channels", o.down_channels);
  keys.sizes("mid_channels", o.mid_channels);
  keys.size("time_emb_dim", o.time_emb_dim);
  keys.size("num_heads", o.num_heads);
  keys.size("num_down_layers", o.num_down_layers);
  keys.size("num_mid_layers", o.num_mid_layers);
  keys.size("num_up_layers", o.num_up_layers);
  const size_t levels = o.down_channels.size();
  if (levels < 2) keys.refuse("down_channels", "needs two or more");
  if (o.down_sample.size() != levels - 1) keys.refuse("down_sample", cat("needs one entry fewer than down_channels, ", levels - 1));
  if (o.mid_channels.size() < 2) keys.refuse("mid_channels", "needs two or more");
  if (o.mid_channels.front() != o.down_channels.back()) keys.refuse("mid_channels", "does not begin with the last of down_channels");
  if (o.mid_channels.back() != o.down_channels[levels - 2]) keys.refuse("mid_channels", "does not end with the last but one of down_channels");
  if (o.time_emb_dim % 2 != 0) keys.refuse("time_emb_dim", cat(o.time_emb_dim, " is odd"));
  if (kLastWidth % o.num_heads != 0) keys.refuse("num_heads", cat(o.num_heads, " does not divide ", kLastWidth, ", the last width"));
  for (const auto& [key, widths] : {std::pair{"down_channels", &o.down_channels}, std::pair{"mid_channels", &o.mid_channels}}) {
    for (const int64_t width : *widths) {
      if (width % kGroups != 0 || width % o.num_heads != 0) {
        keys.refuse(key, cat(width, " channels do not split into ", kGroups, " groups and num_heads = ", o.num_heads));
      }
    }
  }
}

}  // namespace

PapaUNetOptions PapaUNetOptions::from_json(const io::Json& json, const std::string& where) {
  PapaUNetOptions o;
  ConfigKeys keys(json, where);
  if (json.contains("num_class_embeds")) keys.refuse("num_class_embeds", "a papa-unet is unconditional, it has no classes: leave it out");
  keys.read("sample_size", o.sample_size);
  keys.read("im_channels", o.im_channels);
  keys.read("down_channels", o.down_channels);
  keys.read("mid_channels", o.mid_channels);
  keys.read("down_sample", o.down_sample);
  keys.read("time_emb_dim", o.time_emb_dim);
  keys.read("num_heads", o.num_heads);
  keys.read("num_down_layers", o.num_down_layers);
  keys.read("num_mid_layers", o.num_mid_layers);
  keys.read("num_up_layers", o.num_up_layers);
  keys.done();
  check(o, keys);
  return o;
}

io::Json PapaUNetOptions::to_json() const {
  return {{"sample_size", sample_size ? io::Json(*sample_size) : io::Json(nullptr)},
          {"im_channels", im_channels},
          {"down_channels", down_channels},
          {"mid_channels", mid_channels},
          {"down_sample", down_sample},
          {"time_emb_dim", time_emb_dim},
          {"num_heads", num_heads},
          {"num_down_layers", num_down_layers},
          {"num_mid_layers", num_mid_layers},
          {"num_up_layers", num_up_layers}};
}

int64_t papa_multiple(const PapaUNetOptions& options) {
  int64_t multiple = 1;
  for (const bool halves : options.down_sample) multiple *= halves ? 2 : 1;
  return multiple;
}

Tensor papa_time_embedding(const Tensor& t, int64_t dim) {
  const int64_t half = dim / 2;
  const auto options = at::TensorOptions(at::kDouble).device(t.device());
  const Tensor period = at::pow(kMaxPeriod, at::arange(half, options) / static_cast<double>(half));
  const Tensor angle = t.to(at::kDouble).unsqueeze(1) / period.unsqueeze(0);
  return at::cat({at::sin(angle), at::cos(angle)}, 1);
}

PackedAttention::PackedAttention(int64_t channels, int64_t heads)
    : heads_(heads), in_proj_weight_(at::zeros({3 * channels, channels})), in_proj_bias_(at::zeros({3 * channels})), out_proj_(channels) {
  register_parameter("in_proj_weight", in_proj_weight_);
  register_parameter("in_proj_bias", in_proj_bias_);
  register_module("out_proj", out_proj_);
}

Tensor PackedAttention::forward(const Tensor& x) {
  const int64_t batch = x.size(0), tokens = x.size(1), channels = x.size(2);
  Tensor packed = at::linear(x, in_proj_weight_, in_proj_bias_);
  if (lora_active()) packed = packed + at::linear(at::linear(x, lora_a_) * lora_factor(), lora_b_);
  const std::vector<Tensor> qkv = packed.view({batch, tokens, 3, heads_, channels / heads_}).permute({2, 0, 3, 1, 4}).unbind(0);
  const Tensor h = at::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2]);   // scale 1 / sqrt(channels / heads)
  return out_proj_.forward(h.transpose(1, 2).reshape({batch, tokens, channels}));
}

void PackedAttention::reset_parameters(WeightInit& init) {
  const auto channels = static_cast<double>(in_proj_weight_.size(1));
  init.uniform(in_proj_weight_, std::sqrt(6 / (channels + 3 * channels)));
  init.constant(in_proj_bias_, 0);
}

void PackedAttention::Output::reset_parameters(WeightInit& init) {
  Tensor none;
  init.fan_in_uniform(weight(), none);
  init.constant(bias(), 0);
}

ConvTranspose2d::ConvTranspose2d(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding)
    : weight_(at::zeros({in, out, kernel, kernel})), bias_(at::zeros({out})), stride_(stride), padding_(padding) {
  register_parameter("weight", weight_);
  register_parameter("bias", bias_);
}

Tensor ConvTranspose2d::forward(const Tensor& x) { return at::conv_transpose2d(x, weight_, bias_, stride_, padding_); }
void ConvTranspose2d::reset_parameters(WeightInit& init) { init.fan_in_uniform(weight_, bias_); }   // torch too counts out * k * k

NormConv::NormConv(int64_t in, int64_t out) : norm_(kGroups, in), conv_(in, out, 3, 1, 1) {
  register_module("0", norm_);
  register_module("2", conv_);
}

PapaBlock::PapaBlock(int64_t in, int64_t out, int64_t layers, int64_t attentions, Resample resample, const PapaUNetOptions& options) {
  for (int64_t i = 0; i < layers; ++i) {
    first_.add(std::make_unique<NormConv>(i == 0 ? in : out, out));
    times_.add(std::make_unique<TimeLayer>(options.time_emb_dim, out));
    second_.add(std::make_unique<NormConv>(out, out));
    shortcuts_.add(std::make_unique<Conv2d>(i == 0 ? in : out, out, 1));
  }
  for (int64_t i = 0; i < attentions; ++i) {
    norms_.add(std::make_unique<GroupNorm>(kGroups, out));
    attentions_.add(std::make_unique<PackedAttention>(out, options.num_heads));
  }
  register_module("resnet_conv_first", first_);
  register_module("t_emb_layers", times_);
  register_module("resnet_conv_second", second_);
  register_module("attention_norms", norms_);
  register_module("attentions", attentions_);
  register_module("residual_input_conv", shortcuts_);
  if (resample == Resample::kDown) {
    down_ = std::make_unique<Conv2d>(out, out, 4, 2, 1);
    register_module("down_sample_conv", *down_);
  } else if (resample == Resample::kUp) {   // before the skip is joined on: half of the channels
    up_ = std::make_unique<ConvTranspose2d>(in / 2, in / 2, 4, 2, 1);
    register_module("up_sample_conv", *up_);
  }
}

Tensor PapaBlock::residual(size_t i, const Tensor& x, const Tensor& silu_temb) {
  const Tensor h = first_[i].forward(x) + times_[i].forward(silu_temb).unsqueeze(-1).unsqueeze(-1);
  return second_[i].forward(h) + shortcuts_[i].forward(x);
}

Tensor PapaBlock::attend(size_t i, const Tensor& x) {
  const Tensor tokens = norms_[i].forward(x.flatten(2)).transpose(1, 2).contiguous();   // [B,HW,C]
  return attentions_[i].forward(tokens).transpose(1, 2).contiguous().view(x.sizes()) + x;
}

Tensor PapaBlock::forward(Tensor x, const Tensor& silu_temb) {
  for (size_t i = 0; i < first_.size(); ++i) {
    x = residual(i, x, silu_temb);
    if (i < attentions_.size()) x = attend(i, x);
  }
  return x;
}

Tensor PapaBlock::resample(const Tensor& x) { return down_ ? down_->forward(x) : up_ ? up_->forward(x) : x; }

PapaTimeProjection::PapaTimeProjection(int64_t dim) : first_(dim, dim), second_(dim, dim) {
  register_module("0", first_);
  register_module("2", second_);
}

Tensor PapaTimeProjection::forward(const Tensor& x) { return second_.forward(at::silu(first_.forward(x))); }

PapaUNet::PapaUNet(const PapaUNetOptions& options)
    : options_(options), t_proj_(options.time_emb_dim), conv_in_(options.im_channels, options.down_channels[0], 3, 1, 1),
      norm_out_(kGroups, kLastWidth), conv_out_(kLastWidth, options.im_channels, 3, 1, 1) {
  using Resample = PapaBlock::Resample;
  const std::vector<int64_t>&down = options.down_channels, &mid = options.mid_channels;
  for (size_t i = 0; i + 1 < down.size(); ++i) {
    downs_.add(std::make_unique<PapaBlock>(down[i], down[i + 1], options.num_down_layers, options.num_down_layers,
                                           options.down_sample[i] ? Resample::kDown : Resample::kNone, options));
  }
  for (size_t i = 0; i + 1 < mid.size(); ++i) {
    mids_.add(std::make_unique<PapaBlock>(mid[i], mid[i + 1], options.num_mid_layers + 1, options.num_mid_layers, Resample::kNone, options));
  }
  for (size_t i = down.size() - 1; i-- > 0;) {
    ups_.add(std::make_unique<PapaBlock>(2 * down[i], i > 0 ? down[i - 1] : kLastWidth, options.num_up_layers, options.num_up_layers,
                                         options.down_sample[i] ? Resample::kUp : Resample::kNone, options));
  }
  register_module("t_proj", t_proj_);
  register_module("conv_in", conv_in_);
  register_module("downs", downs_);
  register_module("mids", mids_);
  register_module("ups", ups_);
  register_module("norm_out", norm_out_);
  register_module("conv_out", conv_out_);
}

Tensor PapaUNet::forward(const Tensor& x_t, const Tensor& timestep, const Condition& condition) {
  const int64_t multiple = papa_multiple(options_);
  if (x_t.dim() != 4 || x_t.size(1) != options_.im_channels || x_t.size(2) % multiple != 0 || x_t.size(3) % multiple != 0 || x_t.size(2) * x_t.size(3) == 0) {
    throw Error(Exit::kBadInput, "x_t", cat("is ", shape_text(x_t.sizes().vec()), ", the network takes [B,", options_.im_channels,
                                            ",H,W] with H and W multiples of ", multiple));
  }
  class_of_items(condition, 0, x_t.size(0), x_t.device());           // both refuse what is given
  value_of_items(condition, false, x_t.size(0), x_t.device());
  if (timestep.dim() > 1 || (timestep.numel() != x_t.size(0) && timestep.numel() != 1)) {
    throw Error(Exit::kBadInput, "timestep", cat("is ", shape_text(timestep.sizes().vec()), " for a batch of ", x_t.size(0)));
  }
  const Tensor t = timestep.to(x_t.device()).reshape({-1}).expand({x_t.size(0)});
  const Tensor wave = papa_time_embedding(t, options_.time_emb_dim).to(conv_in_.weight().scalar_type());
  const Tensor temb = at::silu(t_proj_.forward(wave));   // each layer's projection is of its silu

  Tensor x = conv_in_.forward(x_t);
  std::vector<Tensor> skips;
  for (size_t i = 0; i < downs_.size(); ++i) {
    skips.push_back(x);
    x = downs_[i].resample(downs_[i].forward(x, temb));
  }
  for (size_t i = 0; i < mids_.size(); ++i) x = mids_[i].forward(x, temb);
  for (size_t i = 0; i < ups_.size(); ++i) {
    x = ups_[i].forward(at::cat({ups_[i].resample(x), skips.back()}, 1), temb);
    skips.pop_back();
  }
  return conv_out_.forward(norm_out_.forward_silu(x)).to(x_t.scalar_type());
}

}  // namespace plumb::nn
