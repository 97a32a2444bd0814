// Settings of reward-train with their option rows. Free of LibTorch.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "core/options.h"
#include "rewards/uncertainty_options.h"

namespace plumb::rewards {

/// How a reward network is fitted. Everything here shapes the result.
struct RewardTrainingOptions {
  std::string type = "classifier";  ///< classifier: cross-entropy; regressor: squared error on standardised targets; preference: see comparisons.h
  double epochs = 10;               ///< passes over the training items
  int64_t steps = 0;                ///< optimiser steps; 0: by epochs
  int64_t batch_size = 128;
  double lr = 2e-3;                 ///< peak of AdamW: linear warm-up, then cosine to 0
  std::optional<int64_t> lr_warmup; ///< steps; absent: 100, but at most a tenth of all
  double weight_decay = 0.05;
  double grad_clip = 1.0;           ///< 0: none
  double label_smoothing = 0;       ///< classifier and preference
  bool flip = false;
  int64_t shift = 0;                ///< pixels
  double held_out = 0.1;            ///< share of the labelled items that is never trained on
  int64_t labels = 0;               ///< labelled items in all, held out ones included; 0: every one
  double label_noise = 0;           ///< regressor: sd of noise on each target; classifier: share of labels drawn anew; preference: of answers turned round
  int64_t evaluate_every = 0;       ///< steps between evaluations on held-out items; 0: once a pass
  int64_t patience = 0;             ///< evaluations without a better held-out loss before stopping; 0: never
  double below = 1;                 ///< regressor: only items whose target is at or below this quantile of all targets
  UncertaintyOptions uncertainty;   ///< regressor
  std::optional<double> ridge;      ///< regressor, linear network: lambda of the closed form, instead of steps
  bool ridge_intercept = false;
  std::string noised_by;            ///< model whose forward process noises the items; "": clean items
  int64_t noised_steps = 0;         ///< timesteps of a sampler of that many steps only; 0: all
  bool calibrate = false;           ///< classifier: fit a temperature on held-out items
  uint64_t seed = 0;
};

inline void describe(OptionTable& t, RewardTrainingOptions& o) {
  t.add("type", &o.type, "what to learn: the class of each item, the number that scores give it, or what people preferred (Bradley-Terry)")
      .one_of({"classifier", "regressor", "preference"});
  t.group("Labels");
  t.add("labels", &o.labels, "use this many labelled items only, held-out ones included; 0 = all").range(0, 1e12);
  t.add("label-noise", &o.label_noise,
        "regressor: standard deviation of normal noise added to each target; classifier: share of labels replaced by a random class; "
        "preference: share of answers turned round")
      .range(0, 1e9);
  t.add("below", &o.below, "regressor: use only items whose target is at or below this quantile of all targets, before --labels draws from them; 1 = all")
      .range(0, 1);
  t.add("held-out", &o.held_out, "share of the labelled items kept for early stopping and for the metrics").range(0, 0.9);
  t.group("Training");
  t.add("epochs", &o.epochs, "passes over the training items").range(1e-3, 1e6);
  t.add("steps", &o.steps, "optimiser steps; 0 = by --epochs").range(0, 1e9);
  t.add("batch-size", &o.batch_size, "items a step").range(1, 65536);
  t.add("lr", &o.lr, "peak learning rate of AdamW; a linear warm-up leads there, a cosine to 0 from there").range(0, 1);
  t.add("lr-warmup", &o.lr_warmup, "steps of warm-up; default 100, but at most a tenth of all").range(0, 1e9);
  t.add("weight-decay", &o.weight_decay, "decoupled weight decay").range(0, 10);
  t.add("grad-clip", &o.grad_clip, "largest global gradient norm; 0 = no clipping").range(0, 1e9);
  t.add("label-smoothing", &o.label_smoothing, "classifier: share of the target spread over all classes; preference: share of each answer that becomes a tie").range(0, 0.9);
  t.add("flip", &o.flip, "mirror half of the images at random");
  t.add("shift", &o.shift, "move images by up to this many pixels each way at random").range(0, 64);
  t.add("evaluate-every", &o.evaluate_every, "steps between evaluations on held-out items; 0 = once a pass").range(0, 1e9);
  t.add("patience", &o.patience, "stop after this many evaluations without a better held-out loss; 0 = never").range(0, 1e6);
  t.add("calibrate", &o.calibrate, "classifier: fit a temperature to the held-out items");
  t.add("seed", &o.seed, "seed of weights, split, order, noise and augmentation");
  t.group("Noised items");
  t.add("noised-by", &o.noised_by, "train on x_t, items noised by this model's forward process at timesteps drawn uniformly, for guidance at x_t").metavar("MODEL.h5").file();
  t.add("noised-steps", &o.noised_steps, "with --noised-by: draw only timesteps of a sampler of N steps; 0 = all").metavar("N").range(0, 1e6);
  t.group("Closed form");
  t.add("ridge", &o.ridge, "regressor with --network linear or kmer: (X^T X + LAMBDA I)^-1 X^T y instead of training by steps; no target or feature is "
        "centred or scaled").metavar("LAMBDA").range(0, 1e12);
  t.add("ridge-intercept", &o.ridge_intercept, "with --ridge: add a constant, which is not penalised");
  describe(t, o.uncertainty);
}

}  // namespace plumb::rewards
