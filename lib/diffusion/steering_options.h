// Settings of reward steering and reward guidance in `sample`. Free of LibTorch (options.h).   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/options.h"

namespace plumb::diffusion {

inline std::vector<std::string> steering_names() {
  return {
#define PLUMB_STEERING(identifier, name, summary) name,
#include "diffusion/steerings.def"
#undef PLUMB_STEERING
  };
}

inline std::vector<std::string> resampling_schemes() { return {"multinomial", "residual", "ssp", "stratified", "systematic"}; }

struct SteeringOptions {
  std::string reward = {};      ///< expression, plumb-rewards(7)
  std::string method = {};      ///< of steering_names(); "": none
  std::optional<double> alpha = std::nullopt;  ///< temperature: the target is p(x) exp(r(x) / alpha)
  int64_t particles = 8;        ///< N of a sample; children of svdd
  std::string keep = "best";    ///< best, weighted, all: what of a sample's particles is written
  std::string potential = "difference";  ///< fk only
  int64_t every = 1;                     ///< fk only: steps between potentials
  std::string tempering = "fixed";       ///< das only: fixed, adaptive
  std::optional<double> gamma = std::nullopt;  ///< das with fixed tempering only
  std::string resample = "ssp";          ///< das, fk, tds; best-of-n with keep = all
  double ess = 0.5;                      ///< das, fk, tds: resample below this share of N
  nlohmann::ordered_json to_json() const;  ///< method, alpha, particles: the rest is in the command's config
};

inline void describe(OptionTable& t, SteeringOptions& o) {
  t.group("Steering");
  t.add("steer", &o.method, "let a reward choose among chains while sampling; see STEERING").metavar("METHOD").one_of(steering_names());
  t.add("alpha", &o.alpha, "temperature of steering, in units of the reward: samples follow p(x) exp(reward / alpha); 0 = always the best, "
        "with svdd only").range(0.0, 1e9);
  t.add("particles", &o.particles, "chains of a sample, or children of each step with svdd").range(1, 1e6);
  t.add("steer-return", &o.keep, "which of a sample's particles are written: the one of the highest weight, one drawn by weight, or as many as "
        "there are, resampled by weight").one_of({"best", "weighted", "all"});
  t.add("steer-potential", &o.potential, "what weighs a particle of fk on its way").one_of({"difference", "max", "sum", "current"});
  t.add("steer-every", &o.every, "steps of fk from one potential to the next").range(1, 1e6);
  t.add("steer-tempering", &o.tempering, "how das brings the reward in: by (1 + gamma)^i - 1 in step i, or as fast as --steer-ess allows")
      .one_of({"fixed", "adaptive"});
  t.add("steer-gamma", &o.gamma, "gamma of --steer-tempering fixed; by default the one that is done after 87 % of the steps, 0.008 for 100").range(1e-9, 10);
  t.add("steer-resample", &o.resample, "how survivors are drawn").one_of(resampling_schemes());
  t.add("steer-ess", &o.ess, "resample where the effective sample size falls below this share of the particles; 1 = always, 0 = never")
      .range(0.0, 1.0);
}

/// Shifting every step by the reward's gradient (reward_guidance.h).
struct GuidanceOptions {
  std::string at = {};                            ///< x_t, x0; "": none
  std::optional<double> strength = std::nullopt;  ///< gamma
  std::optional<double> target = std::nullopt;    ///< y*
  std::string weight = "constant";                ///< constant, look-ahead
  double sigma = 0.1;                             ///< look-ahead only: noise of the reward
  std::string reduce = "sum";                     ///< sum, mean
  nlohmann::ordered_json to_json() const;         ///< at, strength or weight, target
};

inline void describe(OptionTable& t, GuidanceOptions& o) {
  t.add("guide", &o.at, "shift every step by the reward's gradient: at the noised item x_t, for rewards trained on such, or at the item that the "
        "network expects, x0").metavar("WHERE").one_of({"x_t", "x0"});
  t.add("guide-strength", &o.strength, "gamma of --guide").range(-1e12, 1e12);
  t.add("guide-target", &o.target, "pull the reward to this value instead of raising it without end").metavar("Y");
  t.add("guide-weight", &o.weight, "gamma: --guide-strength in every step, or the look-ahead weight of each step and item").one_of({"constant", "look-ahead"});
  t.add("guide-sigma", &o.sigma, "standard deviation of the reward that the look-ahead weight assumes").range(1e-9, 1e9);
  t.add("guide-reduce", &o.reduce, "each item's own gradient, or as published in the code of RCGDM the gradient of the mean over a batch, which divides "
        "gamma by --batch-size").one_of({"sum", "mean"});
}

/// Refuses what does not fit together, before anything is loaded. Throws Error(kUsage).
void check_steering_options(const SteeringOptions& steering, const GuidanceOptions& guidance, const std::function<bool(const std::string&)>& was_set);

}  // namespace plumb::diffusion
