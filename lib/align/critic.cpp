// The temporal critic.   SPDX-License-Identifier: Apache-2.0
#include "align/critic.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "nn/dropout.h"
#include "nn/init.h"

namespace plumb::align {
namespace {

double published_sd(const Tensor& weight) { return 1.0 / static_cast<double>(weight.size(1) + 1); }

/// The state tensor "<name>.<moment>" of an optimiser.
Tensor moment_of(const nn::AdamW& optimizer, const std::string& name) {
  for (const auto& [key, value] : optimizer.state())
    if (key == name)
      return value;
  throw Error(Exit::kFailed, "critic", "the optimiser has no state '" + name + "'");
}

}  // namespace

CriticInit parse_critic_init(const std::string& text) {
  if (text == "published")
    return CriticInit::kPublished;
  if (text == "default")
    return CriticInit::kDefault;
  throw Error(Exit::kUsage, "--tdpo.critic-init", "unknown value '" + text + "'", "published or default");
}

Critic::Critic(int64_t embedding_dimension, const CriticOptions& options, uint64_t seed) : options_(options) {
  int64_t in = embedding_dimension;
  for (const int64_t width : options_.widths) {
    layers_.add(std::make_unique<nn::Linear>(in, width));
    in = width;
  }
  layers_.add(std::make_unique<nn::Linear>(in, 1));
  register_module("layers", layers_);
  nn::WeightInit init(seed);
  const at::NoGradGuard no_grad;
  for (size_t k = 0; k < layers_.size(); ++k) {
    if (options_.init == CriticInit::kDefault) {
      layers_[k].reset_parameters(init);
      continue;
    }
    init.normal(layers_[k].weight(), published_sd(layers_[k].weight()));
    init.constant(layers_[k].bias(), 0.0);
  }
}

Tensor Critic::after(size_t layer, const Tensor& h) const {
  const Tensor activated = options_.relu ? h.relu() : h;
  const double p = options_.dropout.at(layer);
  return is_training() && p > 0 ? nn::dropout(activated, p) : activated;
}

Tensor Critic::forward(const Tensor& embedding) {
  Tensor h = embedding;
  for (size_t k = 0; k + 1 < layers_.size(); ++k)
    h = after(k, layers_[k].forward(h));
  return layers_[layers_.size() - 1].forward(h).squeeze(1);
}

std::vector<Tensor> Critic::hidden(const Tensor& embedding) {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> outputs;
  Tensor h = embedding;
  for (size_t k = 0; k + 1 < layers_.size(); ++k) {
    outputs.push_back(layers_[k].forward(h));
    h = options_.relu ? outputs.back().relu() : outputs.back();
  }
  return outputs;
}

LossTerms critic_loss(const Tensor& value, const Tensor& value_old, const Tensor& returns, double clip_range) {
  const Tensor unclipped = (value - returns).square();
  if (clip_range <= 0) {
    const Tensor loss = 0.5 * unclipped.mean();
    return {loss, {{"critic_loss", loss.item<double>()}}, {}};
  }
  const Tensor clipped = (at::minimum(at::maximum(value, value_old - clip_range), value_old + clip_range) - returns).square();
  const Tensor loss = 0.5 * at::maximum(unclipped, clipped).mean();
  return {loss,
          {{"critic_loss", loss.item<double>()},
           {"critic_clip_fraction", (clipped > unclipped).to(at::kDouble).mean().item<double>()}},
          {}};
}

double explained_variance(const Tensor& value, const Tensor& returns) {
  const Tensor v = value.to(at::kDouble).flatten(), r = returns.to(at::kDouble).flatten();
  const double spread = r.var(0).item<double>();
  return spread > 0 ? 1.0 - (r - v).var(0).item<double>() / spread : 0.0;
}

std::vector<Tensor> neuron_activity(const std::vector<Tensor>& hidden) {
  std::vector<Tensor> activity;
  for (const Tensor& h : hidden) {
    const Tensor s = h.to(at::kDouble).relu().mean(0);
    activity.push_back(s / (s.mean() + 1e-9));
  }
  return activity;
}

std::vector<Tensor> dormant_neurons(const std::vector<Tensor>& activity, double threshold) {
  std::vector<Tensor> dormant;
  for (const Tensor& s : activity)
    dormant.push_back(s <= threshold);
  return dormant;
}

DormantCount count_dormant(const std::vector<Tensor>& dormant) {
  DormantCount count;
  for (const Tensor& mask : dormant) {
    count.total += mask.numel();
    count.dormant += mask.sum().item<int64_t>();
  }
  return count;
}

double dormant_overlap(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  int64_t both = 0;
  for (size_t k = 0; k < a.size(); ++k)
    both += a[k].logical_and(b.at(k)).sum().item<int64_t>();
  const int64_t smaller = std::min(count_dormant(a).dormant, count_dormant(b).dormant);
  return smaller > 0 ? static_cast<double>(both) / static_cast<double>(smaller) : 1.0;
}

void reset_neurons(Critic& critic, nn::AdamW& optimizer, const std::vector<Tensor>& mask, const ResetDraw& draw) {
  const at::NoGradGuard no_grad;
  auto& layers = critic.layers();
  const auto name_of = [](size_t layer, const char* parameter) { return "layers." + std::to_string(layer) + "." + parameter; };
  for (size_t k = 0; k < mask.size(); ++k) {
    const Tensor neurons = mask[k].nonzero().flatten();
    const int64_t count = neurons.numel();
    if (count == 0)
      continue;
    const Tensor in = layers[k].weight(), out = layers[k + 1].weight(), bias = layers[k].bias();
    const at::Device device = in.device();
    const Tensor index = neurons.to(device);
    Tensor(in).index_copy_(0, index, draw(count, in.size(1), published_sd(in)).to(in.options()));
    Tensor(bias).index_fill_(0, index, 0.0);
    Tensor(out).index_copy_(1, index, draw(out.size(0), count, published_sd(out)).to(out.options()));
    for (const char* moment : {".exp_avg", ".exp_avg_sq"}) {
      moment_of(optimizer, name_of(k, "weight") + moment).index_fill_(0, index, 0.0);
      moment_of(optimizer, name_of(k, "bias") + moment).index_fill_(0, index, 0.0);
      moment_of(optimizer, name_of(k + 1, "weight") + moment).index_fill_(1, index, 0.0);
    }
  }
}

}  // namespace plumb::align
