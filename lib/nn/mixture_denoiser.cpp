// SPDX-License-Identifier: Apache-2.0
#include "nn/mixture_denoiser.h"

#include <ATen/ATen.h>

#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "nn/config_keys.h"
#include "nn/denoiser_fit.h"
#include "nn/denoiser_inputs.h"
#include "nn/init.h"
#include "nn/mlp.h"

namespace plumb::nn {
io::Json MixtureOptions::to_json() const {
  io::Json json{{"centres", centres}, {"std", std}, {"hidden", hidden}, {"time_dim", time_dim}, {"num_train_timesteps", num_train_timesteps}};
  if (!weights.empty()) json["weights"] = weights;
  return json;
}

MixtureOptions MixtureOptions::from_json(const io::Json& json, const std::string& where) {
  MixtureOptions o;
  ConfigKeys keys(json, where);
  keys.read("centres", o.centres);
  keys.read("weights", o.weights);
  keys.read("std", o.std);
  keys.read("hidden", o.hidden);
  keys.read("time_dim", o.time_dim);
  keys.read("num_train_timesteps", o.num_train_timesteps);
  keys.done();
  if (o.centres.empty() || o.centres.front().empty()) keys.refuse("centres", "is required: one list of coordinates a component");
  for (const auto& centre : o.centres) {
    if (centre.size() != o.centres.front().size()) keys.refuse("centres", "are not all of one size");
  }
  if (!o.weights.empty() && o.weights.size() != o.centres.size()) {
    keys.refuse("weights", cat("are ", o.weights.size(), " for ", o.centres.size(), " centres"));
  }
  for (const double weight : o.weights) {
    if (!(weight > 0)) keys.refuse("weights", cat(weight, " is not above 0"));
  }
  if (!(o.std > 0)) keys.refuse("std", cat(o.std, " is not above 0"));
  keys.sizes("hidden", o.hidden);
  keys.size("time_dim", o.time_dim);
  if (o.time_dim % 2 != 0) keys.refuse("time_dim", cat(o.time_dim, " is odd: it is cosines and sines by halves"));
  keys.at_least("num_train_timesteps", static_cast<double>(o.num_train_timesteps), 1);
  return o;
}

MixtureDenoiser::MixtureDenoiser(const MixtureOptions& options)
    : options_(options), log_snr_(at::zeros({options.num_train_timesteps})), frequencies_(positional_frequencies(options.time_dim)) {
  std::vector<double> flat;
  for (const auto& centre : options.centres) flat.insert(flat.end(), centre.begin(), centre.end());
  const auto k = static_cast<int64_t>(options.centres.size());
  centres_ = at::tensor(flat, at::kDouble).reshape({k, options.elements()});
  half_squares_ = 0.5 * centres_.square().sum(1).unsqueeze(0);
  log_weights_ = options.weights.empty() ? at::zeros({1, k}, at::kDouble) : at::tensor(options.weights, at::kDouble).log().unsqueeze(0);
  int64_t in = options.elements() + options.time_dim;
  for (const int64_t width : options.hidden) {
    layers_.add(std::make_unique<Linear>(in, width));
    in = width;
  }
  layers_.add(std::make_unique<ZeroLinear>(in, options.elements()));
  register_buffer("log_snr", log_snr_);
  register_module("residual", layers_);
}

void MixtureDenoiser::set_noise_levels(const std::vector<double>& alphas_cumprod) {
  if (static_cast<int64_t>(alphas_cumprod.size()) != options_.num_train_timesteps) {
    throw Error(Exit::kUsage, "--num-train-timesteps", cat(alphas_cumprod.size(), " noise levels, the network is set for ", options_.num_train_timesteps));
  }
  std::vector<double> log_snr;
  for (const double a : alphas_cumprod) {
    if (!(a > 0 && a < 1)) throw Error(Exit::kUsage, "--beta-schedule", cat("a mixture's noise levels lie between 0 and 1, not at ", a));
    log_snr.push_back(std::log(a) - std::log1p(-a));
  }
  const at::NoGradGuard no_grad;
  log_snr_.copy_(at::tensor(log_snr, at::kDouble));
}

Tensor MixtureDenoiser::exact_eps(const Tensor& x, const Tensor& log_snr) const {
  const auto to = [&](const Tensor& constant) { return constant.to(x.options()); };
  const Tensor a = at::sigmoid(log_snr), noise = at::sigmoid(-log_snr);   // [B,1]; 1 - a would lose digits at both ends
  const Tensor signal = a.sqrt(), v = a * (options_.std * options_.std) + noise, centres = to(centres_);
  // |x|^2 is common to all components: softmax does not see it.
  const Tensor logits = (signal * at::mm(x, centres.t()) - a * to(half_squares_)) / v + to(log_weights_);
  return (x - signal * at::mm(at::softmax(logits, 1), centres)) * (noise.sqrt() / v);
}

Tensor MixtureDenoiser::residual(const Tensor& x, const Tensor& time) {
  const Tensor angle = time.unsqueeze(1) * (1000.0 / static_cast<double>(options_.num_train_timesteps)) * frequencies_.to(time.device()).unsqueeze(0);
  Tensor h = at::cat({x, at::cos(angle).to(x.scalar_type()), at::sin(angle).to(x.scalar_type())}, 1);
  for (size_t i = 0; i + 1 < layers_.size(); ++i) h = at::silu(layers_[i].forward(h));
  return layers_[layers_.size() - 1].forward(h);
}

Tensor MixtureDenoiser::forward(const Tensor& x_t, const Tensor& timestep, const Condition& condition) {
  const Tensor x = flat_items(x_t, options_.elements());
  class_of_items(condition, 0, x.size(0), x.device());   // refuses a class
  value_of_items(condition, false, x.size(0), x.device());
  const Tensor time = timestep_of_items(timestep, x.size(0), x.device());
  const Tensor index = time.round().to(at::kLong).clamp(0, options_.num_train_timesteps - 1);
  const Tensor log_snr = log_snr_.index_select(0, index.dim() == 0 ? index.unsqueeze(0) : index).unsqueeze(1).to(x.scalar_type());
  return (exact_eps(x, log_snr) + residual(x, time)).view(x_t.sizes()).to(x_t.scalar_type());
}

}  // namespace plumb::nn
