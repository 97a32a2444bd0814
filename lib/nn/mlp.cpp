// SPDX-License-Identifier: Apache-2.0
#include "nn/mlp.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "nn/config_keys.h"

namespace plumb::nn {

Mlp::Mlp(int64_t in, const std::vector<int64_t>& hidden, int64_t out) {
  for (const int64_t width : hidden) {
    layers_.add(std::make_unique<Linear>(in, width));
    in = width;
  }
  layers_.add(std::make_unique<Linear>(in, out));
  register_module("layers", layers_);
}

Tensor Mlp::hidden(const Tensor& x, const Tensor& shift) {
  Tensor h = x;
  for (size_t i = 0; i + 1 < layers_.size(); ++i) {
    h = layers_[i].forward(h);
    h = at::silu(i == 0 && shift.defined() ? h + shift : h);
  }
  return h;
}

Tensor Mlp::output(const Tensor& hidden) { return layers_[layers_.size() - 1].forward(hidden); }
Tensor Mlp::forward(const Tensor& x) { return output(hidden(x)); }

io::Json MlpOptions::to_json() const {
  io::Json json{{"elements", elements}, {"hidden", hidden}, {"time_dim", time_dim}, {"class_dim", class_dim}, {"num_classes", num_classes},
                {"num_train_timesteps", num_train_timesteps}};
  if (value) json["value"] = true;
  return json;
}

MlpOptions MlpOptions::from_json(const io::Json& json, const std::string& where) {
  MlpOptions o;
  ConfigKeys keys(json, where);
  keys.read("elements", o.elements);
  keys.read("hidden", o.hidden);
  keys.read("time_dim", o.time_dim);
  keys.read("class_dim", o.class_dim);
  keys.read("num_classes", o.num_classes);
  keys.read("num_train_timesteps", o.num_train_timesteps);
  keys.read("value", o.value);
  keys.done();
  keys.at_least("elements", static_cast<double>(o.elements), 1);
  keys.sizes("hidden", o.hidden);
  keys.size("time_dim", o.time_dim);
  keys.size("class_dim", o.class_dim);
  keys.at_least("num_classes", static_cast<double>(o.num_classes), 0);
  keys.at_least("num_train_timesteps", static_cast<double>(o.num_train_timesteps), 1);
  if (o.time_dim % 2 != 0) keys.refuse("time_dim", cat(o.time_dim, " is odd: it is cosines and sines by halves"));
  return o;
}

ConditionedMlp::ConditionedMlp(int64_t in, int64_t out, const MlpOptions& o)
    : num_classes_(o.num_classes), per_timestep_(1000.0 / static_cast<double>(o.num_train_timesteps)),
      frequencies_(positional_frequencies(o.time_dim)), mlp_(in + o.time_dim + (o.num_classes > 0 ? o.class_dim : 0), o.hidden, out) {
  if (o.num_classes > 0) {
    class_embedding_ = std::make_unique<Embedding>(o.num_classes + 1, o.class_dim);
    register_module("class_embedding", *class_embedding_);
  }
  register_module("mlp", mlp_);
  if (o.value) {
    value_proj_ = std::make_unique<ZeroLinear>(2, o.hidden.front(), /*bias=*/false);
    register_module("value_proj", *value_proj_);
  }
}

Tensor ConditionedMlp::forward(const Tensor& z, const Tensor& timestep, const Condition& condition) {
  const int64_t batch = z.size(0);
  const at::Device device = z.device();
  if (frequencies_.device() != device) frequencies_ = frequencies_.to(device);
  const Tensor angle = timestep_of_items(timestep, batch, device).unsqueeze(1) * per_timestep_ * frequencies_.unsqueeze(0);
  std::vector<Tensor> inputs{z, at::cos(angle).to(z.scalar_type()), at::sin(angle).to(z.scalar_type())};
  const Tensor label = class_of_items(condition, num_classes_, batch, device);
  if (class_embedding_) inputs.push_back(class_embedding_->forward(label).to(z.scalar_type()));
  const Tensor value = value_of_items(condition, value_proj_ != nullptr, batch, device);
  const Tensor shift = value_proj_ ? value_proj_->forward(value.to(z.scalar_type())) : Tensor();
  return mlp_.output(mlp_.hidden(at::cat(inputs, 1), shift));
}

MlpDenoiser::MlpDenoiser(const MlpOptions& options) : options_(options), network_(options.elements, options.elements, options) {
  register_module("network", network_);
}

Tensor MlpDenoiser::forward(const Tensor& x_t, const Tensor& timestep, const Condition& condition) {
  const Tensor x = flat_items(x_t, options_.elements);
  return network_.forward(x, timestep, condition).view(x_t.sizes()).to(x_t.scalar_type());
}

Tensor flat_items(const Tensor& x, int64_t elements) {
  if (x.dim() < 2 || x.size(0) < 1 || x.numel() / x.size(0) != elements) {
    throw Error(Exit::kBadInput, "x", cat("is ", shape_text(x.sizes().vec()), ", the network takes items of ", elements, " numbers"));
  }
  return x.reshape({x.size(0), elements}).contiguous();
}

}  // namespace plumb::nn
