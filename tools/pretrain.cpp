// pretrain: trains a diffusion model on a dataset. Man page: pretrain(1).   SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"
#include "diffusion/process_options.h"

namespace {

struct PretrainOptions {
  std::string denoiser = "auto";
  std::string init;
  std::vector<std::string> condition;
  bool unconditional = false;
  plumb::diffusion::TrainingOptions training;
  plumb::diffusion::ProcessOptions process;
  std::string value_weight = "none";
  double save_every = 300, time_limit = 0;
  int64_t log_every = 1;
  std::string resume = "auto";
  plumb::cli::CommonOptions common;
  PretrainOptions() {  // a recipe that trains well, where the structs' own defaults are what other programs assume
    process.gaussian.beta_schedule = "squaredcos_cap_v2";
    process.gaussian.prediction_type = "v_prediction";
    process.gaussian.timestep_spacing = "trailing";
  }
};

[[maybe_unused]] void describe(plumb::OptionTable& t, PretrainOptions& o) {
  t.group("Model");
  t.add("denoiser", &o.denoiser, "network: auto (by what the items are), a preset, a FILE.json with its configuration, or a TorchScript FILE.pt").file();
  t.add("init", &o.init, "start from this model's network, weights and noise schedule").metavar("MODEL.h5").file();
  t.add("condition", &o.condition, "what items can be asked for by: class (the labels), value (the dataset's measured values), reward (the column of "
        "the nearest scores), a column by name, none; may be repeated; by default the labels, if there are any")
      .metavar("WHAT").suggest({"class", "none", "reward", "value"});
  t.add("unconditional", &o.unconditional, "the same as --condition none");
  t.group("Training");
  plumb::diffusion::describe(t, o.training);
  t.add("value-weight", &o.value_weight, "weight of items in the loss by their value: none, or exp:TAU, that is exp((value - largest) / TAU) with "
        "TAU in standard deviations").suggest({"none", "exp:1"});
  plumb::diffusion::describe(t, o.process);
  t.group("Running");
  t.add("save-every", &o.save_every, "seconds between checkpoints").range(0.1, 1e9).runtime();
  t.add("time-limit", &o.time_limit, "stop with a checkpoint after this many seconds; 0 = no limit").range(0, 1e9).runtime();
  t.add("resume", &o.resume, "checkpoint to go on from: auto (OUT.ckpt if it is of this command), never, or a file")
      .suggest({"auto", "never"}).file().runtime();
  t.add("log-every", &o.log_every, "steps between two lines of the log").range(1, 1e9).runtime();
  plumb::cli::describe_common(t, o.common, {.log = true, .compress = true});
}

}  // namespace

#ifndef PLUMB_FRONT
#include "core/sha256.h"
#include "core/text.h"
#include "diffusion/training_run.h"
#include "io/class_names.h"
#include "io/json_log.h"
#include "nn/codec.h"
#include "nn/denoiser_fit.h"
#include "nn/lora.h"

namespace {

using namespace plumb;

/// A new network, or that of --init. Sets `process` to what the network is (to be) trained with, and keeps the scale of a value that
/// --init knows.
std::unique_ptr<nn::Denoiser> make_network(cli::Context& ctx, const PretrainOptions& o, const io::Manifest& dataset,
                                           diffusion::TrainingCondition& condition, at::Device device, std::unique_ptr<diffusion::ForwardProcess>& process,
                                           std::vector<std::pair<std::string, io::Manifest>>& inputs) {
  const auto was_set = [&](const std::string& option) { return ctx.was_set(option); };
  if (o.init.empty()) {
    diffusion::check_process_options(o.process, was_set);
    process = diffusion::make_forward_process(o.process.to_json(), o.training, dataset.space(), "--process");
    io::Json config = nn::denoiser_preset(o.denoiser, dataset.space(), condition.num_classes);
    process->fit_network(config);
    if (condition.value) nn::fit_value(config);
    auto network = nn::make_denoiser(config, o.denoiser);
    nn::initialise(*network, o.training.seed);
    process->prepare(*network);
    network->to(device);
    return network;
  }
  if (ctx.was_set("denoiser")) throw Error(Exit::kUsage, "--denoiser", "does not go with --init, which brings its own network");
  inputs.emplace_back("init", ctx.read(o.init, "model"));
  nn::Model model = nn::load_model(inputs.back().second, device);
  nn::merge_lora(*model.denoiser);
  const std::string where = inputs.back().second.label();
  if (!(model.space == dataset.space())) {
    throw Error(Exit::kBadInput, where, cat("is a model of ", model.space.text(), ", the dataset holds ", dataset.space().text()));
  }
  if (condition.num_classes > 0) io::check_same_classes(io::class_names(dataset), dataset.label(), io::class_names(model.manifest), where);
  process = diffusion::make_forward_process(model.schedule, o.training, dataset.space(), where);
  if (diffusion::process_was_set(was_set) && o.process.to_json() != process->schedule()) {
    throw Error(Exit::kUsage, "--init", "the noise schedule's options differ from this model's", "leave them out");
  }
  diffusion::ProcessOptions own = o.process;
  own.name = diffusion::process_name(process->schedule());
  diffusion::check_process_options(own, was_set);
  if (!condition.value) return std::move(model.denoiser);
  if (const auto known = diffusion::value_condition(inputs.back().second)) {
    condition.value->mean = known->mean;
    condition.value->std = known->std;
  }
  if (model.denoiser->takes_value()) return std::move(model.denoiser);
  auto network = nn::with_value(*model.denoiser, o.training.seed);
  network->to(device);
  return network;
}

int run(cli::Context& ctx, const PretrainOptions& o) {
  const at::Device device = nn::parse_device(o.common.device);
  const nn::Precision precision = nn::parse_precision(o.common.precision, device, true);
  nn::setup_torch(ctx.threads());
  const io::Manifest dataset = ctx.need("dataset");
  const io::H5Reader file = io::open_artefact(dataset);
  const io::Space space = dataset.space();
  const auto codec = nn::make_codec(space, dataset.label());
  if (o.training.flip) nn::check_flip(space);
  if (o.unconditional && ctx.was_set("condition")) {
    throw Error(Exit::kUsage, "--unconditional", "is the same as --condition none", "leave one of the two out");
  }
  auto condition = diffusion::find_condition(o.unconditional ? std::vector<std::string>{"none"} : o.condition, ctx.input(), dataset);
  const int64_t num_classes = condition.num_classes;
  if (num_classes == 0 && !condition.value && ctx.was_set("label-drop")) throw Error(Exit::kUsage, "--label-drop", "there is nothing to drop: the model is conditioned on nothing");
  std::vector<std::pair<std::string, io::Manifest>> inputs{{"dataset", dataset}};
  if (condition.value && condition.source.kind() == "scores") inputs.emplace_back("scores", condition.source);
  std::unique_ptr<diffusion::ForwardProcess> process;
  const auto network = make_network(ctx, o, dataset, condition, device, process, inputs);
  if (network->takes_value() && !condition.value) {
    throw Error(Exit::kUsage, "--condition", "the network takes a value, which nothing gives", "add --condition reward or value");
  }
  if (network->num_classes() != num_classes) {
    throw Error(Exit::kBadInput, dataset.label(), cat("has ", num_classes, " classes, the network ", network->num_classes()),
                num_classes > 0 ? "train with --condition none, or take another network" : "add --condition class, or take another network");
  }
  std::vector<std::string> columns{space.dataset()};
  if (num_classes > 0) columns.push_back("label");
  nn::ShuffledRows rows(file, columns, dataset.count(), o.training.seed);
  diffusion::ValueWeight weight = diffusion::ValueWeight::parse(o.value_weight);
  std::optional<io::H5Reader> values;
  if (condition.value) {
    values.emplace(io::open_artefact(condition.source));
    rows.add(*values, condition.column);
    weight.measure(condition, dataset.count());
  } else if (!weight.is_none()) {
    throw Error(Exit::kUsage, "--value-weight", "needs a value", "add --condition reward or value");
  }
  diffusion::Trainer trainer(*network, *process, rows, *codec, o.training, device, precision, condition.value, weight);
  io::Manifest manifest = ctx.manifest("model", inputs);
  if (ctx.dry_run()) {
    const int64_t parameters = network->parameter_count();
    io::Json plan{{"parameters", parameters}, {"items", dataset.count()}, {"classes", num_classes},
        {"steps", o.training.steps}, {"epochs", static_cast<double>(o.training.steps * o.training.batch_size) /
        static_cast<double>(dataset.count())}, {"denoiser", network->config()}, {"schedule", process->schedule()},
        {"state_bytes", 20 * parameters}, {"shuffle_buffer_bytes", rows.buffer_bytes()}};  // weight, gradient, 2 moments, EMA
    if (condition.value) plan["value"] = condition.value->to_json();
    return ctx.finish_dry_run(plan);
  }
  io::H5Writer output = ctx.create("model");  // claimed before the work starts
  const std::string checkpoint = nn::checkpoint_path(output.path());
  io::Json identity{{"config", manifest.json().at("config")}, {"network", network->config()}};
  for (const auto& [name, input] : inputs) identity[name] = input.sha256();
  const bool finished = diffusion::run_training(trainer, {
      .checkpoint = checkpoint, .fingerprint = sha256_of(identity.dump()), .resume = o.resume, .force = o.common.force,
      .log = io::log_path(o.common.log, output.path()), .save_every_s = o.save_every, .time_limit_s = o.time_limit, .log_every = o.log_every});
  if (!finished) cli::stop_after_checkpoint(checkpoint);
  nn::write_denoiser(output, *network, &trainer.result());
  manifest.json()["space"] = space.to_json();
  if (num_classes > 0 && dataset.json().contains("classes")) manifest.json()["classes"] = dataset.json().at("classes");
  manifest.json()["model"] = {{"denoiser", network->config()}, {"schedule", process->schedule()},
                              {"parameters", network->parameter_count()}, {"label_drop", o.training.label_drop}};
  if (condition.value) manifest.json()["model"]["condition"] = condition.value->to_json();
  const int status = ctx.finish(output, manifest);
  nn::remove_checkpoint(checkpoint);
  return status;
}

}  // namespace
#endif

PLUMB_TOOL(PretrainOptions, "pretrain", "trains a diffusion model on a dataset", "dataset -> model")
