// SPDX-License-Identifier: Apache-2.0
#include "nn/conv1d_denoiser.h"

#include <ATen/ATen.h>

#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "nn/config_keys.h"
#include "nn/init.h"

namespace plumb::nn {

io::Json Conv1dOptions::to_json() const {
  io::Json json{{"channels", channels}, {"width", width}, {"kernel", kernel}, {"dilations", dilations}, {"embedding_dim", embedding_dim},
                {"num_classes", num_classes}, {"num_train_timesteps", num_train_timesteps}, {"fourier_scale", fourier_scale}};
  if (value) json["value"] = true;
  if (!output_scale.empty()) json["output_scale"] = output_scale;
  if (subtract_mean) json["subtract_mean"] = true;
  if (out_channels > 0) json["out_channels"] = out_channels;
  if (norm != "group") json["norm"] = norm;
  if (activation != "silu") json["activation"] = activation;
  if (!use_time) json["use_time"] = false;
  return json;
}

Conv1dOptions Conv1dOptions::from_json(const io::Json& json, const std::string& where) {
  Conv1dOptions o;
  ConfigKeys keys(json, where);
  keys.read("channels", o.channels);
  keys.read("width", o.width);
  keys.read("kernel", o.kernel);
  keys.read("dilations", o.dilations);
  keys.read("embedding_dim", o.embedding_dim);
  keys.read("num_classes", o.num_classes);
  keys.read("num_train_timesteps", o.num_train_timesteps);
  keys.read("value", o.value);
  keys.read("fourier_scale", o.fourier_scale);
  keys.read("output_scale", o.output_scale);
  keys.read("subtract_mean", o.subtract_mean);
  keys.read("out_channels", o.out_channels);
  keys.read("norm", o.norm);
  keys.read("activation", o.activation);
  keys.read("use_time", o.use_time);
  keys.done();
  keys.size("channels", o.channels);
  if (o.out_channels != 0) keys.size("out_channels", o.out_channels);
  keys.one_of("norm", o.norm, {"group", "layer"});
  keys.one_of("activation", o.activation, {"silu", "relu"});
  keys.size("width", o.width);
  keys.size("kernel", o.kernel);
  keys.sizes("dilations", o.dilations);
  keys.size("embedding_dim", o.embedding_dim);
  keys.at_least("num_classes", static_cast<double>(o.num_classes), 0);
  keys.at_least("num_train_timesteps", static_cast<double>(o.num_train_timesteps), 1);
  if (o.kernel % 2 == 0) keys.refuse("kernel", cat(o.kernel, " is even, so the length would change"));
  if (o.embedding_dim % 2 != 0) keys.refuse("embedding_dim", cat(o.embedding_dim, " is odd: it is sines and cosines by halves"));
  if (!(o.fourier_scale > 0)) keys.refuse("fourier_scale", "must be above 0");
  for (size_t i = 0; i < o.output_scale.size(); ++i) {
    const auto& [t, scale] = o.output_scale[i];
    if (!std::isfinite(t) || !std::isfinite(scale)) keys.refuse("output_scale", "holds a number that is not finite");
    if (i > 0 && !(t > o.output_scale[i - 1].first)) keys.refuse("output_scale", "its times do not ascend");
  }
  return o;
}

ChannelNorm::ChannelNorm(int64_t channels) : weight_(at::ones({channels})), bias_(at::zeros({channels})) {
  register_parameter("weight", weight_);
  register_parameter("bias", bias_);
}

void ChannelNorm::reset_parameters(WeightInit& init) {
  init.constant(weight_, 1.0);
  init.constant(bias_, 0.0);
}

Tensor ChannelNorm::forward(const Tensor& x) const {
  return at::layer_norm(x.transpose(1, 2), {x.size(1)}, weight_, bias_).transpose(1, 2);
}

Conv1dBlock::Conv1dBlock(const Conv1dOptions& o, int64_t dilation)
    : relu_(o.activation == "relu"), conv_(o.width, o.width, o.kernel, Conv1d::same_padding(o.kernel, dilation), dilation),
      time_proj_(o.embedding_dim, o.width) {
  if (o.norm == "layer") channel_norm_ = std::make_unique<ChannelNorm>(o.width);
  else group_norm_ = std::make_unique<GroupNorm>(1, o.width);
  register_module("norm", channel_norm_ ? static_cast<Module&>(*channel_norm_) : *group_norm_);
  register_module("conv", conv_);
  register_module("time_proj", time_proj_);
  if (o.num_classes > 0) {
    class_proj_ = std::make_unique<Linear>(o.embedding_dim, o.width);
    register_module("class_proj", *class_proj_);
  }
}

Tensor Conv1dBlock::forward(const Tensor& out, const Tensor& time, const Tensor& of_class) {
  Tensor shift = time_proj_.forward(time);
  if (class_proj_) shift = shift + class_proj_->forward(of_class);
  const Tensor shifted = out + shift.unsqueeze(2);
  const Tensor change = conv_.forward(channel_norm_ ? channel_norm_->forward(shifted) : group_norm_->forward(shifted));
  return out + (relu_ ? at::relu(change) : at::silu(change));
}

Conv1dDenoiser::Conv1dDenoiser(const Conv1dOptions& options)
    : options_(options), time_proj_(options.embedding_dim / 2, options.fourier_scale),
      time_embedding_(options.embedding_dim, options.embedding_dim),
      conv_in_(options.channels, options.width, options.kernel, Conv1d::same_padding(options.kernel)),
      head_(options.width, options.width, 1), conv_out_(options.width, options.out_channels > 0 ? options.out_channels : options.channels, 1) {
  register_module("time_proj", time_proj_);
  register_module("time_embedding", time_embedding_);
  if (options_.num_classes > 0) {
    class_embedding_ = std::make_unique<Embedding>(options_.num_classes + 1, options_.embedding_dim);
    register_module("class_embedding", *class_embedding_);
  }
  register_module("conv_in", conv_in_);
  for (const int64_t dilation : options_.dilations) blocks_.add(std::make_unique<Conv1dBlock>(options_, dilation));
  register_module("blocks", blocks_);
  register_module("head", head_);
  register_module("conv_out", conv_out_);
  if (options_.value) {
    value_embedding_ = std::make_unique<ValueEmbedding>(options_.embedding_dim);
    register_module("value_embedding", *value_embedding_);
  }
  if (options_.output_scale.empty()) return;
  std::vector<float> times, values;
  for (const auto& [t, scale] : options_.output_scale) {
    times.push_back(static_cast<float>(t));
    values.push_back(static_cast<float>(scale));
  }
  scale_times_ = at::tensor(times, at::kFloat);
  scale_values_ = at::tensor(values, at::kFloat);
}

Tensor Conv1dDenoiser::output_scale(const Tensor& t) const {
  const Tensor times = scale_times_.to(t.device()), values = scale_values_.to(t.device());
  const int64_t last = times.size(0) - 1;
  const Tensor right = at::searchsorted(times, t.contiguous()).clamp(0, last), left = (right - 1).clamp_min(0);
  const Tensor from = times.index_select(0, left), to = times.index_select(0, right);
  const Tensor share = ((t - from) / (to - from).clamp_min(1e-30)).clamp(0, 1);   // left == right: at or before the first time
  return at::lerp(values.index_select(0, left), values.index_select(0, right), share).view({-1, 1, 1});
}

Tensor Conv1dDenoiser::forward(const Tensor& x_t, const Tensor& timestep, const Condition& condition) {
  if (x_t.dim() != 3 || x_t.size(1) != options_.channels) {
    throw Error(Exit::kBadInput, "x_t", cat("is ", shape_text(x_t.sizes().vec()), ", the network takes [B,", options_.channels, ",L]"));
  }
  const int64_t batch = x_t.size(0);
  const at::Device device = conv_in_.weight().device();
  const at::ScalarType type = conv_in_.weight().scalar_type();
  const bool relu = options_.activation == "relu";
  const auto activate = [relu](const Tensor& x) { return relu ? at::relu(x) : at::silu(x); };
  const Tensor given = timestep_of_items(timestep, batch, device), t = options_.use_time ? given : at::zeros_like(given);
  const Tensor features = time_proj_.forward(t / static_cast<double>(options_.num_train_timesteps)).to(type);
  Tensor time = time_embedding_.forward(features);
  const Tensor value = value_of_items(condition, options_.value, batch, device);
  if (value_embedding_) time = time + value_embedding_->forward(value);
  time = activate(time);
  const Tensor label = class_of_items(condition, options_.num_classes, batch, device);
  const Tensor of_class = class_embedding_ ? class_embedding_->forward(label) : Tensor();

  Tensor out = activate(conv_in_.forward(x_t));
  for (size_t i = 0; i < blocks_.size(); ++i) out = blocks_[i].forward(out, time, of_class);
  out = head_.forward(out);
  out = conv_out_.forward(relu ? at::relu(out) : at::gelu(out));
  if (scale_times_.defined()) out = out * output_scale(t).to(out.scalar_type());
  if (options_.subtract_mean) out = out - out.mean(1, /*keepdim=*/true);
  return out.to(x_t.scalar_type());
}

}  // namespace plumb::nn
