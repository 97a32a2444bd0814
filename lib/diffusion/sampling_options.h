// What is drawn from a model, and how: the settings of `sample` with their option rows. Free of LibTorch (options.h).
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

#include "core/options.h"
#include "diffusion/options.h"

namespace plumb::diffusion {

struct SamplingOptions {
  std::string model;
  int64_t count = 64, batch_size = 64, first = 0;
  uint64_t seed = 0;
  std::string shard;
  std::string label_class = "balanced", target;
  double guidance_scale = 1.0, lora_scale = 1.0;
  std::string aig = "ft", base;
  int64_t base_below = -1;   ///< -1: what the model's manifest says, or 0
  int64_t share_start = 1;
  SamplerOptions sampler;
};

inline void describe(OptionTable& t, SamplingOptions& o) {
  t.group("What to draw");
  t.add("model", &o.model, "model to draw from; by default the nearest model on the input's lineage").metavar("MODEL.h5").file();
  t.add("count", &o.count, "number of samples").short_name('n').range(1, 1e12);
  t.add("class", &o.label_class, "class of the samples: balanced (in turn), random, none, or one class by number or name")
      .metavar("CLASS").suggest({"balanced", "random", "none"});
  t.add("target", &o.target, "value of the samples, for a model that is conditioned on one: a number in its own units, or several, dealt in turn")
      .metavar("A[,B...]");
  t.add("seed", &o.seed, "seed of all noise and random classes");
  t.add("first", &o.first, "index of the first sample: sample k of a seed is the same in every run").range(0, 1e15);
  t.add("shard", &o.shard, "draw only part I of N (I from 0) of the samples").metavar("I/N");
  t.group("How to draw");
  describe(t, o.sampler);
  t.add("guidance-scale", &o.guidance_scale, "classifier-free guidance: 1 = none, above 1 = closer to the class and target")
      .range(0.0, 1000.0);
  t.add("lora-scale", &o.lora_scale, "strength of the model's LoRA adapter: 0 = the base model").range(-100.0, 100.0);
  t.add("aig", &o.aig, "annealed importance guidance: weight of the model along the chain, the rest being its base model's; ft = the model "
        "alone, base, linear, power:P, step:Q or constant:C")
      .metavar("SCHEDULE").suggest({"linear", "power:2", "power:4", "step:0.6", "constant:0.5", "base", "ft"});
  t.add("base-below", &o.base_below,
        "timestep below which the base model goes on with the chain; -1 = as the model was tuned (epapa), else 0 = never").range(-1, 1e6);
  t.add("base", &o.base, "base model of --aig and --base-below; by default the one that the model was tuned from").metavar("MODEL.h5").file();
  t.add("share-start", &o.share_start, "samples in turn that start from the same noise and have the same class, as d3po compares them").range(1, 1e6);
  t.add("batch-size", &o.batch_size, "samples a network call; affects speed and memory only").range(1, 65536).runtime();
}

}  // namespace plumb::diffusion
