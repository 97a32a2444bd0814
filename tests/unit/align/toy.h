// A UNet of a few thousand weights on 8x8 pictures, and what it takes to tune it.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <string>

#include <ATen/ATen.h>

#include "align/trainer.h"
#include "nn/lora.h"

namespace plumb::align {

/// A reward that is a function of pixels in [0,1], [B,C,H,W] float64 -> [B].
class PixelReward final : public rewards::Reward {
 public:
  explicit PixelReward(std::function<Tensor(const Tensor&)> f) : f_(std::move(f)) {}
  Tensor score(const rewards::RewardBatch& batch) override { return f_(batch.items.to(at::kDouble) / 255.0); }
  bool differentiable() const override { return true; }
  Tensor score_differentiable(const Tensor& x0, const Tensor&) override { return f_(((x0 + 1) / 2).clamp(0, 1)); }
  io::Json describe() const override { return {{"name", "pixel"}}; }

 private:
  std::function<Tensor(const Tensor&)> f_;
};

inline Tensor darkness(const Tensor& pixels) { return -pixels.flatten(1).mean(1); }
/// Brightness of the upper left quarter: falls as darkness rises.
inline Tensor corner(const Tensor& pixels) { return pixels.slice(2, 0, 4).slice(3, 0, 4).flatten(1).mean(1); }

class RawFeatures final : public metrics::FeatureNetwork {
 public:
  metrics::FeatureBatch extract(const Tensor& items) override { return {items.flatten(1).to(at::kFloat) / 255.0, {}}; }
  int64_t dimension() const override { return 64; }
  std::string digest() const override { return ""; }
  std::string name() const override { return "raw"; }
};

inline std::unique_ptr<nn::Denoiser> toy_network(uint64_t seed = 1) {
  const io::Json config =
      io::Json::parse(R"({"type": "unet2d", "config": {"sample_size": 8, "in_channels": 1, "out_channels": 1,
    "block_out_channels": [8], "layers_per_block": 1, "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"],
    "norm_num_groups": 4, "add_attention": false, "num_class_embeds": 4}})");
  auto network = nn::make_denoiser(config, "toy");
  nn::initialise(*network, seed);
  network->set_requires_grad(false);
  network->train(false);
  return network;
}

inline FinetuneOptions toy_options() {
  FinetuneOptions o;
  o.reward = "toy";
  o.gold = {"corner"};
  o.epochs = 3;
  o.samples_per_epoch = 16;
  o.batch_size = 8;
  o.sampler_steps = 5;
  o.train_batch_size = 8;
  o.tracker_size = 16;
  o.tracker_min = 4;
  o.lr = 1e-2;
  o.monitor_every = 2;
  o.monitor_n = 8;
  o.monitor_bootstrap = 20;
  o.resume = "auto";
  return o;
}

/// Everything a run needs, built afresh: two of the same options behave alike.
struct Toy {
  FinetuneOptions options;
  std::unique_ptr<nn::Denoiser> network, frozen;
  std::unique_ptr<nn::Codec> codec = nn::make_codec(io::Space{"image", {1, 8, 8}, ""}, "toy");
  diffusion::NoiseSchedule schedule;
  Policy policy;
  PixelReward reward;
  RawFeatures features;
  TuningContext context;
  std::unique_ptr<Method> method;

  static diffusion::ScheduleOptions schedule_options() {
    diffusion::ScheduleOptions o;
    o.beta_schedule = "squaredcos_cap_v2";
    o.prediction_type = "v_prediction";
    o.timestep_spacing = "trailing";
    return o;
  }
  static std::unique_ptr<nn::Denoiser> tuned(const FinetuneOptions& o) {
    auto network = toy_network();
    if (o.full) {
      network->set_requires_grad(true);
    } else {
      nn::attach_lora(*network, {o.lora_rank, o.lora_alpha, o.lora_targets}, o.seed);
      for (auto& [name, tensor] : nn::lora_parameters(*network))
        Tensor(tensor).set_requires_grad(true);
    }
    return network;
  }
  static PolicyOptions policy_options(const FinetuneOptions& o) {
    return {.num_inference_steps = o.sampler_steps,
            .eta = o.eta,
            .variance = chain_variance(o),
            .guidance_scale = o.guidance_scale,
            .reduce = diffusion::parse_reduce(o.logprob_reduce),
            .max_step_gain = o.max_step_gain,
            .pass_rows = o.batch_size,
            .needs_density = needs_density(o),
            .classes = {}};
  }
  explicit Toy(const FinetuneOptions& o, std::function<Tensor(const Tensor&)> f = darkness)
      : options(o),
        network(tuned(o)),
        frozen(o.full ? toy_network() : nullptr),
        schedule(schedule_options()),
        policy(*network, frozen.get(), schedule, {1, 8, 8}, policy_options(o), at::kCPU),
        reward(std::move(f)),
        context{policy, &reward, *codec, options, nullptr, &features},
        method(make_method(context)) {}

  /// The trained tensors in one row.
  Tensor weights() {
    std::vector<Tensor> all;
    for (const auto& [name, tensor] : policy.trainable())
      all.push_back(tensor.detach().flatten());
    return at::cat(all);
  }
  /// Their gradients in one row, zeros where there are none.
  Tensor gradients() {
    std::vector<Tensor> all;
    for (const auto& [name, tensor] : policy.trainable())
      all.push_back((tensor.grad().defined() ? tensor.grad() : at::zeros_like(tensor)).flatten());
    return at::cat(all);
  }
  void zero_grad() {
    for (auto& [name, tensor] : policy.trainable())
      Tensor(tensor).mutable_grad() = Tensor();
  }
  /// Moves the weights a little, the same way each time.
  void disturb(double size = 0.02) {
    const at::NoGradGuard no_grad;
    uint64_t i = 0;
    for (auto& [name, tensor] : policy.trainable()) {
      Tensor t = tensor;
      t.add_(nn::normal_noise(9, 99, {static_cast<int64_t>(i++)}, 0, {t.numel()}, at::kCPU).view(t.sizes()), size);
    }
  }
};

}  // namespace plumb::align
