// reward-train: fits a classifier to labels, or a regressor to scores. Man page: reward-train(1).   SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"
#include "rewards/training_options.h"

namespace {

struct RewardTrainOptions {
  std::string network = "auto";
  std::string target;
  std::string test;
  plumb::rewards::RewardTrainingOptions training;
  double save_every = 300, time_limit = 0;
  std::string resume = "auto";
  plumb::cli::CommonOptions common;
};

[[maybe_unused]] void describe(plumb::OptionTable& t, RewardTrainOptions& o) {
  t.add("network", &o.network, "auto (small for images, else sequence or vector), a preset, a FILE.json with a configuration, or a "
        "TorchScript FILE.pt that maps items in model space to outputs")
      .suggest({"auto", "tiny", "small", "medium", "sequence", "vector", "linear", "kmer"}).file();
  t.add("target", &o.target, "regressor: which column of the scores to learn (not needed if there is one)").metavar("COLUMN");
  t.add("test", &o.test, "also report metrics on this dataset (classifier) or these scores (regressor)").metavar("FILE.h5").file();
  plumb::rewards::describe(t, o.training);
  t.group("Running");
  t.add("save-every", &o.save_every, "seconds between checkpoints").range(0.1, 1e9).runtime();
  t.add("time-limit", &o.time_limit, "stop with a checkpoint after this many seconds; 0 = no limit").range(0, 1e9).runtime();
  t.add("resume", &o.resume, "checkpoint to go on from: auto (OUT.ckpt if it is of this command), never, or a file")
      .suggest({"auto", "never"}).file().runtime();
  plumb::cli::describe_common(t, o.common, {.precision = false, .log = true, .compress = true});
}

}  // namespace

#ifndef PLUMB_FRONT
#include <chrono>
#include <cmath>
#include <numeric>

#include <ATen/ATen.h>

#include "core/log.h"
#include "core/sha256.h"
#include "core/signals.h"
#include "core/text.h"
#include "io/json_log.h"
#include "nn/codec.h"
#include "nn/denoiser.h"
#include "rewards/labelled_items.h"
#include "rewards/prediction_quality.h"
#include "rewards/reward_training.h"
#include "rewards/ridge.h"

namespace {

using namespace plumb;

void refuse_meaningless(cli::Context& ctx, const RewardTrainOptions& o) {
  const bool classifier = o.training.type == "classifier";
  const std::vector<std::string> other = classifier ? std::vector<std::string>{"target"} : std::vector<std::string>{"calibrate", "label-smoothing"};
  for (const std::string& option : other) {
    if (ctx.was_set(option)) throw Error(Exit::kUsage, "--" + option, "has no meaning for --type " + o.training.type);
  }
  rewards::check_ridge_options(o.training, [&ctx](const std::string& option) { return ctx.was_set(option); });
  if (o.training.held_out > 0) return;
  if (o.training.calibrate) throw Error(Exit::kUsage, "--calibrate", "needs held-out items", "set --held-out above 0");
  if (o.training.patience > 0) throw Error(Exit::kUsage, "--patience", "needs held-out items", "set --held-out above 0");
}

/// Metrics on all items of `test`, which had no noise added.
io::Json test_metrics(nn::Predictor& network, const nn::Codec& codec, const rewards::LabelledItems& test,
                      const rewards::OutputScale& scale, at::Device device) {
  const io::H5Reader file = io::open_artefact(test.items);
  std::vector<int64_t> all(static_cast<size_t>(test.target.size(0)));
  std::iota(all.begin(), all.end(), int64_t{0});
  const rewards::ItemRows rows(file, test.items.space().dataset());
  return rewards::quality_json(rewards::predict(network, rows, codec, all, device), test.target, scale);
}

int run(cli::Context& ctx, const RewardTrainOptions& o) {
  const rewards::RewardTrainingOptions& training = o.training;
  refuse_meaningless(ctx, o);
  const at::Device device = nn::parse_device(o.common.device);
  nn::setup_torch(ctx.threads());
  const bool classifier = training.type == "classifier";
  const io::Manifest source = classifier ? ctx.need("dataset") : ctx.input();
  const rewards::LabelledItems labelled = rewards::read_labelled(source, classifier, o.target);
  const io::H5Reader file = io::open_artefact(labelled.items);
  const io::Space space = labelled.items.space();
  const auto codec = nn::make_codec(space, labelled.items.label());
  if (training.flip) nn::check_flip(space);
  if (training.shift > 0 && space.type != "image") throw Error(Exit::kUsage, "--shift", "is for images, the items are " + space.text());
  const auto num_classes = static_cast<int64_t>(labelled.classes.size());
  const rewards::Split split = rewards::split_items(labelled.target.size(0), training);
  const at::Tensor target = rewards::add_label_noise(labelled.target, num_classes, training);
  const auto network = nn::make_predictor(nn::predictor_preset(o.network, space, classifier ? num_classes : 1), o.network);
  if (network->config().at("type") != "torchscript") nn::initialise(*network, training.seed);
  network->to(device);

  std::vector<std::pair<std::string, io::Manifest>> inputs{{source.kind(), source}};
  std::optional<rewards::LabelledItems> test;
  if (!o.test.empty()) {
    inputs.emplace_back("test", ctx.read(o.test, ""));
    test = rewards::read_labelled(inputs.back().second, classifier, labelled.target_name);
    rewards::check_same_labels(labelled, *test);
  }
  io::Manifest manifest = ctx.manifest("reward", inputs);
  const rewards::ItemRows rows(file, space.dataset());
  rewards::RewardTrainer trainer(*network, rows, *codec, target, split, training, device);
  if (ctx.dry_run()) {
    return ctx.finish_dry_run({{"parameters", network->parameter_count()}, {"train", split.train.size()}, {"held_out", split.held_out.size()},
                               {"steps", trainer.total_steps()}, {"classes", labelled.classes}, {"network", network->config()}});
  }

  io::H5Writer output = ctx.create("reward");
  const std::string checkpoint_path = nn::checkpoint_path(output.path());
  io::Json identity{{"config", manifest.json().at("config")}, {"network", network->config()}};
  for (const auto& [name, input] : inputs) identity[name] = input.sha256();
  const std::string fingerprint = sha256_of(identity.dump());
  const auto found = nn::find_checkpoint(o.resume, checkpoint_path, fingerprint, o.common.force);
  if (found) trainer.restore(*found);
  io::JsonLog log(io::log_path(o.common.log, output.path()), found ? trainer.steps_done() : -1);
  log.write_start(trainer.steps_done(), "reward-train");

  install_stop_handlers();
  set_time_limit(o.time_limit);
  nn::CheckpointClock clock(o.save_every);
  Progress progress("training", trainer.total_steps());
  while (!trainer.done()) {
    const auto start = std::chrono::steady_clock::now();
    const rewards::RewardTrainingRecord r = trainer.step();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    io::Json line{{"step", r.step}, {"loss", r.loss}, {"grad_norm", r.grad_norm}, {"lr", r.lr}, {"seconds", seconds.count()}};
    if (!std::isnan(r.held_out_loss)) {
      line["held_out_loss"] = r.held_out_loss;
      log::verbose("step ", r.step, ": held-out loss ", r.held_out_loss);
    }
    log.write(line);
    progress.update(r.step, cat("loss ", r.loss));
    const bool stopping = stop_requested() && !trainer.done();
    if (stopping || clock.due()) {
      nn::Checkpoint checkpoint;
      checkpoint.fingerprint = fingerprint;
      trainer.save(checkpoint);
      nn::save_checkpoint(checkpoint_path, checkpoint);
      if (stopping) cli::stop_after_checkpoint(checkpoint_path);
    }
  }
  if (trainer.stopped_early()) log::info("stopped at step ", trainer.steps_done(), ": no better held-out loss since step ", trainer.best_step());
  trainer.use_best();

  rewards::OutputScale scale{1.0, trainer.target_mean(), trainer.target_std()};
  const at::Tensor held_out_target = target.index_select(0, at::tensor(split.held_out, at::kLong));
  at::Tensor held_out;
  if (!split.held_out.empty()) held_out = rewards::predict(*network, rows, *codec, split.held_out, device);
  if (training.calibrate) scale.temperature = rewards::fit_temperature(held_out, held_out_target);
  io::Json reward{{"type", training.type}, {"network", network->config()}, {"parameters", network->parameter_count()}};
  if (classifier) {
    reward["classes"] = labelled.classes;
    reward["temperature"] = scale.temperature;
  } else {
    reward["target"] = {{"name", labelled.target_name}, {"mean", scale.mean}, {"std", scale.std}};
  }
  reward["labels"] = {{"train", split.train.size()}, {"held_out", split.held_out.size()}, {"noise", training.label_noise}};
  reward["best_step"] = trainer.best_step();
  reward["steps"] = trainer.steps_done();
  reward["metrics"] = io::Json::object();
  if (held_out.defined()) reward["metrics"]["held_out"] = rewards::quality_json(held_out, held_out_target, scale);
  if (test) reward["metrics"]["test"] = test_metrics(*network, *codec, *test, scale, device);
  manifest.json()["space"] = space.to_json();
  manifest.json()["reward"] = std::move(reward);
  nn::write_predictor(output, *network);
  const int status = ctx.finish(output, manifest);
  nn::remove_checkpoint(checkpoint_path);
  return status;
}

}  // namespace
#endif

PLUMB_TOOL(RewardTrainOptions, "reward-train", "trains a classifier or a learned reward", "dataset or scores -> reward")
