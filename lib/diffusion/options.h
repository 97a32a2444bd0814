// Settings of the diffusion room as plain structs with their option rows. Free of LibTorch, so that a command's front can
// parse them before the library is loaded (lib/cli/tool.h).   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/options.h"

namespace plumb::diffusion {

/// The forward process q(x_t | x_0) = N(sqrt(alphas_cumprod_t) x_0, (1 - alphas_cumprod_t) I), and how sampling steps are laid
/// on it. Option names and meanings are diffusers'.
struct ScheduleOptions {
  int64_t num_train_timesteps = 1000;
  std::string beta_schedule = "linear";     ///< linear, scaled_linear, squaredcos_cap_v2 (the cosine schedule)
  double beta_start = 1e-4, beta_end = 0.02;
  std::string prediction_type = "epsilon";  ///< epsilon, sample, v_prediction
  std::string timestep_spacing = "leading"; ///< leading, trailing, linspace
  int64_t steps_offset = 1;
  bool set_alpha_to_one = false;            ///< false: the step below 0 uses alphas_cumprod[0], so every transition has a density
  bool clip_sample = false;                 ///< clamps predicted x0 to [-1,1]; kills gradients, see policy-gradient notes
  std::string table_dtype = "float64";      ///< float64; float32: diffusers' tables, off by up to 1e-3 in 1 - alphas_cumprod[0]
  bool operator==(const ScheduleOptions& other) const = default;
  nlohmann::ordered_json to_json() const;
  /// Missing keys keep their defaults. Throws Error(kBadInput, where, ...) on an unknown key or a bad value.
  static ScheduleOptions from_json(const nlohmann::ordered_json& json, const std::string& where);
};

/// Names and summaries are in samplers.def; each sampler is one file.
struct SamplerOptions {
  std::string name = "ddim";        ///< ddpm, ddim, dpm-solver++
  int64_t num_inference_steps = 50;
  std::optional<int64_t> steps = {};   ///< --steps: in its place (resolve_sampler_options)
  double eta = 1.0;                 ///< ddim only
  std::string variance = "posterior";   ///< ddpm only: posterior, or beta
};

/// How a denoiser is trained on a dataset. Everything here shapes the result.
struct TrainingOptions {
  int64_t steps = 10000;
  int64_t batch_size = 64;
  double lr = 1e-3;
  int64_t lr_warmup = 200;
  std::string lr_schedule = "cosine";   ///< constant, cosine
  double weight_decay = 0.0;
  double grad_clip = 1.0;               ///< 0: none
  double ema_decay = 0.999;             ///< 0: the final weights themselves
  double min_snr_gamma = 5.0;           ///< 0: plain mean squared error
  double label_drop = 0.1;
  bool flip = false;
  uint64_t seed = 0;
};

inline std::vector<std::string> sampler_names() {
  return {
#define PLUMB_SAMPLER(identifier, name, summary) name,
#include "diffusion/samplers.def"
#undef PLUMB_SAMPLER
  };
}

inline void describe(OptionTable& t, ScheduleOptions& o) {
  t.add("num-train-timesteps", &o.num_train_timesteps, "number of noise levels").range(1, 1e6);
  t.add("beta-schedule", &o.beta_schedule, "how noise grows with t; squaredcos_cap_v2 is the cosine schedule")
      .one_of({"linear", "scaled_linear", "squaredcos_cap_v2"});
  t.add("beta-start", &o.beta_start, "first beta of linear and scaled_linear").range(1e-9, 0.999);
  t.add("beta-end", &o.beta_end, "last beta of linear and scaled_linear").range(1e-9, 0.999);
  t.add("prediction-type", &o.prediction_type, "what the network predicts: the noise, the clean sample, or the velocity v")
      .one_of({"epsilon", "sample", "v_prediction"});
  t.add("timestep-spacing", &o.timestep_spacing, "how a sampler spreads its steps over the noise levels")
      .one_of({"leading", "trailing", "linspace"});
  t.add("steps-offset", &o.steps_offset, "added to each timestep of leading spacing").range(0, 1e6);
  t.add("set-alpha-to-one", &o.set_alpha_to_one, "end chains at the clean sample instead of the first noise level");
  t.add("clip-sample", &o.clip_sample, "clamp the predicted clean sample to [-1,1] while sampling");
  t.add("table-dtype", &o.table_dtype, "precision of the noise levels; float32 repeats diffusers' rounding").one_of({"float64", "float32"});
}

inline void describe(OptionTable& t, SamplerOptions& o) {
  t.add("sampler", &o.name, "how the reverse process is integrated").one_of(sampler_names());
  t.add("steps", &o.steps, "network calls a sample; default 50, on the simplex 100, of masked letters 128").range(1, 1e6);
  t.add("eta", &o.eta, "noise scale of ddim; 0 = deterministic, 1 = the variance of DDPM").range(0.0, 1.0);
  t.add("variance", &o.variance, "noise of a ddpm step: of the posterior given the predicted sample, or beta, the larger of the two published choices")
      .one_of({"posterior", "beta"});
}

inline void describe(OptionTable& t, TrainingOptions& o) {
  t.add("steps", &o.steps, "optimiser steps; 0 = write the network as it starts").range(0, 1e12);
  t.add("batch-size", &o.batch_size, "examples a step").range(1, 1e6);
  t.add("lr", &o.lr, "peak learning rate of AdamW").range(0.0, 1.0);
  t.add("lr-warmup", &o.lr_warmup, "steps of linear warm-up").range(0, 1e12);
  t.add("lr-schedule", &o.lr_schedule, "learning rate after the warm-up").one_of({"constant", "cosine"});
  t.add("weight-decay", &o.weight_decay, "decoupled weight decay").range(0.0, 1.0);
  t.add("grad-clip", &o.grad_clip, "largest global gradient norm; 0 = no clipping").range(0.0, 1e9);
  t.add("ema-decay", &o.ema_decay, "decay of the weight average that is written; 0 = the last weights").range(0.0, 0.999999);
  t.add("min-snr-gamma", &o.min_snr_gamma, "gamma of min-SNR loss weighting; 0 = no weighting").range(0.0, 1e6);
  t.add("label-drop", &o.label_drop, "share of examples that lose their label, so that guidance works").range(0.0, 1.0);
  t.add("flip", &o.flip, "mirror half of the images at random");
  t.add("seed", &o.seed, "seed of weights, order, noise and augmentation");
}

}  // namespace plumb::diffusion
