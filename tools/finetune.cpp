// finetune: raises a reward of a model's samples, and watches what that does to rewards it was not told about.
// Man page: finetune(1).   SPDX-License-Identifier: Apache-2.0
#include "align/options.h"
#include "cli/tool.h"

namespace {

struct Options {
  std::string model;
  plumb::align::FinetuneOptions finetune;
  plumb::cli::CommonOptions common;
};

[[maybe_unused]] void describe(plumb::OptionTable& t, Options& o) {
  t.add("model", &o.model, "model to tune; default: the one on the input's lineage").metavar("FILE").file();
  plumb::align::describe(t, o.finetune);
  plumb::cli::describe_common(t, o.common, {.log = true, .compress = true});
}

}  // namespace

#ifndef PLUMB_FRONT
#include <ATen/ATen.h>

#include "align/gold.h"
#include "align/trainer.h"
#include "align/tuned_model.h"
#include "core/log.h"
#include "core/sha256.h"
#include "core/signals.h"
#include "core/text.h"
#include "nn/precision.h"

namespace {

using namespace plumb;

int run(cli::Context& ctx, const Options& given) {
  align::FinetuneOptions o = given.finetune;
  align::resolve(o, [&](const std::string& option) { return ctx.was_set(option); });
  const at::Device device = nn::parse_device(given.common.device);
  nn::setup_torch(ctx.threads());
  const io::Manifest base = given.model.empty() ? ctx.need("model") : ctx.read(given.model, "model");
  align::TunedModel model(base, o, device);
  if (model.network().takes_value()) {
    throw Error(Exit::kUsage, base.label(), "tuning of value-conditional models is not offered", "pretrain --condition class or none makes one that can be tuned");
  }
  const io::Space& space = model.space();
  const auto codec = nn::make_codec(space, base.label());
  align::check_process(o, model.schedule().value("process", "gaussian"), [&](const std::string& option) { return ctx.was_set(option); });
  const align::PolicyOptions policy_options{
      .num_inference_steps = o.sampler_steps,
      .eta = o.eta,
      .variance = align::chain_variance(o),
      .guidance_scale = o.guidance_scale,
      .reduce = diffusion::parse_reduce(o.logprob_reduce),
      .max_step_gain = o.max_step_gain,
      .pass_rows = o.batch_size,
      .needs_density = align::needs_density(o),
      .classes = align::parse_classes(o.classes, model.network().num_classes(), model.class_names()),
      .precision = nn::parse_precision(given.common.precision, device, true)};
  align::Policy policy =
      align::make_policy(model.network(), model.frozen(), model.schedule(), base.label(), codec->model_shape(), policy_options, device);
  const auto reward = rewards::make_reward(o.reward, space, device, o.reward_timeout_s);
  std::vector<align::Constraint> constraints;
  for (const std::string& text : o.constraints) {
    const align::ConstraintSpec spec = align::parse_constraint(text);
    constraints.push_back({spec, rewards::make_reward(spec.expression, space, device, o.reward_timeout_s)});
  }
  std::unique_ptr<metrics::FeatureNetwork> critic_features;
  if (align::uses_critic_features(o))
    critic_features = metrics::make_feature_network(o.tdpo.features, space, device);
  align::TuningContext context{policy, *reward, *codec, o, &constraints, critic_features.get()};
  const auto method = align::make_method(context);
  std::unique_ptr<metrics::FeatureNetwork> features;
  std::unique_ptr<align::Monitor> monitor;
  if (o.monitor_every > 0) {
    std::vector<align::GoldReward> golds;
    for (const std::string& gold : o.gold)
      golds.push_back({gold, rewards::make_reward(gold, space, device, o.reward_timeout_s)});
    for (const align::GoldReward& gold : golds)
      if (const std::string why = align::shared_with_trained(reward->describe(), gold.reward->describe());
          !why.empty() && !o.allow_trained_gold)
        throw Error(Exit::kUsage, "--gold", cat("'", gold.name, "' ", why, ", so it cannot show over-optimisation"),
                    "an independent reward; or --allow-trained-gold");
    features = metrics::make_feature_network(o.monitor_features, space, device);
    monitor = std::make_unique<align::Monitor>(context, std::move(golds), *features);
  }

  io::Json plan = method->plan();
  int64_t trained = 0;
  for (const auto& [name, tensor] : policy.trainable())
    trained += tensor.numel();
  plan["trained_parameters"] = trained;
  if (align::needs_density(o))
    plan["rollout_bytes"] = o.samples_per_epoch * (policy.steps() + 1) * policy.dimension() * 4;
  if (ctx.dry_run())
    return ctx.finish_dry_run(plan);
  const std::string unit = align::needs_density(o) ? "transitions" : "samples";
  log::info(plan.at("updates_per_epoch").get<int64_t>(), " updates an epoch of ", plan.at(unit + "_per_update").get<int64_t>(),
            " ", unit, " each; ", trained, " parameters trained");
  log::verbose("plan: ", plan.dump());

  io::H5Writer output = ctx.create("model");
  io::Manifest manifest = ctx.manifest("model", {{"model", base}});
  io::Json about{{"method", method->name()}, {"reward", reward->describe()}, {"plan", plan}};
  for (const align::Constraint& constraint : constraints)
    about["constraints"].push_back({{"reward", constraint.reward->describe()}, {"floor", constraint.spec.floor}});
  if (critic_features)
    about["critic"] = {{"features", critic_features->name()}, {"features_digest", critic_features->digest()}};
  if (monitor)
    about["monitor"] = monitor->describe();
  const io::Json identity{{"config", manifest.json().at("config")}, {"model", base.sha256()}, {"finetune", about}};
  const std::string checkpoint = nn::checkpoint_path(output.path());
  install_stop_handlers();
  set_time_limit(o.time_limit_s);
  align::Trainer trainer(
      context, *method, monitor.get(),
      {checkpoint, io::log_path(given.common.log, output.path()), sha256_of(identity.dump()), given.common.force});
  const auto write_best_gold = [&] {
    if (!trainer.has_best_gold())
      return;
    io::H5Writer writer(output.path() + ".best-gold.h5", given.common.compress);
    io::Manifest best = manifest;
    best.json()["finetune"] = about;
    best.json()["finetune"]["kept_step"] = monitor->verdict().best_gold_step;
    model.write(writer, best, trainer.best_gold_weights());
    log::verbose("best gold: ", io::commit_artefact(writer, best).path());
  };
  try {
    if (trainer.run() == align::RunEnd::kInterrupted)
      cli::stop_after_checkpoint(checkpoint);
  } catch (const Error& error) {
    if (error.exit() == Exit::kBadNumbers)
      write_best_gold();
    throw;
  }
  write_best_gold();
  about["result"] = trainer.summary();
  manifest.json()["finetune"] = about;
  model.write(output, manifest, trainer.kept_weights());
  const int status = ctx.finish(output, manifest);
  nn::remove_checkpoint(checkpoint);
  return status;
}

}  // namespace
#endif

PLUMB_TOOL(Options, "finetune", "raises a reward of a model's samples and watches for over-optimisation",
           "model -> model")
