// Settings of fine-tuning as one plain struct with its option rows. Free of LibTorch, so that the command's front can
// parse them before the library is loaded (lib/cli/tool.h).   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "align/method_options.h"
#include "align/preference_options.h"
#include "align/resolved_options.h"
#include "core/options.h"
#include "rewards/names.h"

namespace plumb::align {

/// Everything but the group "Running" shapes the result. Defaults are those of the DDPO paper's released code
/// where it has one (Black et al. 2024), sized down to a small model.
struct FinetuneOptions : AnswerOptions {
  std::string method = "ddpo-is";
  std::string reward;                ///< expression, plumb-rewards(7)
  std::vector<std::string> classes;  ///< numbers or names; empty: all of a conditional model; "none": the null class
  uint64_t seed = 0;

  // Rollouts
  int64_t epochs = 20;
  int64_t samples_per_epoch = 64;  ///< N
  int64_t batch_size = 32;         ///< rows of one network pass; memory and speed only
  int64_t sampler_steps = 20;      ///< T
  std::optional<int64_t> chain_steps, rows_at_once;   ///< --sampler-steps and --batch-size, in place of the method's (resolve())
  double eta = 1.0;
  std::string variance = "auto";  ///< chain_variance()
  double guidance_scale = 1.0;

  // Updates
  int64_t train_batch_size = 0;   ///< samples; 0: see resolve()
  int64_t grad_accumulation = 1;  ///< G, minibatches an optimiser step
  int64_t inner_epochs = 1;
  double timestep_fraction = 1.0;
  double max_step_gain = 4.0;
  std::string update_order = "auto", step_order = "shuffled";
  std::optional<double> lr;  ///< learning_rate()
  std::optional<double> weight_decay;  ///< decay()
  std::optional<double> grad_clip;  ///< gradient_limit()
  double clip_range = 0.0;  ///< 0: equivalent_clip_range
  std::string logprob_reduce = "mean";

  // Advantages
  std::string advantage = "per-prompt";
  int64_t tracker_size = 32, tracker_min = 16;  ///< M, m
  std::optional<double> advantage_clip;  ///< advantage_limit()

  // Other rewards
  std::vector<std::string> constraints;  ///< "EXPR>=FLOOR"
  double constraint_lr = 0.1, constraint_max = 10;

  // Distance to the base model
  std::optional<double> kl_coef;  ///< kl_weight()
  std::string kl_form = "exact";
  double kl_penalty = 0.0;
  std::string kl_shape = "clip";
  double kl_target = 0.0;
  int64_t kl_horizon = 2000;

  // Of single methods
  TdpoOptions tdpo;
  DpokOptions dpok;
  GrpoOptions grpo;
  DraftOptions draft;
  AlignPropOptions alignprop;
  ReflOptions refl;
  RaftOptions raft;
  StrlOptions strl;
  DrakesOptions drakes;
  DirectOptions direct;

  // What is trained
  int64_t lora_rank = 4;
  double lora_alpha = 0.0;
  std::vector<std::string> lora_targets = {"all"};
  bool full = false;
  bool merge = false;

  // Monitor
  std::vector<std::string> gold;
  bool allow_trained_gold = false;
  int64_t monitor_every = 10;
  int64_t monitor_n = 64;
  int64_t monitor_bootstrap = 200;
  std::string monitor_features = "default";
  std::vector<std::string> stop;
  std::string keep = "last";

  // Running
  double reward_timeout_s = 300;
  double save_every_s = 300;
  int64_t save_epochs = 0;
  double time_limit_s = 0;
  std::string resume = "auto";
};

/// Method names, from methods.def.
inline std::vector<std::string> method_names() {
  return {
#define PLUMB_METHOD(identifier, name, summary) name,
#include "align/methods.def"
#undef PLUMB_METHOD
  };
}

inline void describe(OptionTable& t, FinetuneOptions& o) {
  t.add("method", &o.method, "how the reward reaches the weights; see plumb-methods(7)").one_of(method_names());
  t.add("reward", &o.reward, "reward to raise, an expression; see plumb-rewards(7); with --ask or --step only watched")
      .metavar("EXPR")
      .suggest(rewards::reward_names())
      .once("join them: --reward 'A + 0.5 * B'");
  t.add("class", &o.classes,
        "class drawn for samples, by number or name, or none; repeatable; default: all in equal shares")
      .metavar("CLASS");
  t.add("seed", &o.seed, "seed of noise, classes, order and adapter weights");

  t.group("Rollouts");
  t.add("epochs", &o.epochs, "rounds of sampling and updating").range(1, 1e9);
  t.add("samples-per-epoch", &o.samples_per_epoch, "samples drawn and scored each epoch").range(2, 1e7);
  t.add("batch-size", &o.rows_at_once, "rows of one network pass; affects speed and memory; default 32, for methods that learn from answers 64").range(1, 65536);
  t.add("sampler-steps", &o.chain_steps, "steps of a sample's chain; default 20, for braid and strl 50, for drakes 128").range(1, 1e5);
  t.add("eta", &o.eta, "noise scale of DDIM; 1 = the variance of DDPM; 0 = none, for methods that need no density of a step").range(0.0, 1.0);
  t.add("variance", &o.variance,
        "noise of a step: posterior = DDIM's, by --eta; beta = DDPM's larger choice, and updates draw it in the last step too; auto = "
        "beta for braid and strl, else posterior")
      .one_of({"auto", "posterior", "beta"});
  t.add("guidance-scale", &o.guidance_scale, "classifier-free guidance in sampling and training; 1 = none").range(0.0, 1e3);

  t.group("Updates");
  t.add("train-batch-size", &o.train_batch_size, "samples a minibatch; 0 = half the epoch, or all of it for ddpo-sf")
      .range(0, 1e7);
  t.add("grad-accumulation", &o.grad_accumulation, "minibatches an optimiser step").range(1, 1e6);
  t.add("inner-epochs", &o.inner_epochs, "passes over the samples of an epoch").range(1, 1e3);
  t.add("timestep-fraction", &o.timestep_fraction, "share of a sample's steps used by updates, drawn at random")
      .range(0.0, 1.0);
  t.add("max-step-gain", &o.max_step_gain,
        "leave steps that move more standard deviations than this per unit of output (the nearly noiseless last ones of short chains) "
        "out of policy gradients and of the monitor's KL; 0 = none")
      .range(0.0, 1e9);
  t.add("update-order", &o.update_order,
        "an optimiser step for whole trajectories, or for each column of permuted steps; auto = columns for tdpo, tdpo-r")
      .one_of({"auto", "trajectories", "columns"});
  t.add("step-order", &o.step_order, "steps of a sample in updates: permuted, or as the chain has them").one_of({"shuffled", "chain"});
  t.add("lr", &o.lr, "learning rate of AdamW; default 1e-3, for tdpo and tdpo-r 3e-4, for drakes and diffusion-dpo 1e-4, for papa and epapa by other presets than safe 1e-5").range(0.0, 1.0);
  t.add("weight-decay", &o.weight_decay, "decoupled weight decay; default 1e-4, for braid, drakes, strl, papa and epapa 0").range(0.0, 1.0);
  t.add("grad-clip", &o.grad_clip, "largest global gradient norm; 0 = no clipping; default 1, for papa and epapa 0").range(0.0, 1e9);
  t.add("clip-range", &o.clip_range,
        "PPO clip range of the ratio; 0 = 1e-4 * 16384 / D for items of D elements: the published 1e-4 of Stable "
        "Diffusion's latents, as the same trust region for any size")
      .range(0.0, 1e3);
  t.add("logprob-reduce", &o.logprob_reduce, "log-probability of a step: mean or sum over an item's elements")
      .one_of({"mean", "sum"});

  t.group("Advantages");
  t.add("advantage", &o.advantage,
        "normalise rewards within each prompt (class) by its recent rewards, over the epoch, or over all epochs so far")
      .one_of({"per-prompt", "global", "running"});
  t.add("tracker-size", &o.tracker_size, "rewards remembered for each class").range(1, 1e6);
  t.add("tracker-min", &o.tracker_min, "rewards a class needs before its own statistics are used").range(1, 1e6);
  t.add("advantage-clip", &o.advantage_clip, "largest absolute advantage; 0 = no limit; default 5, for tdpo, tdpo-r and dpok none").range(0.0, 1e6);

  t.group("Other rewards");
  t.add("constraint", &o.constraints, "reward whose mean is to stay at or above a floor, by a Lagrange multiplier; repeatable")
      .metavar("EXPR>=FLOOR");
  t.add("constraint-lr", &o.constraint_lr, "step of a multiplier for each standard deviation below the floor, once an epoch")
      .range(0.0, 1e6);
  t.add("constraint-max", &o.constraint_max, "largest multiplier").range(0.0, 1e9);

  t.group("Distance to the base model");
  t.add("kl-coef", &o.kl_coef, "weight of the KL to the base model in the loss; default 0, for dpok 0.001").range(0.0, 1e9);
  t.add("kl-form", &o.kl_form, "the exact KL of each step, or the plain mean square difference of predicted noise")
      .one_of({"exact", "plain"});
  t.add("kl-penalty", &o.kl_penalty, "weight of the log-ratio to the base model subtracted from the steps' returns")
      .range(0.0, 1e9);
  t.add("kl-shape", &o.kl_shape, "function of the log-ratio used by --kl-penalty")
      .one_of({"kl", "abs", "square", "clip", "approx", "k3", "js"});
  t.add("kl-target", &o.kl_target, "adapt --kl-penalty towards this path log-ratio; 0 = fixed").range(0.0, 1e9);
  t.add("kl-horizon", &o.kl_horizon, "samples over which --kl-target adapts").range(1, 1e12);

  describe(t, o.tdpo);
  describe(t, o.dpok);
  describe(t, o.grpo);
  describe(t, o.draft);
  describe(t, o.alignprop);
  describe(t, o.raft);
  describe(t, o.refl);
  describe(t, o.strl);
  describe(t, o.drakes);
  describe(t, o.direct);
  describe(t, static_cast<AnswerOptions&>(o));

  t.group("What is trained");
  t.add("lora-rank", &o.lora_rank, "rank of the adapter").range(1, 4096);
  t.add("lora-alpha", &o.lora_alpha, "numerator of the adapter's scale alpha / rank; 0 = the rank").range(0.0, 1e6);
  t.add("lora-targets", &o.lora_targets,
        "endings of the layer names that get an adapter, such as to_q; all = each linear and convolution")
      .metavar("NAME");
  t.add("full", &o.full, "train all weights instead of an adapter");
  t.add("merge", &o.merge, "write a full model with the adapter merged in");

  t.group("Monitor");
  t.add("gold", &o.gold, "reward that is watched and not trained on; repeatable")
      .metavar("EXPR")
      .suggest(rewards::reward_names());
  t.add("allow-trained-gold", &o.allow_trained_gold, "watch a gold reward that is the trained one, or shares a file with it");
  t.add("monitor-every", &o.monitor_every, "updates between evaluations on fixed seeds; 0 = no monitor").range(0, 1e9);
  t.add("monitor-n", &o.monitor_n, "samples of an evaluation").range(4, 1e6);
  t.add("monitor-bootstrap", &o.monitor_bootstrap, "resamples behind the standard errors of diversity").range(10, 1e5);
  t.add("monitor-features", &o.monitor_features, "feature network of the diversity figures; see diversity(1)")
      .metavar("SPEC")
      .suggest({"default", "raw", "classifier:", "efficientnet-lite0", "torchscript:"});
  t.add("stop", &o.stop, "end the run when a rule holds: gold-drop:z=2,k=3, kl:12 or vendi-ratio:.5; repeatable")
      .metavar("RULE");
  t.add("keep", &o.keep, "weights that become the output").one_of({"last", "best-gold"});

  t.group("Running");
  t.add("reward-timeout", &o.reward_timeout_s, "seconds a reward program may take").range(0.01, 1e9).runtime();
  t.add("save-every", &o.save_every_s, "seconds between checkpoints").range(0.1, 1e9).runtime();
  t.add("save-epochs", &o.save_epochs, "write the model every this many epochs or rounds too, as OUT.rounds/model-NNNN.h5; 0 = at the end only").range(0, 1e9).runtime();
  t.add("time-limit", &o.time_limit_s, "stop with a checkpoint after this many seconds; 0 = no limit").range(0, 1e9).runtime();
  t.add("resume", &o.resume, "checkpoint to go on from: auto (OUT.ckpt if it is of this command), never, or a file")
      .suggest({"auto", "never"})
      .file()
      .runtime();
}

}  // namespace plumb::align
