// sample: draws items from a diffusion model. Man page: sample(1).   SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"
#include "diffusion/sampling_options.h"

namespace {

struct SampleOptions : plumb::diffusion::SamplingOptions {
  plumb::cli::CommonOptions common;
};

[[maybe_unused]] void describe(plumb::OptionTable& t, SampleOptions& o) {
  plumb::diffusion::describe(t, static_cast<plumb::diffusion::SamplingOptions&>(o));
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
#include "diffusion/sampling.h"
#include "diffusion/value_condition.h"
#include "nn/data.h"

namespace {

using namespace plumb;

struct StopRequested {};  // thrown between steps so that the temporary file goes before the process does

int run(cli::Context& ctx, const SampleOptions& o) {
  const at::Device device = nn::parse_device(o.common.device);
  const nn::Precision precision = nn::parse_precision(o.common.precision, device, false);
  nn::setup_torch(ctx.threads());
  const auto [begin, end] = item_range(o);
  diffusion::check_sampler_options(o.sampler, [&](const std::string& option) { return ctx.was_set(option); });
  const io::Manifest source = o.model.empty() ? ctx.need("model") : ctx.read(o.model, "model");
  nn::Model loaded = nn::load_model(source, device, o.lora_scale);
  if (ctx.was_set("lora-scale") && !source.json().at("model").contains("lora")) {
    throw Error(Exit::kUsage, "--lora-scale", "the model has no LoRA adapter", "leave it out");
  }
  const auto codec = nn::make_codec(loaded.space, source.label());
  const auto process = diffusion::make_reverse_process(loaded.schedule, o.sampler, codec->model_shape(), source.label());
  const std::string which = diffusion::class_choice(o, loaded, ctx.was_set("class"));
  const auto find_base = [&] { return o.base.empty() ? nn::base_model(source) : ctx.read(o.base, "model"); };
  const diffusion::SampledModel network(std::move(loaded), o, process->steps(), find_base, precision, device);
  const nn::Model& model = network.model();
  const int64_t num_classes = model.denoiser->num_classes();
  const diffusion::Targets targets(o.target, model, which == "balanced" ? num_classes : 1);

  std::vector<std::pair<std::string, io::Manifest>> inputs{{"model", source}};
  if (network.base()) inputs.emplace_back("base", network.base()->manifest);
  io::Manifest manifest = ctx.manifest("samples", inputs);
  manifest.json()["count"] = end - begin;
  manifest.json()["space"] = model.space.to_json();
  manifest.json()["seed"] = o.seed;
  manifest.json()["first"] = begin;
  if (num_classes > 0 && model.manifest.json().contains("classes")) manifest.json()["classes"] = model.manifest.json().at("classes");
  if (ctx.dry_run()) {
    int64_t calls = 0;
    for (int64_t i = 0; i < process->steps(); ++i) calls += network.calls(i);
    return ctx.finish_dry_run({{"count", end - begin}, {"first", begin}, {"space", model.space.to_json()},
        {"parameters", model.denoiser->parameter_count()}, {"timesteps", diffusion::timesteps_of(*process)},
        {"network_calls_per_item", calls}, {"output_bytes", (end - begin) * (model.space.numel() * (model.space.stored_as_bytes() ? 1 : 4) + 16)}});
  }

  const at::NoGradGuard no_grad;
  install_stop_handlers();
  try {
    io::H5Writer output = ctx.create("samples");
    output.create(model.space.dataset(), model.space.stored_as_bytes() ? io::Type::kU8 : io::Type::kF32, model.space.shape);
    if (which != "none") output.create("label", io::Type::kI64, {});
    if (targets.any()) output.create("target", io::Type::kF32, {});
    output.create("seed", io::Type::kU64, {});
    const diffusion::ModelFunction denoise = network.function();
    Progress progress("sampling", end - begin);
    for (int64_t at = begin; at < end; at += o.batch_size) {
      std::vector<int64_t> items(static_cast<size_t>(std::min(o.batch_size, end - at)));
      std::iota(items.begin(), items.end(), at);
      nn::Condition condition;
      const at::Tensor labels = diffusion::choose_labels(which, items, num_classes, o.seed);
      if (num_classes > 0) condition.label = labels.to(device);
      if (targets.any()) condition.value = targets.standardised(items).to(device);
      const at::Tensor x0 = diffusion::run_process(*process, denoise, {o.seed, items, device}, condition,
          [](int64_t, const at::Tensor&, const at::Tensor&, const at::Tensor&) {
            if (stop_requested()) throw StopRequested();
          });
      if (!at::isfinite(x0).all().item<bool>()) {
        throw Error(Exit::kBadNumbers, source.label(), cat("samples from ", at, " on are not finite"), "is the model trained?");
      }
      nn::append_rows(output, model.space.dataset(), codec->decode(x0));
      if (which != "none") nn::append_rows(output, "label", labels);
      if (targets.any()) nn::append_rows(output, "target", targets.raw(items));
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
