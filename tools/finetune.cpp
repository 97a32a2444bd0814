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
#include <filesystem>

#include <ATen/ATen.h>

#include "align/asking.h"
#include "align/gold.h"
#include "align/trainer.h"
#include "align/tuned_model.h"
#include "align/tuning_state.h"
#include "core/log.h"
#include "core/sha256.h"
#include "core/signals.h"
#include "core/text.h"
#include "nn/precision.h"
#include "rewards/class_reward.h"

namespace {

using namespace plumb;

int run(cli::Context& ctx, const Options& given) {
  align::FinetuneOptions o = given.finetune;
  align::resolve(o, [&](const std::string& option) { return ctx.was_set(option); });
  const at::Device device = nn::parse_device(given.common.device);
  nn::setup_torch(ctx.threads());
  const align::TuningStart start = align::tuning_start(given.model.empty() ? ctx.need("model") : ctx.read(given.model, "model"), o);
  const io::Manifest& base = start.base;
  if (o.ask.step)
    o.epochs = start.epochs_done() + 1;
  align::TunedModel model(base, o, device);
  const io::Space& space = model.space();
  const auto codec = nn::make_codec(space, base.label());
  align::check_model(o, model.schedule().value("process", "gaussian"), model.network().num_classes(),
                     [&](const std::string& option) { return ctx.was_set(option); });
  const align::PolicyOptions policy_options{
      .num_inference_steps = o.sampler_steps,
      .eta = o.eta,
      .variance = align::chain_variance(o),
      .guidance_scale = o.guidance_scale,
      .reduce = diffusion::parse_reduce(o.logprob_reduce),
      .max_step_gain = o.max_step_gain,
      .pass_rows = align::learns_from_answers(o) ? 0 : o.batch_size,
      .base_below = align::base_below(o, model.schedule().value("num_train_timesteps", int64_t{0})),
      .needs_density = align::needs_density(o),
      .classes = align::parse_classes(o.classes, model.network().num_classes(), model.class_names()),
      .precision = nn::parse_precision(given.common.precision, device, true)};
  align::Policy policy =
      align::make_policy(model.network(), model.frozen(), model.schedule(), base.label(), codec->model_shape(), policy_options, device);
  const auto reward = o.reward.empty() ? nullptr : rewards::make_reward(o.reward, space, device, o.reward_timeout_s);
  const std::vector<align::Constraint> constraints = align::make_constraints(o, space, device);
  std::unique_ptr<metrics::FeatureNetwork> critic_features;
  if (align::uses_critic_features(o))
    critic_features = metrics::make_feature_network(o.tdpo.features, space, device);
  std::unique_ptr<metrics::FeatureNetwork> choose_features;
  if (o.ask.choose != "random")
    choose_features = metrics::make_feature_network(o.ask.features, space, device);
  align::AskingContext asking{"", base, [&](const auto& kind, const auto& inputs) { return ctx.manifest(kind, inputs); },
                              align::reward_scorer(device, o.reward_timeout_s), choose_features.get(), std::nullopt};
  asking.anew = o.resume == "never";
  if (o.ask.step)
    asking.answers = ctx.need("feedback");
  align::TuningContext context{policy, reward.get(), *codec, o, &constraints, critic_features.get(), &asking};
  const auto method = align::make_method(context);
  std::unique_ptr<metrics::FeatureNetwork> features;
  std::unique_ptr<align::Monitor> monitor;
  if (o.monitor_every > 0) {
    features = metrics::make_feature_network(o.monitor_features, space, device);
    monitor = std::make_unique<align::Monitor>(context, align::make_golds(o, reward.get(), space, device), *features);
  }

  io::Json plan = method->plan();
  int64_t trained = 0;
  for (const auto& [name, tensor] : policy.trainable())
    trained += tensor.numel();
  plan["trained_parameters"] = trained;
  if (align::needs_density(o))
    plan["rollout_bytes"] = o.samples_per_epoch * (policy.steps() + 1) * policy.dimension() * 4;
  io::Json about = align::describe_run(context, *method, monitor.get(), plan);
  rewards::check_own_classes(about, model.class_names(), base.label());
  if (ctx.dry_run())
    return ctx.finish_dry_run(plan);
  if (plan.contains("updates_per_epoch")) {
    const std::string unit = align::needs_density(o) ? "transitions" : "samples";
    log::info(plan.at("updates_per_epoch").get<int64_t>(), " updates an epoch of ", plan.at(unit + "_per_update").get<int64_t>(),
              " ", unit, " each; ", trained, " parameters trained");
  }
  log::verbose("plan: ", plan.dump());

  io::H5Writer output = ctx.create("model");
  asking.folder = output.path() + ".rounds";
  const std::string best_gold = output.path() + ".best-gold.h5";
  const auto round_model = [&](int64_t epochs) { return cat(asking.folder, "/model-", zero_padded(epochs, 4), ".h5"); };
  if (!o.gold.empty())
    ctx.refuse_input_as_output(best_gold);
  for (int64_t epochs = o.save_epochs; o.save_epochs > 0 && epochs <= o.epochs; epochs += o.save_epochs)
    ctx.refuse_input_as_output(round_model(epochs));
  std::vector<std::pair<std::string, io::Manifest>> inputs{{"model", base}};
  if (asking.answers)
    inputs.emplace_back("feedback", *asking.answers);
  io::Manifest manifest = ctx.manifest("model", inputs);
  manifest.json()["config"].update({{"sampler_steps", o.sampler_steps}, {"batch_size", o.batch_size}});
  io::Json identity{{"config", manifest.json().at("config")}, {"model", base.sha256()}, {"finetune", about}};
  if (asking.answers)
    identity.update({{"from", start.given_sha256}, {"answers", asking.answers->sha256()}});
  const std::string checkpoint = nn::checkpoint_path(output.path());
  install_stop_handlers();
  set_time_limit(o.time_limit_s);
  align::Trainer* running = nullptr;
  const auto write_model = [&](const std::string& path, const io::Json& kept, const nn::NamedTensors& weights, bool with_state) {
    std::filesystem::create_directories(std::filesystem::absolute(path).parent_path());
    io::H5Writer writer(path, given.common.compress);
    io::Manifest there = manifest;
    there.json()["finetune"] = about;
    there.json()["finetune"].update(kept);
    model.write(writer, there, weights);
    if (with_state)
      align::write_tuning_state(writer, running->state(), o);
    log::verbose("model: ", io::commit_artefact(writer, there).path());
  };
  const auto after_epoch = [&](int64_t epochs) {
    if (o.save_epochs > 0 && epochs % o.save_epochs == 0)
      write_model(round_model(epochs), {{"epochs_done", epochs}}, running->weights(), align::learns_from_answers(o));
  };
  align::Trainer trainer(context, *method, monitor.get(),
                         {checkpoint, io::log_path(given.common.log, output.path()), sha256_of(identity.dump()), given.common.force, after_epoch});
  running = &trainer;
  if (start.state)
    trainer.go_on_from(*start.state);
  const auto write_best_gold = [&] {
    if (trainer.has_best_gold())
      write_model(best_gold, {{"kept_step", monitor->verdict().best_gold_step}}, trainer.best_gold_weights(), false);
  };
  try {
    if (trainer.run() == align::RunEnd::kInterrupted)
      cli::stop_after_checkpoint(checkpoint);
  } catch (const Error& error) {
    if (error.exit() == Exit::kBadNumbers)
      write_best_gold();
    throw;
  }
  align::end_asking(asking);
  write_best_gold();
  about["result"] = trainer.summary();
  manifest.json()["finetune"] = about;
  model.write(output, manifest, trainer.kept_weights());
  if (align::learns_from_answers(o))
    align::write_tuning_state(output, trainer.state(), o);
  const int status = ctx.finish(output, manifest);
  nn::remove_checkpoint(checkpoint);
  return status;
}

}  // namespace
#endif

PLUMB_TOOL(Options, "finetune", "raises a reward of a model's samples and watches for over-optimisation",
           "model -> model")
