// What options mean together.   SPDX-License-Identifier: Apache-2.0
#include "align/options.h"

#include <algorithm>

#include "align/asking.h"
#include "align/constraint.h"
#include "align/stop_rules.h"
#include "core/error.h"
#include "core/text.h"
#include "feedback/asker.h"

namespace plumb::align {
namespace {

/// Options that mean nothing where `reason` holds.
void refuse_if_set(const std::function<bool(const std::string&)>& was_set, const std::vector<std::string>& options,
                   const std::string& reason) {
  for (const std::string& option : options)
    if (was_set(option))
      throw Error(Exit::kUsage, "--" + option, "has no effect " + reason, "leave it out");
}

/// Options named after a method, "METHOD.option".
std::vector<std::string> options_of(const std::string& method) {
  FinetuneOptions defaults;
  OptionTable table;
  describe(table, defaults);
  std::vector<std::string> names;
  for (const std::string& name : table.names())
    if (name.rfind(method + ".", 0) == 0)
      names.push_back(name);
  return names;
}

bool is_papa(const FinetuneOptions& o) { return o.method == "papa" || o.method == "epapa"; }
bool is_tdpo(const FinetuneOptions& o) { return o.method == "tdpo" || o.method == "tdpo-r"; }

}  // namespace

double learning_rate(const FinetuneOptions& o) {
  if (is_papa(o))
    return o.lr.value_or(o.papa.preset == "safe" && !o.full ? 1e-3 : 1e-5);
  return o.lr.value_or(o.method == "drakes" || o.method == "diffusion-dpo" ? 1e-4 : is_tdpo(o) ? 3e-4 : 1e-3);
}
double decay(const FinetuneOptions& o) { return o.weight_decay.value_or(has_path_kl(o) || o.method == "drakes" || is_papa(o) ? 0.0 : 1e-4); }
double gradient_limit(const FinetuneOptions& o) { return o.grad_clip.value_or(is_papa(o) ? 0.0 : 1.0); }
double advantage_limit(const FinetuneOptions& o) { return o.advantage_clip.value_or(is_tdpo(o) || o.method == "dpok" ? 0.0 : 5.0); }
double kl_weight(const FinetuneOptions& o) { return o.kl_coef.value_or(o.method == "dpok" ? 1e-3 : 0.0); }
std::string chain_variance(const FinetuneOptions& o) {
  return o.variance != "auto" ? o.variance : has_path_kl(o) ? "beta" : "posterior";
}
bool has_path_kl(const FinetuneOptions& o) { return o.method == "braid" || o.method == "strl"; }
bool is_direct(const FinetuneOptions& o) {
  return o.method == "alignprop" || o.method == "draft" || o.method == "draft-lv" || o.method == "drakes" || o.method == "refl" || has_path_kl(o);
}
bool learns_from_answers(const FinetuneOptions& o) { return is_papa(o) || o.method == "d3po" || o.method == "diffusion-dpo"; }
int64_t base_below(const FinetuneOptions& o, int64_t timesteps) {
  return o.method == "epapa" ? o.papa.k.value_or(timesteps * 2 / 5) : 0;
}
bool needs_density(const FinetuneOptions& o) {
  return !is_direct(o) && o.method != "raft" && (!learns_from_answers(o) || o.method == "d3po");
}
bool keeps_reward_history(const FinetuneOptions& o) {
  return o.advantage == "per-prompt" && o.method != "grpo" && !(o.method == "dpok" && o.dpok.reward == "raw");
}
int64_t samples_updated_on(const FinetuneOptions& o) {
  return o.method == "raft" ? o.samples_per_epoch / o.raft.best_of : o.samples_per_epoch;
}
bool uses_critic_features(const FinetuneOptions& o) { return is_tdpo(o); }

namespace {

/// What belongs to methods that learn from answers, and to them alone.
void resolve_answers(FinetuneOptions& o, const std::function<bool(const std::string&)>& was_set) {
  const std::string with = "with --method " + o.method;
  if (!is_papa(o))
    refuse_if_set(was_set, options_of("papa"), with);
  if (o.method == "papa")
    refuse_if_set(was_set, {"papa.k"}, with + ", which trains on all timesteps");
  if (o.method != "d3po")
    refuse_if_set(was_set, options_of("d3po"), with);
  if (o.method != "diffusion-dpo")
    refuse_if_set(was_set, options_of("dpo"), with);
  const std::vector<std::string> asking{"rounds", "per-round", "mode", "choose", "candidates", "choose-features", "rater",
                                        "question", "per-page", "port"};
  if (!learns_from_answers(o)) {
    refuse_if_set(was_set, asking, with);
    refuse_if_set(was_set, {"ask", "step", "share-start"}, with + ", which learns from --reward");
    if (o.reward.empty())
      throw Error(Exit::kUsage, "--reward", "is needed " + with, "see plumb-rewards(7)");
    return;
  }
  const bool pairs = o.method == "d3po" || o.method == "diffusion-dpo";
  refuse_if_set(was_set,
                {"epochs", "samples-per-epoch", "grad-accumulation", "update-order", "step-order", "clip-range", "advantage", "tracker-size",
                 "tracker-min", "advantage-clip", "constraint", "constraint-lr", "constraint-max", "kl-coef", "kl-form", "kl-penalty",
                 "kl-shape", "kl-target", "kl-horizon"},
                with + ", which learns from answers");
  if (o.method != "d3po")
    refuse_if_set(was_set, {"inner-epochs", "timestep-fraction", "logprob-reduce", "train-batch-size"},
                  with + ", which learns from noised samples");
  if (o.ask.step == !o.ask.who.empty())
    throw Error(Exit::kUsage, "--ask", o.ask.step ? "does not go with --step, which reads answers" : "says who answers, and is needed " + with,
                o.ask.step ? "leave one out" : "--ask page, or --step with the output of feedback on the input");
  if (o.ask.step)
    refuse_if_set(was_set, {"share-start"}, "with --step, whose samples say it themselves");
  if (o.ask.step)
    refuse_if_set(was_set, asking, "with --step, whose answers were asked for elsewhere");
  if (o.ask.step && o.keep == "best-gold")
    throw Error(Exit::kUsage, "--keep", "best-gold does not go with --step: the next round would go on from other weights than were asked about", "leave it out");
  if (o.ask.mode.empty())
    o.ask.mode = pairs ? "pairs" : "single";
  if (!pairs && (o.ask.mode == "pairs" || o.ask.mode == "rank"))
    throw Error(Exit::kUsage, "--mode", o.ask.mode + " compares items, and " + o.method + " learns from judgements of single ones", "single or rating");
  if (o.ask.mode == "pairs" || o.ask.mode == "rating")
    refuse_if_set(was_set, {"per-page"}, "with --mode " + o.ask.mode);
  if (o.ask.mode == "rank" && o.ask.per_page == 1)
    throw Error(Exit::kUsage, "--per-page", "is 1: a single item has no order", "2 or more");
  if (o.ask.choose == "uncertain" && pairs)
    throw Error(Exit::kUsage, "--choose", "uncertain is for papa and epapa", "random, or diverse");
  if (o.ask.choose == "random" && !o.ask.step)
    refuse_if_set(was_set, {"choose-features"}, "with --choose random");
  const std::string asker = o.ask.step ? "" : feedback::asker_name(o.ask.who);
  if (o.ask.who != "page")
    refuse_if_set(was_set, {"port"}, "without --ask page");
  if (asker == "oracle" || asker == "file")
    refuse_if_set(was_set, {"question"}, "with --ask " + asker + ", which reads no question");
  if (!o.ask.step && o.ask.mode == "single" && asker != "page" && asker != "tty")
    refuse_if_set(was_set, {"per-page"}, "with --ask " + asker + " and --mode single");
  if (o.monitor_every == 0)
    refuse_if_set(was_set, {"reward"}, with + " and --monitor-every 0: nothing watches it");
  if (o.ask.candidates > 0) {
    AskOptions asked = o.ask;
    asked.candidates = 0;
    if (o.ask.candidates < samples_per_round(asked))
      throw Error(Exit::kUsage, "--candidates", cat(o.ask.candidates, " are fewer than the ", samples_per_round(asked), " samples that a round asks about"),
                  "more of them, or a smaller --per-round");
  }
  if (o.ask.share_start == 0)
    o.ask.share_start = o.method != "d3po" ? 1 : o.ask.mode == "rank" ? (o.ask.per_page > 0 ? o.ask.per_page : 4) : 2;
  if (o.ask.choose == "diverse" && o.ask.share_start > 1 && pairs)
    throw Error(Exit::kUsage, "--choose", "diverse would compare samples that do not share a start", "random");
  if (o.method == "d3po" && o.ask.share_start < 2)
    throw Error(Exit::kUsage, "--share-start", "d3po compares samples that start from the same noise", "2 or more");
  if (!o.ask.step && o.ask.share_start > 1 && samples_per_round(o.ask) % o.ask.share_start != 0)
    throw Error(Exit::kUsage, o.ask.candidates > 0 ? "--candidates" : "--per-round",
                cat(samples_per_round(o.ask), " samples a round are no whole number of groups of ", o.ask.share_start, " that share a start"),
                cat("make it one, or choose another --share-start"));
  if (!o.ask.step)
    feedback::check_asker(o.ask.who, feedback::parse_mode(o.ask.mode, "--mode"));
  o.epochs = o.ask.rounds;
  o.samples_per_epoch = samples_per_round(o.ask);
  o.batch_size = o.rows_at_once.value_or(64);  // as sample
  if (o.train_batch_size == 0)
    o.train_batch_size = 1;
}

}  // namespace

void resolve(FinetuneOptions& o, const std::function<bool(const std::string&)>& was_set) {
  o.batch_size = o.rows_at_once.value_or(o.batch_size);
  o.sampler_steps = o.chain_steps.value_or(has_path_kl(o) ? 50 : o.sampler_steps);  // of the path that the KL is of, published
  resolve_answers(o, was_set);
  if (!(o.eta > 0) && needs_density(o))
    throw Error(Exit::kUsage, "--eta", "policy gradients need noise in every step: at 0 a step has no density",
                "use --eta 1");
  if (chain_variance(o) == "beta") {
    refuse_if_set(was_set, {"eta"}, "with --variance beta, which says how much noise a step has");
    if (needs_density(o))
      throw Error(Exit::kUsage, "--variance", "beta does not go with policy gradients, which step by DDIM", "posterior");
  }
  if (!needs_density(o)) {  // steps left out then matter to the monitor's KL alone
    if (chain_variance(o) == "beta")
      refuse_if_set(was_set, {"max-step-gain"}, "with --variance beta, all of whose steps have noise");
    if (!(o.eta > 0))
      refuse_if_set(was_set, {"max-step-gain"}, "with --eta 0, whose steps have no noise");
    if (o.monitor_every == 0)
      refuse_if_set(was_set, {"max-step-gain"}, "with --method " + o.method + " and --monitor-every 0");
  }
  if (has_path_kl(o))
    refuse_if_set(was_set, {"kl-coef", "kl-form"}, "with --method " + o.method + ", whose KL is weighed by --strl.alpha");
  else
    refuse_if_set(was_set, options_of("strl"), "with --method " + o.method);
  if (has_path_kl(o) && !(o.eta > 0) && chain_variance(o) == "posterior")
    throw Error(Exit::kUsage, "--eta", "the KL of the path needs noise in every step", "--variance beta");
  if (o.method == "drakes") {
    refuse_if_set(was_set, {"kl-coef", "kl-form"}, "with --method drakes, whose KL is weighed by --drakes.alpha");
    o.sampler_steps = o.chain_steps.value_or(128);  // published
  }
  if (is_direct(o)) {
    refuse_if_set(was_set,
                  {"inner-epochs", "timestep-fraction", "update-order", "step-order", "clip-range",
                   "logprob-reduce", "advantage", "tracker-size", "tracker-min", "advantage-clip", "constraint", "constraint-lr",
                   "constraint-max", "kl-penalty", "kl-shape", "kl-target", "kl-horizon"},
                  "with --method " + o.method + ", which follows the reward's own gradient");
  } else {
    refuse_if_set(was_set, options_of("direct"), "with --method " + o.method);
  }
  if (o.method == "raft") {
    refuse_if_set(was_set,
                  {"timestep-fraction", "update-order", "step-order", "clip-range", "logprob-reduce", "advantage",
                   "tracker-size", "tracker-min", "advantage-clip", "constraint", "constraint-lr", "constraint-max", "kl-penalty",
                   "kl-shape", "kl-target", "kl-horizon"},
                  "with --method raft, which trains on its best samples as on data");
    if (was_set("kl-form") && o.kl_form == "exact")
      throw Error(Exit::kUsage, "--kl-form", "exact is of a chain's steps, and raft trains on noised samples", "plain");
    o.kl_form = "plain";
    if (o.samples_per_epoch % o.raft.best_of != 0)
      throw Error(Exit::kUsage, "--samples-per-epoch",
                  cat(o.samples_per_epoch, " is no multiple of --raft.best-of ", o.raft.best_of), "make it one");
  }
  if (o.method != "draft" && o.method != "draft-lv")
    refuse_if_set(was_set, options_of("draft"), "with --method " + o.method);
  if (o.method == "draft")
    refuse_if_set(was_set, {"draft.lv-n", "draft.lv-include-base"}, "with --method draft");
  if (o.method == "draft-lv")
    refuse_if_set(was_set, {"draft.k"}, "with --method draft-lv, whose gradient goes through the last step");
  if (o.method == "ddpo-sf")
    refuse_if_set(was_set, {"clip-range"}, "with --method ddpo-sf, which has no ratio to clip");
  if (!is_tdpo(o))
    refuse_if_set(was_set, options_of("tdpo"), "with --method " + o.method);
  for (const char* method : {"alignprop", "dpok", "drakes", "grpo", "raft", "refl"})
    if (o.method != method)
      refuse_if_set(was_set, options_of(method), "with --method " + o.method);
  if (o.method == "tdpo")
    refuse_if_set(was_set, {"tdpo.reset", "tdpo.reset-every", "tdpo.reset-seed"}, "with --method tdpo, which resets nothing");
  if (o.method == "tdpo-r" && o.tdpo.reset == "none")
    refuse_if_set(was_set, {"tdpo.reset-every", "tdpo.reset-seed"}, "with --tdpo.reset none");
  if (o.method == "dpok" && o.dpok.value_updates == 0)
    refuse_if_set(was_set, {"dpok.value-lr", "dpok.value-batch"}, "without a value network");
  if (o.method == "dpok" && o.dpok.reward == "raw")
    refuse_if_set(was_set, {"advantage", "tracker-size", "tracker-min"}, "with --dpok.reward raw, which normalises nothing");
  if (o.method == "dpok" && o.dpok.reward == "raw" && !o.constraints.empty())
    throw Error(Exit::kUsage, "--constraint", "weighs normalised rewards", "--dpok.reward normalised");
  if (o.method == "grpo")
    refuse_if_set(was_set, {"advantage", "tracker-size", "tracker-min"}, "with --method grpo, whose groups are its own");
  const bool columns = o.update_order == "columns" || (o.update_order == "auto" && is_tdpo(o));
  if (!columns && o.timestep_fraction == 1.0)
    refuse_if_set(was_set, {"step-order"}, "where each update takes all steps of its samples");
  if (o.constraints.empty())
    refuse_if_set(was_set, {"constraint-lr", "constraint-max"}, "without --constraint");
  for (const std::string& constraint : o.constraints)
    parse_constraint(constraint);
  if (kl_weight(o) == 0)
    refuse_if_set(was_set, {"kl-form"}, "without --kl-coef");
  if (o.advantage != "per-prompt")
    refuse_if_set(was_set, {"tracker-size", "tracker-min"}, "with --advantage " + o.advantage);
  if (o.full)
    refuse_if_set(was_set, {"lora-rank", "lora-alpha", "lora-targets", "merge"}, "with --full");
  if (o.kl_penalty == 0)
    refuse_if_set(was_set, {"kl-shape", "kl-target"}, "without --kl-penalty");
  if (o.kl_target == 0)
    refuse_if_set(was_set, {"kl-horizon"}, "without --kl-target");
  else if (o.kl_horizon * 5 <= o.samples_per_epoch)  // a factor of 1 - 0.2 N / horizon or more
    throw Error(Exit::kUsage, "--kl-horizon", cat(o.kl_horizon, " is so few of an epoch's ", o.samples_per_epoch, " samples that the penalty could turn negative"),
                "the published 2000, or at least the samples of an epoch");
  if (o.monitor_every == 0)
    refuse_if_set(was_set, {"gold", "allow-trained-gold", "monitor-n", "monitor-bootstrap", "monitor-features", "stop", "keep"},
                  "with --monitor-every 0");
  if (o.logprob_reduce == "sum" && o.clip_range == 0 && o.method != "ddpo-sf" && !learns_from_answers(o))
    throw Error(Exit::kUsage, "--clip-range", "0 is for mean log-probabilities",
                "give the range of the true ratio, such as 0.2");
  if (o.tracker_min > o.tracker_size)
    throw Error(Exit::kUsage, "--tracker-min",
                "is larger than --tracker-size, so no prompt would be normalised by itself");
  for (const std::string& rule : o.stop)
    if (parse_stop_rule(rule).needs_gold() && o.gold.empty())
      throw Error(Exit::kUsage, "--stop", "'" + rule + "' needs a reward that is not trained on", "add --gold EXPR");
  if (o.gold.empty())
    refuse_if_set(was_set, {"allow-trained-gold"}, "without --gold");
  if (o.keep == "best-gold" && o.gold.empty())
    throw Error(Exit::kUsage, "--keep", "best-gold needs a reward that is not trained on", "add --gold EXPR");
  if (o.train_batch_size == 0) {
    const int64_t updated_on = samples_updated_on(o);
    const int64_t per_update = o.method == "ddpo-sf" || updated_on == 1 ? updated_on : updated_on / 2;
    if (per_update % o.grad_accumulation != 0 || updated_on % per_update != 0)
      throw Error(Exit::kUsage, "--samples-per-epoch",
                  cat(updated_on, " samples of an epoch do not divide into equal minibatches"), "set --train-batch-size");
    o.train_batch_size = per_update / o.grad_accumulation;
  }
  if (learns_from_answers(o))
    return;
  // No pass needs more rows than a rollout or an update has; all passes then have the same size
  // (PolicyOptions::pass_rows). A direct method's minibatches are drawn one by one.
  o.batch_size =
      std::min({o.batch_size, o.samples_per_epoch, o.train_batch_size * (is_direct(o) ? 1 : o.grad_accumulation)});
}

void check_model(const FinetuneOptions& o, const std::string& process, int64_t num_classes,
                 const std::function<bool(const std::string&)>& was_set) {
  if (process == "masked" && o.method != "drakes")
    throw Error(Exit::kUsage, "--method", o.method + " does not go with a model of masked letters, whose steps it has no gradient of",
                "--method drakes");
  if (process != "masked" && o.method == "drakes")
    throw Error(Exit::kUsage, "--method", "drakes is for models of masked letters, and this one is of " + process + " diffusion",
                "pretrain --process masked; or --method strl");
  if (process != "gaussian")
    refuse_if_set(was_set, {"eta", "variance", "max-step-gain"}, "on a " + process + " model, whose steps have their own noise");
  if (num_classes == 0 || o.classes == std::vector<std::string>{"none"})
    refuse_if_set(was_set, {"raft.label-drop"}, "on samples without a class");
}

}  // namespace plumb::align
