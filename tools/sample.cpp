// sample: draws items from a diffusion model. Man page: sample(1).   SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"
#include "diffusion/options.h"

namespace {

struct SampleOptions {
  std::string model;
  int64_t count = 64, batch_size = 64, first = 0;
  uint64_t seed = 0;
  std::string shard;
  std::string label_class = "balanced";
  double guidance_scale = 1.0, lora_scale = 1.0;
  std::string aig = "ft", base;
  plumb::diffusion::SamplerOptions sampler;
  plumb::cli::CommonOptions common;
};

[[maybe_unused]] void describe(plumb::OptionTable& t, SampleOptions& o) {
  t.group("What to draw");
  t.add("model", &o.model, "model to draw from; by default the nearest model on the input's lineage").metavar("MODEL.h5").file();
  t.add("count", &o.count, "number of samples").short_name('n').range(1, 1e12);
  t.add("class", &o.label_class, "class of the samples: balanced (in turn), random, none, or one class by number or name")
      .metavar("CLASS").suggest({"balanced", "random", "none"});
  t.add("seed", &o.seed, "seed of all noise and random classes");
  t.add("first", &o.first, "index of the first sample: sample k of a seed is the same in every run").range(0, 1e15);
  t.add("shard", &o.shard, "draw only part I of N (I from 0) of the samples").metavar("I/N");
  t.group("How to draw");
  plumb::diffusion::describe(t, o.sampler);
  t.add("guidance-scale", &o.guidance_scale, "classifier-free guidance: 1 = none, above 1 = closer to the class")
      .range(0.0, 1000.0);
  t.add("lora-scale", &o.lora_scale, "strength of the model's LoRA adapter: 0 = the base model").range(-100.0, 100.0);
  t.add("aig", &o.aig, "annealed importance guidance: weight of the model along the chain, the rest being its base model's; ft = the model "
        "alone, base, linear, power:P, step:Q or constant:C")
      .metavar("SCHEDULE").suggest({"linear", "power:2", "power:4", "step:0.6", "constant:0.5", "base", "ft"});
  t.add("base", &o.base, "base model of --aig; by default the one that the model was tuned from").metavar("MODEL.h5").file();
  t.add("batch-size", &o.batch_size, "samples a network call; affects speed and memory only").range(1, 65536).runtime();
  plumb::cli::describe_common(t, o.common, {.compress = true});
}

}  // namespace

#ifndef PLUMB_FRONT
#include <algorithm>
#include <numeric>

#include <ATen/ATen.h>

#include "cli/shard.h"
#include "core/signals.h"
#include "core/text.h"
#include "diffusion/aig.h"
#include "diffusion/process.h"
#include "diffusion/process_options.h"
#include "nn/data.h"
#include "nn/precision.h"

namespace {

using namespace plumb;

struct StopRequested {};  // thrown between steps so that the temporary file goes before the process does

/// --class as choose_labels takes it: a class may be named.
std::string class_choice(cli::Context& ctx, const SampleOptions& o, const nn::Model& model) {
  if (model.denoiser->num_classes() == 0) {
    if (ctx.was_set("class") && o.label_class != "none") {
      throw Error(Exit::kUsage, "--class", "the model is unconditional: it has no classes");
    }
    return "none";
  }
  const auto names = model.manifest.json().find("classes");
  if (names == model.manifest.json().end() || !names->is_array()) return o.label_class;
  for (size_t i = 0; i < names->size(); ++i) {
    if ((*names)[i] == o.label_class) return std::to_string(i);
  }
  return o.label_class;
}

/// The base model of --aig; none if the schedule never asks for it.
std::optional<nn::Model> load_base(cli::Context& ctx, const SampleOptions& o, const nn::Model& tuned, const std::vector<double>& weights) {
  if (o.aig == "ft" && !o.base.empty()) throw Error(Exit::kUsage, "--base", "goes with --aig", "add --aig linear, say");
  if (std::all_of(weights.begin(), weights.end(), [](double w) { return w == 1.0; })) return std::nullopt;
  return diffusion::load_base_of(tuned, o.base.empty() ? nn::base_model(tuned.manifest) : ctx.read(o.base, "model"), nn::parse_device(o.common.device));
}

int run(cli::Context& ctx, const SampleOptions& o) {
  const at::Device device = nn::parse_device(o.common.device);
  const nn::Precision precision = nn::parse_precision(o.common.precision, device, false);
  nn::setup_torch(ctx.threads());
  const auto [begin, end] = cli::item_range(o.first, o.count, o.shard);
  const io::Manifest source = o.model.empty() ? ctx.need("model") : ctx.read(o.model, "model");
  nn::Model model = nn::load_model(source, device, o.lora_scale);
  if (ctx.was_set("lora-scale") && !source.json().at("model").contains("lora")) {
    throw Error(Exit::kUsage, "--lora-scale", "the model has no LoRA adapter", "leave it out");
  }
  const auto codec = nn::make_codec(model.space, source.label());
  diffusion::SamplerOptions sampler = o.sampler;
  diffusion::resolve_sampler_options(sampler, model.schedule, [&](const std::string& option) { return ctx.was_set(option); });
  const auto process = diffusion::make_reverse_process(model.schedule, sampler, codec->model_shape(), source.label());
  const std::string which = class_choice(ctx, o, model);
  const int64_t num_classes = model.denoiser->num_classes();
  const std::vector<double> weights = diffusion::aig_weights(o.aig, process->steps());
  const std::optional<nn::Model> base = load_base(ctx, o, model, weights);
  if (o.guidance_scale != 1.0 && which == "none") {
    throw Error(Exit::kUsage, "--guidance-scale", "samples without a class have nothing to be guided to", "leave it at 1, or choose a --class");
  }
  diffusion::choose_labels(which, {}, num_classes, o.seed);  // a bad class is refused before the work starts

  std::vector<std::pair<std::string, io::Manifest>> inputs{{"model", source}};
  if (base) inputs.emplace_back("base", base->manifest);
  io::Manifest manifest = ctx.manifest("samples", inputs);
  manifest.json()["count"] = end - begin;
  manifest.json()["space"] = model.space.to_json();
  manifest.json()["seed"] = o.seed;
  manifest.json()["first"] = begin;
  manifest.json()["config"]["steps"] = process->steps();
  if (num_classes > 0 && model.manifest.json().contains("classes")) manifest.json()["classes"] = model.manifest.json().at("classes");
  if (ctx.dry_run()) {
    int64_t calls = 0;
    for (const double w : weights) calls += (w == 0.0 || w == 1.0 ? 1 : 2) * (o.guidance_scale == 1.0 ? 1 : 2);
    io::Json timesteps = io::Json::array();
    for (int64_t i = 0; i < process->steps(); ++i) {
      const at::Tensor t = process->timestep(i, 1, at::kCPU);
      timesteps.push_back(t.is_floating_point() ? io::Json(t.item<float>()) : io::Json(t.item<int64_t>()));
    }
    return ctx.finish_dry_run({{"count", end - begin}, {"first", begin}, {"space", model.space.to_json()},
        {"parameters", model.denoiser->parameter_count()}, {"timesteps", timesteps},
        {"network_calls_per_item", calls}, {"output_bytes", (end - begin) * (model.space.numel() * (model.space.stored_as_bytes() ? 1 : 4) + 16)}});
  }

  const at::NoGradGuard no_grad;
  install_stop_handlers();
  try {
    io::H5Writer output = ctx.create("samples");
    output.create(model.space.dataset(), model.space.stored_as_bytes() ? io::Type::kU8 : io::Type::kF32, model.space.shape);
    if (which != "none") output.create("label", io::Type::kI64, {});
    output.create("seed", io::Type::kU64, {});
    const auto guided = [&](const nn::Model& m) -> diffusion::ModelFunction {
      return [&](size_t, const at::Tensor& x_t, const at::Tensor& t, const nn::Condition& condition) {
        const nn::PrecisionGuard guard(precision, device);
        return diffusion::GuidedDenoiser{*m.denoiser, o.guidance_scale}(x_t, t, condition).to(at::kFloat);
      };
    };
    const diffusion::ModelFunction denoise = base ? diffusion::annealed(guided(*base), guided(model), weights) : guided(model);
    Progress progress("sampling", end - begin);
    for (int64_t at = begin; at < end; at += o.batch_size) {
      std::vector<int64_t> items(static_cast<size_t>(std::min(o.batch_size, end - at)));
      std::iota(items.begin(), items.end(), at);
      nn::Condition condition;
      const at::Tensor labels = diffusion::choose_labels(which, items, num_classes, o.seed);
      if (num_classes > 0) condition.label = labels.to(device);
      const at::Tensor x0 = diffusion::run_process(*process, denoise, {o.seed, items, device}, condition,
          [](int64_t, const at::Tensor&, const at::Tensor&, const at::Tensor&) {
            if (stop_requested()) throw StopRequested();
          });
      if (!at::isfinite(x0).all().item<bool>()) {
        throw Error(Exit::kBadNumbers, source.label(), cat("samples from ", at, " on are not finite"), "is the model trained?");
      }
      nn::append_rows(output, model.space.dataset(), codec->decode(x0));
      if (which != "none") nn::append_rows(output, "label", labels);
      const std::vector<uint64_t> seeds(items.size(), o.seed);
      output.append("seed", io::Type::kU64, static_cast<int64_t>(seeds.size()), seeds.data());
      progress.update(items.back() + 1 - begin);
    }
    return ctx.finish(output, manifest);
  } catch (const StopRequested&) {
    die_of_stop_signal();
  }
}

}  // namespace
#endif

PLUMB_TOOL(SampleOptions, "sample", "draws samples from a diffusion model", "model -> samples")
