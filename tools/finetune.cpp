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

void describe(plumb::OptionTable& t, Options& o) {
  t.add("model", &o.model, "model to tune; default: the one on the input's lineage").metavar("FILE").file();
  plumb::align::describe(t, o.finetune);
  plumb::cli::describe_common(t, o.common, {.log = true, .compress = true});
}

}  // namespace

#ifndef PLUMB_FRONT
#include <ATen/ATen.h>

#include "align/trainer.h"
#include "core/log.h"
#include "core/sha256.h"
#include "core/signals.h"
#include "core/text.h"
#include "nn/lora.h"
#include "nn/precision.h"

namespace {

using namespace plumb;
using align::FinetuneOptions;

/// The network to tune, ready for gradients, and what its samples are measured against.
struct Networks {
  nn::Model model;
  std::unique_ptr<nn::Denoiser> frozen;   // --full; otherwise the reference is the network without its adapter
};

nn::Model load_whole(const io::Manifest& manifest, at::Device device) {
  nn::Model model = nn::load_model(manifest, device);
  nn::merge_lora(*model.denoiser);
  return model;
}

Networks load_networks(const io::Manifest& manifest, const FinetuneOptions& o, at::Device device) {
  Networks n{load_whole(manifest, device), nullptr};
  if (manifest.json().at("model").contains("lora") && !o.full && !o.merge)
    throw Error(Exit::kUsage, manifest.label(), "is an adapter itself, and adapters do not stack", "add --merge to write a whole model");
  if (o.full) {
    n.frozen = std::move(load_whole(manifest, device).denoiser);
    n.model.denoiser->set_requires_grad(true);
  } else {
    nn::attach_lora(*n.model.denoiser, {o.lora_rank, o.lora_alpha, o.lora_targets}, o.seed);
    for (auto& [name, tensor] : nn::lora_parameters(*n.model.denoiser)) Tensor(tensor).set_requires_grad(true);
  }
  return n;
}

/// Writes the network with these trained weights as a model artefact.
void write_model(io::H5Writer& writer, io::Manifest& manifest, const Networks& n, const nn::NamedTensors& weights,
                 const FinetuneOptions& o) {
  const at::NoGradGuard no_grad;
  nn::Denoiser& network = *n.model.denoiser;
  io::Json model = n.model.manifest.json().at("model");
  model.erase("lora");
  model["denoiser"] = network.config();
  model["schedule"] = n.model.schedule;
  if (!o.full && !o.merge) {
    model["lora"] = nn::LoraOptions{o.lora_rank, o.lora_alpha, o.lora_targets}.to_json();
    nn::write_denoiser(writer, network, &weights);
  } else if (o.full) {
    nn::write_denoiser(writer, network, &weights);
  } else {  // merged on a fresh copy: the network may be written twice
    const nn::Model whole = load_whole(n.model.manifest, at::kCPU);
    nn::attach_lora(*whole.denoiser, {o.lora_rank, o.lora_alpha, o.lora_targets}, o.seed);
    nn::NamedTensors adapter = nn::lora_parameters(*whole.denoiser);
    for (size_t i = 0; i < adapter.size(); ++i) adapter[i].second.copy_(weights.at(i).second);
    nn::merge_lora(*whole.denoiser);
    nn::write_denoiser(writer, *whole.denoiser);
  }
  manifest.json()["space"] = n.model.space.to_json();
  if (n.model.manifest.json().contains("classes")) manifest.json()["classes"] = n.model.manifest.json().at("classes");
  manifest.json()["model"] = model;
}

int run(cli::Context& ctx, const Options& given) {
  FinetuneOptions o = given.finetune;
  align::resolve(o, [&](const std::string& option) { return ctx.was_set(option); });
  const at::Device device = nn::parse_device(given.common.device);
  nn::setup_torch(ctx.threads());
  const io::Manifest base = given.model.empty() ? ctx.need("model") : ctx.read(given.model, "model");
  Networks networks = load_networks(base, o, device);
  const io::Space space = networks.model.space;
  const auto codec = nn::make_codec(space, base.label());
  const diffusion::NoiseSchedule schedule(diffusion::ScheduleOptions::from_json(networks.model.schedule, base.label()));
  align::Policy policy(*networks.model.denoiser, networks.frozen.get(), schedule, codec->model_shape(),
                       {o.sampler_steps, o.eta, o.guidance_scale, diffusion::parse_reduce(o.logprob_reduce), o.max_step_gain, o.batch_size,
                        nn::parse_precision(given.common.precision, device, true)}, device);
  const auto reward = rewards::make_reward(o.reward, space, device, o.reward_timeout_s);
  align::TuningContext context{policy, *reward, *codec, o};
  const auto method = align::make_method(o, policy);
  std::unique_ptr<metrics::FeatureNetwork> features;
  std::unique_ptr<align::Monitor> monitor;
  if (o.monitor_every > 0) {
    std::vector<align::GoldReward> golds;
    for (const std::string& gold : o.gold) golds.push_back({gold, rewards::make_reward(gold, space, device, o.reward_timeout_s)});
    features = metrics::make_feature_network(o.monitor_features, space, device);
    monitor = std::make_unique<align::Monitor>(context, std::move(golds), *features);
  }

  io::Json plan = method->plan();
  int64_t trained = 0;
  for (const auto& [name, tensor] : policy.trainable()) trained += tensor.numel();
  plan["trained_parameters"] = trained;
  plan["rollout_bytes"] = o.samples_per_epoch * (policy.steps() + 1) * policy.dimension() * 4;
  if (ctx.dry_run()) return ctx.finish_dry_run(plan);
  log::info(plan.at("updates_per_epoch").get<int64_t>(), " updates an epoch of ", plan.at("transitions_per_update").get<int64_t>(),
            " transitions each; ", trained, " parameters trained");
  log::verbose("plan: ", plan.dump());

  io::H5Writer output = ctx.create("model");
  io::Manifest manifest = ctx.manifest("model", {{"model", base}});
  io::Json about{{"method", method->name()}, {"reward", reward->describe()}, {"plan", plan}};
  if (monitor) about["monitor"] = monitor->describe();
  const io::Json identity{{"config", manifest.json().at("config")}, {"model", base.sha256()}, {"finetune", about}};
  const std::string checkpoint = nn::checkpoint_path(output.path());
  install_stop_handlers();
  set_time_limit(o.time_limit_s);
  align::Trainer trainer(context, *method, monitor.get(),
                         {checkpoint, io::log_path(given.common.log, output.path()), sha256_of(identity.dump()), given.common.force});
  const auto write_best_gold = [&] {
    if (!trainer.has_best_gold()) return;
    io::H5Writer writer(output.path() + ".best-gold.h5", given.common.compress);
    io::Manifest best = manifest;
    best.json()["finetune"] = about;
    best.json()["finetune"]["kept_step"] = monitor->verdict().best_gold_step;
    write_model(writer, best, networks, trainer.best_gold_weights(), o);
    log::verbose("best gold: ", io::commit_artefact(writer, best).path());
  };
  try {
    if (trainer.run() == align::RunEnd::kInterrupted) cli::stop_after_checkpoint(checkpoint);
  } catch (const Error& error) {
    if (error.exit() == Exit::kBadNumbers) write_best_gold();
    throw;
  }
  write_best_gold();
  about["result"] = trainer.summary();
  manifest.json()["finetune"] = about;
  write_model(output, manifest, networks, trainer.kept_weights(), o);
  const int status = ctx.finish(output, manifest);
  nn::remove_checkpoint(checkpoint);
  return status;
}

}  // namespace
#endif

PLUMB_TOOL(Options, "finetune", "raises a reward of a model's samples and watches for over-optimisation", "model -> model")
