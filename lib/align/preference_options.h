// Settings of methods that learn from answers of people (papa, epapa, d3po, diffusion-dpo), and of asking for them between updates.
// Free of LibTorch.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "core/options.h"

namespace plumb::align {

/// Who is asked about what, round after round.
struct AskOptions {
  std::string who;              ///< --ask; "": none
  bool step = false;            ///< learn from the answers on the input instead
  int64_t rounds = 30;
  int64_t per_round = 10;       ///< answers of a round
  std::string mode;             ///< kind of question; "": the method's own
  std::string choose = "random";
  int64_t candidates = 0;       ///< samples drawn to choose among; 0: as many as are asked about
  std::string features = "default";
  int64_t share_start = 0;      ///< samples that start from one x_T; 0: 2 for d3po (rank: the size of a set), else 1
  std::string rater = "anonymous", question;
  int64_t per_page = 0, port = 0;
};

/// PAPA and EPAPA (arXiv 2607.00486). Values that are not given are the preset's: papa_rule().
struct PapaOptions {
  std::string preset = "safe";
  std::optional<double> alpha, alpha_np, gamma, neg_cap, guard;
  std::string qpde_on, replay, disliked;   ///< "": the preset's
  std::optional<int64_t> passes;
  int64_t timesteps = 0;        ///< M drawn of R; 0: all
  int64_t batch = 1;            ///< images of an optimiser step
  std::optional<int64_t> k;     ///< epapa: --papa.k
};

/// D3PO (Yang et al. 2024). Defaults are those of its released code.
struct D3poOptions {
  double beta = 0.1, eps = 0.1;
  std::string clip = "two-sided";
};

/// Diffusion-DPO (Wallace et al. 2024), in the form of a mean squared error of noise.
struct DiffusionDpoOptions {
  double beta = 100;
  int64_t timesteps = 8;        ///< noise levels of a pair in an update
  int64_t passes = 1;           ///< over the pairs of a round
  int64_t batch = 1;            ///< pairs of an optimiser step
};

/// All of them.
struct AnswerOptions {
  AskOptions ask;
  PapaOptions papa;
  D3poOptions d3po;
  DiffusionDpoOptions dpo;
};

inline void describe(OptionTable& t, AskOptions& o) {
  t.group("Asking (papa, epapa, d3po, diffusion-dpo)");
  t.add("ask", &o.who, "who answers after each round of samples: page, tty, exec:CMD, file:PATH, spool:DIR or oracle:SPEC; see feedback(1)")
      .metavar("WHO")
      .suggest({"page", "tty"});
  t.add("step", &o.step, "ask nobody: learn one round from the answers on the input, which feedback(1) wrote");
  t.add("rounds", &o.rounds, "rounds of sampling, asking and updating").range(1, 1e9);
  t.add("per-round", &o.per_round, "answers of a round").range(1, 1e6);
  t.add("mode", &o.mode, "kind of question: single (papa, epapa), pairs (d3po, diffusion-dpo), rating, or rank; see feedback(1)")
      .one_of({"single", "pairs", "rating", "rank"});
  t.add("choose", &o.choose,
        "which of the candidates are asked about: random; diverse = each as far as can be from those before; uncertain = where heads "
        "fitted to the answers so far disagree")
      .one_of({"random", "diverse", "uncertain"});
  t.add("candidates", &o.candidates, "samples of a round to choose from; 0 = as many as are asked about").range(0, 1e7);
  t.add("choose-features", &o.features, "feature network of --choose diverse and uncertain; see diversity(1)")
      .metavar("SPEC")
      .suggest({"default", "raw", "classifier:", "efficientnet-lite0", "torchscript:"});
  t.add("share-start", &o.share_start, "samples in turn that start from the same noise; 0 = 2 for d3po (with --mode rank as many as an order has), 1 for the others").range(0, 1e6);
  t.add("rater", &o.rater, "name of whoever answers").metavar("NAME");
  t.add("question", &o.question, "the question that a person reads").metavar("TEXT");
  t.add("per-page", &o.per_page, "items shown at once, at most; 0 = 9 pictures (4 in a terminal, or of text), 4 of rank").range(0, 9);
  t.add("port", &o.port, "port of the page on 127.0.0.1; 0 = any that is free").range(0, 65535).runtime();
}

inline void describe(OptionTable& t, PapaOptions& o) {
  t.group("Methods papa, epapa");
  t.add("papa.preset", &o.preset,
        "values of the options below that are not given: safe; parity = the published values with its slips mended; reference = the "
        "loss and order of the published code, slips included; see plumb-methods(7)")
      .one_of({"safe", "parity", "reference"});
  t.add("papa.alpha", &o.alpha, "weight of the denoising error of liked samples; 0.1").range(0.0, 1e9);
  t.add("papa.alpha-np", &o.alpha_np, "weight of minus that of disliked ones, which has no bound; parity 0.1, safe 0").range(0.0, 1e9);
  t.add("papa.gamma", &o.gamma, "weight of the squared distance of the predicted noise from the base model's; parity 0.009, safe 0.9")
      .range(0.0, 1e9);
  t.add("papa.qpde-on", &o.qpde_on, "samples that this distance is measured on; default: positive").one_of({"positive", "negative", "all"});
  t.add("papa.neg-cap", &o.neg_cap,
        "leave out timesteps of disliked samples whose error exceeds this many times the base model's; 0 = none")
      .range(0.0, 1e9);
  t.add("papa.disliked", &o.disliked, "what a dislike counts: -1, or 0 = nothing, as the paper's runs with liked samples only; default: -1")
      .one_of({"-1", "0"});
  t.add("papa.replay", &o.replay, "learn from all answers so far, or from those of the round; safe all, else none").one_of({"none", "all"});
  t.add("papa.passes", &o.passes, "passes of a round, each over as many samples as it has answers; safe 10, else 1").range(1, 1e6);
  t.add("papa.timesteps", &o.timesteps, "noise levels drawn for a sample in an update, in place of all; 0 = all").range(0, 1e6);
  t.add("papa.batch", &o.batch, "samples of an optimiser step").range(1, 1e6);
  t.add("papa.guard", &o.guard,
        "take back a round after which the error of liked samples is this many times the base model's, or not a number; 0 = never; "
        "safe 3, else 0")
      .range(0.0, 1e9);
  t.add("papa.k", &o.k, "epapa: timestep below which the base model samples and nothing is trained; default 0.4 of them").range(0, 1e6);
}

inline void describe(OptionTable& t, D3poOptions& o) {
  t.group("Method d3po");
  t.add("d3po.beta", &o.beta, "factor of the log-ratios in the loss").range(0.0, 1e9);
  t.add("d3po.eps", &o.eps, "how far the ratio to the base model counts from 1").range(0.0, 1.0);
  t.add("d3po.clip", &o.clip,
        "two-sided as published: a ratio outside has no gradient, also one that went the wrong way; one-sided: only the better sample "
        "is limited from above and the worse from below")
      .one_of({"two-sided", "one-sided"});
}

inline void describe(OptionTable& t, DiffusionDpoOptions& o) {
  t.group("Method diffusion-dpo");
  t.add("dpo.beta", &o.beta, "factor of the errors' differences in the loss").range(0.0, 1e9);
  t.add("dpo.timesteps", &o.timesteps, "noise levels drawn for a pair in an update").range(1, 1e6);
  t.add("dpo.passes", &o.passes, "passes over the pairs of a round").range(1, 1e6);
  t.add("dpo.batch", &o.batch, "pairs of an optimiser step").range(1, 1e6);
}

inline void describe(OptionTable& t, AnswerOptions& o) {
  describe(t, o.ask);
  describe(t, o.papa);
  describe(t, o.d3po);
  describe(t, o.dpo);
}

}  // namespace plumb::align
