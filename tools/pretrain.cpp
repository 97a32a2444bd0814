// pretrain: trains a diffusion model on a dataset. Man page: pretrain(1).   SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"
#include "diffusion/process_options.h"

namespace {

struct PretrainOptions {
  std::string denoiser = "auto";
  std::string init;
  bool unconditional = false;
  plumb::diffusion::TrainingOptions training;
  plumb::diffusion::ProcessOptions process;
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
  t.add("unconditional", &o.unconditional, "do not learn the labels of the dataset");
  t.group("Training");
  plumb::diffusion::describe(t, o.training);
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
#include <algorithm>
#include <chrono>

#include "core/log.h"
#include "core/sha256.h"
#include "core/signals.h"
#include "core/text.h"
#include "diffusion/training.h"
#include "io/json_log.h"
#include "nn/codec.h"

namespace {

using namespace plumb;

/// The number of classes a dataset's labels name: of its `classes`, else one more than the largest label. 0: no labels.
int64_t count_classes(const io::Manifest& dataset, const io::H5Reader& file) {
  if (!file.has("label")) return 0;
  if (const auto classes = dataset.json().find("classes"); classes != dataset.json().end() && classes->is_array()) {
    return static_cast<int64_t>(classes->size());
  }
  const std::vector<int64_t> labels = file.read_i64("label");
  return labels.empty() ? 0 : *std::max_element(labels.begin(), labels.end()) + 1;
}

/// A new network, or that of --init. Sets `process` to what the network is (to be) trained with.
std::unique_ptr<nn::Denoiser> make_network(cli::Context& ctx, const PretrainOptions& o, const io::Manifest& dataset,
                                           int64_t num_classes, at::Device device, std::unique_ptr<diffusion::ForwardProcess>& process,
                                           std::vector<std::pair<std::string, io::Manifest>>& inputs) {
  const auto was_set = [&](const std::string& option) { return ctx.was_set(option); };
  if (o.init.empty()) {
    diffusion::check_process_options(o.process, was_set);
    process = diffusion::make_forward_process(o.process.to_json(), o.training, dataset.space(), "--process");
    io::Json config = nn::denoiser_preset(o.denoiser, dataset.space(), num_classes);
    process->fit_network(config);
    auto network = nn::make_denoiser(config, o.denoiser);
    nn::initialise(*network, o.training.seed);
    network->to(device);
    return network;
  }
  if (ctx.was_set("denoiser")) throw Error(Exit::kUsage, "--denoiser", "does not go with --init, which brings its own network");
  inputs.emplace_back("init", ctx.read(o.init, "model"));
  nn::Model model = nn::load_model(inputs.back().second, device);
  const std::string where = inputs.back().second.label();
  if (!(model.space == dataset.space())) {
    throw Error(Exit::kBadInput, where, cat("is a model of ", model.space.text(), ", the dataset holds ", dataset.space().text()));
  }
  process = diffusion::make_forward_process(model.schedule, o.training, dataset.space(), where);
  if (diffusion::process_was_set(was_set) && o.process.to_json() != process->schedule()) {
    throw Error(Exit::kUsage, "--init", "the noise schedule's options differ from this model's", "leave them out");
  }
  diffusion::ProcessOptions own = o.process;
  own.name = diffusion::process_name(process->schedule());
  diffusion::check_process_options(own, was_set);
  return std::move(model.denoiser);
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
  const int64_t num_classes = o.unconditional ? 0 : count_classes(dataset, file);
  std::vector<std::pair<std::string, io::Manifest>> inputs{{"dataset", dataset}};
  std::unique_ptr<diffusion::ForwardProcess> process;
  const auto network = make_network(ctx, o, dataset, num_classes, device, process, inputs);
  if (network->num_classes() != num_classes) {
    throw Error(Exit::kBadInput, dataset.label(), cat("has ", num_classes, " classes, the network ", network->num_classes()),
                num_classes > 0 ? "train with --unconditional, or take another network" : "take another network");
  }
  std::vector<std::string> columns{space.dataset()};
  if (num_classes > 0) columns.push_back("label");
  nn::ShuffledRows rows(file, columns, dataset.count(), o.training.seed);
  diffusion::Trainer trainer(*network, *process, rows, *codec, o.training, device, precision);

  io::Manifest manifest = ctx.manifest("model", inputs);
  if (ctx.dry_run()) {
    const int64_t parameters = network->parameter_count();
    return ctx.finish_dry_run({{"parameters", parameters}, {"items", dataset.count()}, {"classes", num_classes},
        {"steps", o.training.steps}, {"epochs", static_cast<double>(o.training.steps * o.training.batch_size) /
        static_cast<double>(dataset.count())}, {"denoiser", network->config()}, {"schedule", process->schedule()},
        {"state_bytes", 20 * parameters}, {"shuffle_buffer_bytes", rows.buffer_bytes()}});  // weight, gradient, 2 moments, EMA
  }
  io::H5Writer output = ctx.create("model");  // claimed before the work starts
  const std::string checkpoint_path = nn::checkpoint_path(output.path());
  io::Json identity{{"config", manifest.json().at("config")}};
  for (const auto& [name, input] : inputs) identity[name] = input.sha256();
  const std::string fingerprint = sha256_of(identity.dump());
  const auto found = nn::find_checkpoint(o.resume, checkpoint_path, fingerprint, o.common.force);
  if (found) trainer.restore(*found);
  io::JsonLog log(io::log_path(o.common.log, output.path()), found ? trainer.steps_done() : -1);
  log.write_start(trainer.steps_done(), "pretrain");

  install_stop_handlers();
  set_time_limit(o.time_limit);
  nn::CheckpointClock clock(o.save_every);
  Progress progress("training", o.training.steps);
  const auto start = std::chrono::steady_clock::now();
  const double seconds_before = found ? found->state.value("seconds", 0.0) : 0.0;
  while (!trainer.done()) {
    const diffusion::TrainingRecord r = trainer.step();
    const double seconds = seconds_before + std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (r.step % o.log_every == 0 || trainer.done()) {
      log.write({{"step", r.step}, {"loss", r.loss}, {"grad_norm", r.grad_norm}, {"lr", r.lr}, {"seconds", seconds}});
    }
    progress.update(r.step, cat("loss ", r.loss));
    const bool stopping = stop_requested() && !trainer.done();
    if (stopping || clock.due()) {
      nn::Checkpoint checkpoint;
      checkpoint.fingerprint = fingerprint;
      trainer.save(checkpoint);
      checkpoint.state["seconds"] = seconds;
      nn::save_checkpoint(checkpoint_path, checkpoint);
      if (stopping) cli::stop_after_checkpoint(checkpoint_path);
    }
  }

  nn::write_denoiser(output, *network, &trainer.result());
  manifest.json()["space"] = space.to_json();
  if (num_classes > 0 && dataset.json().contains("classes")) manifest.json()["classes"] = dataset.json().at("classes");
  manifest.json()["model"] = {{"denoiser", network->config()}, {"schedule", process->schedule()},
                              {"parameters", network->parameter_count()}};
  const int status = ctx.finish(output, manifest);
  nn::remove_checkpoint(checkpoint_path);
  return status;
}

}  // namespace
#endif

PLUMB_TOOL(PretrainOptions, "pretrain", "trains a diffusion model on a dataset", "dataset -> model")
