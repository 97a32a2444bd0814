// From the settings of `sample` to what a chain needs: which items, of which classes, by which network.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "diffusion/process.h"
#include "diffusion/sampling_options.h"
#include "nn/denoiser.h"
#include "nn/precision.h"

namespace plumb::diffusion {

/// The samples [begin, end) of --first, --count and --shard. Throws Error(kUsage, "--shard").
std::pair<int64_t, int64_t> item_range(const SamplingOptions& options);

/// --class as choose_labels takes it: a class may be named, and an unconditional model has "none". `was_set`: whether the user gave it.
/// Throws Error(kUsage) for a class that the model does not have, and for --guidance-scale without a class or --target;
/// as check_knows_none().
std::string class_choice(const SamplingOptions& options, const nn::Model& model, bool was_set);

/// Throws Error(kUsage, option) with `hint` if `model` (kind "model") was trained with no label or value dropped, so that it never learned
/// what "no class" or "no value" means; a model that does not say is let through.
void check_knows_none(const io::Manifest& model, const std::string& option, const std::string& hint);

/// The timesteps of a process, whole numbers or not: what its network is told.
nlohmann::ordered_json timesteps_of(const ReverseProcess& process);
/// What a manifest's config says of a chain: its steps, and for a process other than Gaussian its name in place of a sampler's.
nlohmann::ordered_json chain_config(const nlohmann::ordered_json& schedule, const ReverseProcess& process);

/// What each step of a chain asks: one model, or with --aig two, each after its own classifier-free guidance. Pinned: functions point into it.
class SampledModel {
 public:
  /// `find_base` is called if the weights of --aig, or those of --base-below or the model's base_below, ask for the base model at all.
  /// Throws Error(kUsage) for both.
  SampledModel(nn::Model model, const SamplingOptions& options, const ReverseProcess& process, const std::function<io::Manifest()>& find_base,
               nn::Precision precision, at::Device device);
  SampledModel(const SampledModel&) = delete;
  SampledModel& operator=(const SampledModel&) = delete;

  const nn::Model& model() const { return model_; }
  const std::optional<nn::Model>& base() const { return base_; }
  /// Network passes that rows[i] states cost in step i, over all steps: --aig and --guidance-scale double them.
  int64_t calls(const std::vector<int64_t>& rows) const;
  ModelFunction function() const;

 private:
  ModelFunction guided(const nn::Model& model) const;
  nn::Model model_;
  std::optional<nn::Model> base_;
  std::vector<double> weights_;
  double guidance_scale_;
  nn::Precision precision_;
  at::Device device_;
};

}  // namespace plumb::diffusion
