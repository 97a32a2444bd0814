// sample: draws items from a diffusion model. Man page: sample(1).   SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"
#include "diffusion/sampling_options.h"
#include "diffusion/steering_options.h"
#include "rewards/names.h"

namespace {

struct SampleOptions : plumb::diffusion::SamplingOptions {
  plumb::diffusion::SteeringOptions steering;
  plumb::diffusion::GuidanceOptions guidance;
  double reward_timeout_s = 300;
  plumb::cli::CommonOptions common;
};

[[maybe_unused]] void describe(plumb::OptionTable& t, SampleOptions& o) {
  plumb::diffusion::describe(t, static_cast<plumb::diffusion::SamplingOptions&>(o));
  plumb::diffusion::describe(t, o.steering);
  plumb::diffusion::describe(t, o.guidance);
  t.add("reward", &o.steering.reward, "reward to steer or guide by, an expression; see plumb-rewards(7)").metavar("EXPR").suggest(plumb::rewards::reward_names()).once("join them: --reward 'A + 0.5 * B'");
  t.add("reward-timeout", &o.reward_timeout_s, "seconds that a program may take as reward; 0 = no limit").range(0, 1e9).runtime();
  plumb::cli::describe_common(t, o.common, {.compress = true});
}

}  // namespace

#ifndef PLUMB_FRONT
#include <algorithm>
#include <numeric>

#include <ATen/ATen.h>

#include "core/signals.h"
#include "core/text.h"
#include "diffusion/process.h"
#include "diffusion/process_options.h"
#include "diffusion/reward_guidance.h"
#include "diffusion/sampling.h"
#include "diffusion/steering.h"
#include "diffusion/value_condition.h"
#include "io/class_names.h"
#include "nn/data.h"
#include "rewards/class_reward.h"

namespace {

using namespace plumb;

struct StopRequested {};  // thrown between steps so that the temporary file goes before the process does
/// The manifest's account of what a reward did to the chains.
io::Json account(const SampleOptions& o, const rewards::Reward& reward, int64_t network_calls, int64_t queries, int64_t gradients) {
  io::Json json = o.guidance.at.empty() ? o.steering.to_json() : o.guidance.to_json();
  json.update({{"reward", reward.describe()}, {"conservative", reward.is_conservative()}, {"network_calls", network_calls},
               {"reward_queries", queries}, {"reward_gradients", gradients}});
  return json;
}

int run(cli::Context& ctx, const SampleOptions& o) {
  const at::Device device = nn::parse_device(o.common.device);
  const nn::Precision precision = nn::parse_precision(o.common.precision, device, false);
  nn::setup_torch(ctx.threads());
  const auto [begin, end] = item_range(o);
  const auto was_set = [&](const std::string& option) { return ctx.was_set(option); };
  diffusion::check_steering_options(o.steering, o.guidance, was_set);
  const io::Manifest source = o.model.empty() ? ctx.need("model") : ctx.read(o.model, "model");
  nn::Model loaded = nn::load_model(source, device, o.lora_scale);
  if (ctx.was_set("lora-scale") && !source.json().at("model").contains("lora")) throw Error(Exit::kUsage, "--lora-scale", "the model has no LoRA adapter", "leave it out");
  const auto codec = nn::make_codec(loaded.space, source.label());
  diffusion::SamplerOptions sampler = o.sampler;
  diffusion::resolve_sampler_options(sampler, loaded.schedule, was_set);
  const auto process = diffusion::make_reverse_process(loaded.schedule, sampler, codec->model_shape(), source.label());
  const std::string which = diffusion::class_choice(o, loaded, ctx.was_set("class"));
  const auto find_base = [&] { return o.base.empty() ? nn::base_model(source) : ctx.read(o.base, "model"); };
  const diffusion::SampledModel network(std::move(loaded), o, *process, find_base, precision, device);
  const nn::Model& model = network.model();
  const int64_t num_classes = model.denoiser->num_classes();
  const diffusion::Targets targets(o.target, model, o.share_start * (which == "balanced" ? num_classes : 1));
  const std::unique_ptr<rewards::Reward> reward =
      o.steering.reward.empty() ? nullptr : rewards::make_reward(o.steering.reward, model.space, device, o.reward_timeout_s);
  const bool labelled = which != "none";  // the null class is no label
  if (reward && labelled) rewards::check_own_classes(reward->describe(), io::class_names(model.manifest), source.label());
  const auto finished = [&reward, &codec, labelled](const at::Tensor& x0, const at::Tensor& label) {  // what score would say of them in a file
    return reward->score({codec->decode(x0), labelled ? label.to(at::kCPU) : at::Tensor()});
  };
  const auto soft = [&reward, labelled](const at::Tensor& x0, const at::Tensor& label) {
    return reward->score_differentiable(x0, labelled ? label : at::Tensor());
  };
  const auto stop = [] { if (stop_requested()) throw StopRequested(); };
  std::unique_ptr<diffusion::Steering> steering;
  if (!o.steering.method.empty()) {
    steering = diffusion::make_steering({*process, network.function(), finished,
        reward->differentiable() ? diffusion::RewardFunction(soft) : nullptr, o.steering, o.seed, device, o.batch_size, stop});
  }
  std::optional<diffusion::RewardGuidance> guidance;
  if (!o.guidance.at.empty()) {
    if (!reward->differentiable()) throw Error(Exit::kUsage, "--reward", cat("has no gradient, which --guide needs: ", join(reward->without_gradient(), ", ")), "--steer fk, say");
    guidance.emplace(network.function(), *process, model.schedule, soft, o.guidance, source.label());
  }
  const int64_t per_item = steering ? steering->per_item() : 1;  // rows written
  std::vector<std::pair<std::string, io::Manifest>> inputs{{"model", source}};
  if (network.base()) inputs.emplace_back("base", network.base()->manifest);
  io::Manifest manifest = ctx.manifest("samples", inputs);
  manifest.json()["count"] = (end - begin) * per_item;
  manifest.json()["space"] = model.space.to_json();
  manifest.json()["seed"] = o.seed;
  manifest.json()["first"] = begin * per_item;
  manifest.json()["config"].update(diffusion::chain_config(model.schedule, *process));
  if (o.share_start > 1) manifest.json()["share_start"] = o.share_start;
  if (num_classes > 0 && model.manifest.json().contains("classes")) manifest.json()["classes"] = model.manifest.json().at("classes");
  if (ctx.dry_run()) {
    const diffusion::SteeringCost cost = steering ? steering->cost_per_item() : diffusion::SteeringCost{std::vector<int64_t>(static_cast<size_t>(process->steps()), 1)};
    io::Json plan{{"count", (end - begin) * per_item}, {"first", begin * per_item}, {"space", model.space.to_json()},
        {"parameters", model.denoiser->parameter_count()}, {"timesteps", diffusion::timesteps_of(*process)},
        {"network_calls_per_item", network.calls(cost.network)}};
    if (steering) plan.update({{"reward_queries_per_item", cost.rewards}, {"reward_gradients_per_item", cost.gradients}});
    if (guidance) plan.update({{"reward_queries_per_item", process->steps()}, {"reward_gradients_per_item", process->steps()}});
    plan["output_bytes"] = (end - begin) * per_item * (model.space.numel() * (model.space.stored_as_bytes() ? 1 : 4) + 16);
    return ctx.finish_dry_run(plan);
  }
  const at::NoGradGuard no_grad;
  install_stop_handlers();
  try {
    io::H5Writer output = ctx.create("samples");
    output.create(model.space.dataset(), model.space.stored_as_bytes() ? io::Type::kU8 : io::Type::kF32, model.space.shape);
    if (labelled) output.create("label", io::Type::kI64, {});
    if (targets.any()) output.create("target", io::Type::kF32, {});
    output.create("seed", io::Type::kU64, {});
    const int64_t at_once = steering ? std::max<int64_t>(1, o.batch_size / steering->rows_per_item()) : o.batch_size;
    std::vector<double> log_z;
    Progress progress("sampling", end - begin);
    for (int64_t at = begin; at < end; at += at_once) {
      std::vector<int64_t> items(static_cast<size_t>(std::min(at_once, end - at)));
      std::iota(items.begin(), items.end(), at);
      nn::Condition condition;
      const at::Tensor labels = diffusion::choose_labels(which, items, num_classes, o.seed, o.share_start);
      if (num_classes > 0) condition.label = labels.to(device);
      if (targets.any()) condition.value = targets.standardised(items).to(device);
      at::Tensor x0;
      if (steering) {
        diffusion::SteeredBatch steered = steering->run(items, condition);
        x0 = steered.x0;
        log_z.insert(log_z.end(), steered.log_z.begin(), steered.log_z.end());
      } else {
        x0 = diffusion::run_process(*process, guidance ? guidance->function() : network.function(), {o.seed, items, device, Stream::kSamplerStep, o.share_start}, condition,
            [&](int64_t, const at::Tensor&, const at::Tensor&, const at::Tensor&) { stop(); });
      }
      if (!at::isfinite(x0).all().item<bool>()) {
        throw Error(Exit::kBadNumbers, source.label(), cat("samples from ", at, " on are not finite"), "is the model trained?");
      }
      nn::append_rows(output, model.space.dataset(), codec->decode(x0));
      if (labelled) nn::append_rows(output, "label", labels.repeat_interleave(per_item));
      if (targets.any()) nn::append_rows(output, "target", targets.raw(items).repeat_interleave(per_item));
      const std::vector<uint64_t> seeds(static_cast<size_t>(x0.size(0)), o.seed);
      output.append("seed", io::Type::kU64, static_cast<int64_t>(seeds.size()), seeds.data());
      progress.update(items.back() + 1 - begin);
    }
    if (steering) {
      const diffusion::SteeringCost& spent = steering->spent();
      io::Json& json = manifest.json()["steering"] = account(o, *reward, network.calls(spent.network), spent.rewards, spent.gradients);
      if (!log_z.empty()) json["log_z_mean"] = std::accumulate(log_z.begin(), log_z.end(), 0.0) / static_cast<double>(log_z.size());
    }
    if (guidance) {
      const std::vector<int64_t> each(static_cast<size_t>(process->steps()), end - begin);
      manifest.json()["reward_guidance"] = account(o, *reward, network.calls(each), guidance->rewards(), guidance->rewards());
      if (o.guidance.reduce == "mean") manifest.json()["reward_guidance"]["batch_size"] = o.batch_size;
    }
    return ctx.finish(output, manifest);
  } catch (const StopRequested&) {
    die_of_stop_signal();
  } catch (const Error& error) {
    if (error.exit() == Exit::kTryAgain) die_of_stop_signal();  // it ended a reward's program; there is no checkpoint to go on from
    throw;
  }
}

}  // namespace
#endif

PLUMB_TOOL(SampleOptions, "sample", "draws samples from a diffusion model", "model -> samples")
