// Settings that belong to one method each; finetune refuses them with another. Free of LibTorch.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "core/options.h"

namespace plumb::align {

/// TDPO and TDPO-R. Defaults are those of the released code (Zhang et al. 2024).
struct TdpoOptions {
  std::string features = "default";  ///< frozen network whose embedding the critic reads
  double gamma = 1.0;
  std::string whitening = "epoch";
  double critic_lr = 1e-4, critic_eps = 1e-8;
  double critic_clip = 0.2;
  std::string critic_init = "published";
  bool critic_relu = false;
  double dormant_threshold = 0.0;
  int64_t probe_n = 64;
  std::string probe = "last-column";
  // tdpo-r only
  std::string reset = "active";
  int64_t reset_every = 10;
  std::string reset_seed = "epoch";
};

/// DPOK. Defaults are this project's reading; raw and clamp are the released code's (Fan et al. 2023).
struct DpokOptions {
  std::string reward = "normalised";
  std::string clip = "ppo";
  double value_lr = 1e-4;
  int64_t value_updates = 1;    ///< an epoch; 0: no value network
  int64_t value_batch = 1280;  ///< transitions of one
};

/// Group-relative advantages.
struct GrpoOptions {
  std::string std = "global";
};

/// DRaFT and DRaFT-LV (Clark et al. 2024).
struct DraftOptions {
  int64_t k = 1;  ///< last steps with a gradient; 0: all
  // draft-lv only
  int64_t lv_n = 2;
  std::string lv_include_base = "on";
};

/// AlignProp. The published loss is 0.01 |r - 10| for the aesthetic score, 0.01 (1 - r) for HPSv2 (Prabhudesai et al. 2023).
struct AlignPropOptions {
  std::string truncation = "auto";
  std::optional<double> target;
  double scale = 1.0;
};

/// ReFL. The published loss is 0.001 max(2 - r, 0) of ImageReward, which is standardised itself (Xu et al. 2023).
struct ReflOptions {
  double last = 0.25;  ///< share of the steps: 10 of the published 40
  std::string standardise = "base";
  double target = 2.0;
  double scale = 1.0;
};

/// RAFT (Dong et al. 2023).
struct RaftOptions {
  int64_t best_of = 4;      ///< samples drawn for one that is kept
  double label_drop = 0.1;  ///< as pretrain's, so that guidance keeps working
};

/// STRL and BRAID (Uehara et al. 2024). Published alpha: 0.001 for sequences; 0.01 for images, on a mean over coordinates and a reward
/// times 0.01 (its authors' SEIKO). Published truncation: the last 4 of 50 steps for sequences, a random one for images.
struct StrlOptions {
  double alpha = 0.1;
  std::string truncation = "all";
  std::string kl_reduce = "sum";
};

/// DRAKES (Wang et al. 2025). Defaults are those of its released code.
struct DrakesOptions {
  std::optional<int64_t> k;  ///< last steps with a gradient; default 50, or all of a shorter chain; 0: all
  double tau = 1.0;
  std::string relax = "symbols";
  double alpha = 1e-3;
  std::string kl = "exact";
};

/// All methods that follow the reward's own gradient: is_direct().
struct DirectOptions {
  bool checkpoint = false;
};

inline void describe(OptionTable& t, TdpoOptions& o) {
  t.group("Method tdpo, tdpo-r");
  t.add("tdpo.features", &o.features, "feature network the critic reads; see diversity(1)")
      .metavar("SPEC")
      .suggest({"default", "raw", "classifier:", "efficientnet-lite0", "torchscript:"});
  t.add("tdpo.gamma", &o.gamma, "discount of later steps").range(0.0, 1.0);
  t.add("tdpo.whitening", &o.whitening, "standardise advantages over all samples and steps of an epoch, or not at all")
      .one_of({"epoch", "none"});
  t.add("tdpo.critic-lr", &o.critic_lr, "learning rate of the critic's AdamW").range(0.0, 1.0);
  t.add("tdpo.critic-eps", &o.critic_eps, "epsilon of the critic's AdamW").range(1e-20, 1.0);
  t.add("tdpo.critic-clip", &o.critic_clip, "largest change of a value that lowers its loss; 0 = no limit").range(0.0, 1e9);
  t.add("tdpo.critic-init", &o.critic_init,
        "first weights of the critic: as published (constant for hundreds of updates), or PyTorch's default")
      .one_of({"published", "default"});
  t.add("tdpo.critic-relu", &o.critic_relu, "ReLU after the critic's hidden layers, which are linear as published");
  t.add("tdpo.dormant-threshold", &o.dormant_threshold, "largest activity of a neuron that counts as dormant").range(0.0, 1e9);
  t.add("tdpo.probe-n", &o.probe_n, "samples that neurons are probed with").range(1, 1e6);
  t.add("tdpo.probe", &o.probe, "steps of these samples: one at random each, the last trained on; or all")
      .one_of({"last-column", "all-steps"});
  t.add("tdpo.reset", &o.reset, "tdpo-r: which neurons of the critic are re-initialised")
      .one_of({"active", "dormant", "all", "none"});
  t.add("tdpo.reset-every", &o.reset_every, "tdpo-r: epochs between resets").range(1, 1e9);
  t.add("tdpo.reset-seed", &o.reset_seed, "tdpo-r: draw new weights for each reset, or the same ones every time, as published")
      .one_of({"epoch", "fixed"});
}

inline void describe(OptionTable& t, DpokOptions& o) {
  t.group("Method dpok");
  t.add("dpok.reward", &o.reward, "reward of a step: normalised as --advantage says, or raw as published")
      .one_of({"normalised", "raw"});
  t.add("dpok.clip", &o.clip, "PPO's pessimistic clipping, or the published clamp of the ratio alone").one_of({"ppo", "clamp"});
  t.add("dpok.value-lr", &o.value_lr, "learning rate of the value network's AdamW").range(0.0, 1.0);
  t.add("dpok.value-updates", &o.value_updates, "updates of the value network an epoch; 0 = no value network").range(0, 1e6);
  t.add("dpok.value-batch", &o.value_batch, "transitions of an update of the value network").range(1, 1e9);
}

inline void describe(OptionTable& t, GrpoOptions& o) {
  t.group("Method grpo");
  t.add("grpo.std", &o.std, "spread that divides a group's advantages: of the whole epoch, or of the group")
      .one_of({"global", "group"});
}

inline void describe(OptionTable& t, DraftOptions& o) {
  t.group("Method draft, draft-lv");
  t.add("draft.k", &o.k, "last steps of a chain that the gradient of draft goes through; 0 = all").range(0, 1e5);
  t.add("draft.lv-n", &o.lv_n, "noises of the last step for each sample of draft-lv").range(1, 1e4);
  t.add("draft.lv-include-base", &o.lv_include_base, "whether the sample itself counts beside the noises of draft-lv")
      .one_of({"on", "off"});
}

inline void describe(OptionTable& t, AlignPropOptions& o) {
  t.group("Method alignprop");
  t.add("alignprop.truncation", &o.truncation,
        "steps that the gradient goes through: fixed:K = the last K; gaussian:MEAN:SD, uniform = those from a first step on "
        "that each minibatch draws; per-step = each step drawn by itself; auto = the published gaussian:42:5 of 50 steps, "
        "scaled to --sampler-steps")
      .metavar("HOW")
      .suggest({"auto", "uniform", "per-step"});
  t.add("alignprop.target", &o.target,
        "the loss is the distance of the reward from this; default: minus the reward, which has no end")
      .range(-1e12, 1e12);
  t.add("alignprop.scale", &o.scale, "factor of the loss; published: 0.01").range(0.0, 1e9);
}

inline void describe(OptionTable& t, ReflOptions& o) {
  t.group("Method refl");
  t.add("refl.last", &o.last, "share of the steps, at the chain's end, of which each minibatch draws the one with a gradient")
      .range(0.0, 1.0);
  t.add("refl.standardise", &o.standardise,
        "subtracted from rewards and divided by: base = mean and deviation of the base model's first samples; none; or MEAN:SD")
      .metavar("BY")
      .suggest({"base", "none"});
  t.add("refl.target", &o.target, "standardised reward above which a sample has no gradient").range(-1e12, 1e12);
  t.add("refl.scale", &o.scale, "factor of the loss; published: 0.001").range(0.0, 1e9);
}

inline void describe(OptionTable& t, RaftOptions& o) {
  t.group("Method raft");
  t.add("raft.best-of", &o.best_of, "samples drawn for each one that is kept, the best of its class").range(2, 1e6);
  t.add("raft.label-drop", &o.label_drop, "share of kept samples that lose their label in an update, so that guidance works")
      .range(0.0, 1.0);
}

inline void describe(OptionTable& t, StrlOptions& o) {
  t.group("Methods braid, strl");
  t.add("strl.alpha", &o.alpha,
        "weight of the path's KL to the base model, in nats, against the reward: samples tend to p exp(reward / alpha); 0 = no KL. "
        "Published: 0.001 for sequences, 0.01 with --strl.kl-reduce mean for images")
      .range(0.0, 1e9);
  t.add("strl.truncation", &o.truncation,
        "steps that the gradient goes through: all; fixed:K = the last K (published for sequences: fixed:4 of 50); uniform = those "
        "from a first step on that each minibatch draws (published for images); gaussian:MEAN:SD and per-step as alignprop's")
      .metavar("HOW")
      .suggest({"all", "uniform", "per-step"});
  t.add("strl.kl-reduce", &o.kl_reduce,
        "KL of a step: the sum over an item's coordinates, or their mean, which divides alpha by their number")
      .one_of({"sum", "mean"});
}

inline void describe(OptionTable& t, DrakesOptions& o) {
  t.group("Method drakes");
  t.add("drakes.k", &o.k, "last steps of a chain that the gradient goes through; 0 = all; default 50, or all of a shorter chain").range(0, 1e6);
  t.add("drakes.tau", &o.tau, "temperature of the relaxed draws in these steps; towards 0 they become letters, and gradients noise").range(1e-3, 1e3);
  t.add("drakes.relax", &o.relax,
        "what is relaxed: letters and mask together, as published, so that a site is partly of both; or the letters alone, which comes nearer to the optimum")
      .one_of({"symbols", "letters"});
  t.add("drakes.alpha", &o.alpha,
        "weight of the path's KL to the base model, in nats, against the reward: samples tend to p exp(reward / alpha); 0 = no KL")
      .range(0.0, 1e9);
  t.add("drakes.kl", &o.kl,
        "the exact KL of all steps, or the released code's weights, which are 0 wherever a site is wholly masked or revealed")
      .one_of({"exact", "published"});
}

inline void describe(OptionTable& t, DirectOptions& o) {
  t.group("Methods alignprop, braid, draft, draft-lv, drakes, refl, strl");
  t.add("direct.checkpoint", &o.checkpoint,
        "run each step with a gradient a second time instead of keeping its activations: less memory, a third more time");
}

}  // namespace plumb::align
