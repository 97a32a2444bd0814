// reward-train: fits a classifier to labels, a regressor to scores, or a reward to preferences. Man page: reward-train(1).   SPDX-License-Identifier: Apache-2.0
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
      .suggest({"auto", "tiny", "small", "medium", "cnn", "sequence", "vector", "linear", "kmer"}).file();
  t.add("target", &o.target, "regressor: which column of the scores to learn (not needed if there is one)").metavar("COLUMN");
  t.add("test", &o.test, "also report metrics on this dataset (classifier), these scores (regressor) or answers (preference)").metavar("FILE.h5").file();
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
#include <map>
#include <numeric>

#include <ATen/ATen.h>

#include "core/log.h"
#include "core/sha256.h"
#include "core/signals.h"
#include "core/text.h"
#include "io/json_log.h"
#include "nn/codec.h"
#include "rewards/labelled_items.h"
#include "rewards/prediction_quality.h"
#include "rewards/reward_fit.h"
#include "rewards/ridge.h"

namespace {

using namespace plumb;

void refuse_meaningless(cli::Context& ctx, const RewardTrainOptions& o) {
  static const std::map<std::string, std::vector<std::string>> others{
      {"classifier", {"target", "below"}}, {"regressor", {"calibrate", "label-smoothing"}}, {"preference", {"target", "below", "calibrate"}}};
  for (const std::string& option : others.at(o.training.type)) {
    if (ctx.was_set(option)) throw Error(Exit::kUsage, "--" + option, "has no meaning for --type " + o.training.type);
  }
  rewards::check_uncertainty_options(o.training.uncertainty, o.training.type, [&ctx](const std::string& option) { return ctx.was_set(option); });
  rewards::check_noise_options(o.training, [&ctx](const std::string& option) { return ctx.was_set(option); });
  rewards::check_ridge_options(o.training, [&ctx](const std::string& option) { return ctx.was_set(option); });
  if (ctx.was_set("epochs") && o.training.steps > 0) throw Error(Exit::kUsage, "--epochs", "has no effect with --steps", "leave one of the two out");
  if (o.training.held_out > 0) return;
  for (const std::string option : {"calibrate", "evaluate-every", "patience"}) {
    if (ctx.was_set(option)) throw Error(Exit::kUsage, "--" + option, "needs held-out items", "set --held-out above 0");
  }
}

/// Steps until done, with log, progress and checkpoints.
void train(rewards::RewardFit& fit, const RewardTrainOptions& o, io::JsonLog& log, const std::string& checkpoint_path, const std::string& fingerprint) {
  install_stop_handlers();
  set_time_limit(o.time_limit);
  nn::CheckpointClock clock(o.save_every);
  Progress progress("training", fit.total_steps());
  while (!fit.done()) {
    const auto start = std::chrono::steady_clock::now();
    const rewards::RewardTrainingRecord r = fit.step();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    io::Json line{{"step", r.step}, {"loss", r.loss}, {"grad_norm", r.grad_norm}, {"lr", r.lr}, {"seconds", seconds.count()}};
    line.update(fit.run_of_step());
    if (!std::isnan(r.held_out_loss)) {
      line["held_out_loss"] = r.held_out_loss;
      log::verbose("step ", r.step, ": held-out loss ", r.held_out_loss);
    }
    log.write(line);
    progress.update(r.step, cat("loss ", r.loss));
    const bool stopping = stop_requested() && !fit.done();
    if (stopping || clock.due()) {
      nn::Checkpoint checkpoint;
      checkpoint.fingerprint = fingerprint;
      fit.save(checkpoint);
      nn::save_checkpoint(checkpoint_path, checkpoint);
      if (stopping) cli::stop_after_checkpoint(checkpoint_path);
    }
  }
}

int run(cli::Context& ctx, const RewardTrainOptions& o) {
  const rewards::RewardTrainingOptions& training = o.training;
  refuse_meaningless(ctx, o);
  const at::Device device = nn::parse_device(o.common.device);
  nn::setup_torch(ctx.threads());
  const bool classifier = training.type == "classifier", preference = training.type == "preference";
  const io::Manifest source = classifier ? ctx.need("dataset") : preference ? ctx.need("feedback") : ctx.input();
  const rewards::LabelledItems labelled = rewards::read_labelled(source, training.type, o.target);
  const io::H5Reader file = io::open_artefact(labelled.items);
  const io::Space space = labelled.items.space();
  const auto codec = nn::make_codec(space, labelled.items.label());
  if (training.flip) nn::check_flip(space);
  if (training.shift > 0 && space.type != "image") throw Error(Exit::kUsage, "--shift", "is for images, the items are " + space.text());
  const auto num_classes = static_cast<int64_t>(labelled.classes.size());
  const at::Tensor target = rewards::add_label_noise(labelled.target, num_classes, training);
  const rewards::ChosenItems chosen = rewards::choose_items(target, training);
  const std::vector<int64_t>& held_out = chosen.split.held_out;

  std::vector<std::pair<std::string, io::Manifest>> inputs{{source.kind(), source}};
  std::optional<rewards::LabelledItems> test;
  if (!o.test.empty()) {
    inputs.emplace_back("test", ctx.read(o.test, ""));
    test = rewards::read_labelled(inputs.back().second, training.type, preference ? "" : labelled.target_name);
    rewards::check_same_labels(labelled, *test);
  }
  std::shared_ptr<const rewards::ForwardNoise> noise;
  if (!training.noised_by.empty()) {
    inputs.emplace_back("model", ctx.read(training.noised_by, "model"));
    noise = rewards::ForwardNoise::of_model(inputs.back().second, space, training.noised_steps, training.seed);
  }
  io::Manifest manifest = ctx.manifest("reward", inputs);
  const rewards::ItemRows rows(file, space.dataset(), noise);
  rewards::RewardFit fit(nn::predictor_preset(training.uncertainty.type == "gp" ? "linear" : o.network, space, classifier ? num_classes : 1), o.network, rows, *codec, target, chosen.split,
                         training, device, labelled.pairs);
  if (ctx.dry_run()) {
    return ctx.finish_dry_run({{"parameters", fit.parameter_count()}, {"train", chosen.split.train.size()}, {"held_out", held_out.size()},
                               {"steps", fit.total_steps()}, {"classes", labelled.classes}, {"network", fit.network()}, {"runs", fit.runs()}});
  }
  io::H5Writer output = ctx.create("reward");
  const std::string checkpoint_path = nn::checkpoint_path(output.path());
  io::Json identity{{"config", manifest.json().at("config")}, {"network", fit.network()}};
  for (const auto& [name, input] : inputs) identity[name] = input.sha256();
  const std::string fingerprint = sha256_of(identity.dump());
  const auto found = nn::find_checkpoint(o.resume, checkpoint_path, fingerprint, o.common.force);
  if (found) fit.restore(*found);
  io::JsonLog log(io::log_path(o.common.log, output.path()), found ? fit.steps_done() : -1);
  log.write_start(fit.steps_done(), "reward-train");
  train(fit, o, log, checkpoint_path, fingerprint);
  rewards::FittedReward fitted = fit.finish();
  double temperature = 1;
  const at::Tensor known = target.index_select(0, at::tensor(held_out, at::kLong));
  if (training.calibrate) temperature = rewards::fit_temperature(rewards::predict(*fitted.predictor, rows, *codec, held_out, device), known);
  io::Json reward = rewards::reward_json(fit, fitted, training, chosen, target);
  if (classifier) reward.update({{"classes", labelled.classes}, {"temperature", temperature}});
  else reward["target"]["name"] = labelled.target_name;
  io::Json metrics = io::Json::object();
  if (!held_out.empty()) metrics["held_out"] = rewards::quality_of(fitted, rows, *codec, held_out, known, temperature, device, labelled.pairs);
  if (test) metrics["test"] = rewards::test_quality(fitted, *codec, *test, temperature, device, noise);
  if (noise && !held_out.empty()) {
    metrics["noise_levels"] = rewards::noise_level_quality(*fitted.predictor, rows, *codec, held_out, known,
                                                           {temperature, fitted.scale.mean, fitted.scale.std}, device);
  }
  reward["metrics"] = std::move(metrics);
  if (noise) {
    reward["noised"] = noise->describe();
    reward["noised"]["model"] = inputs.back().second.sha256();
  }
  manifest.json()["space"] = space.to_json();
  manifest.json()["reward"] = std::move(reward);
  rewards::write_reward(output, *fitted.predictor, fitted.uncertainty);
  const int status = ctx.finish(output, manifest);
  nn::remove_checkpoint(checkpoint_path);
  return status;
}

}  // namespace
#endif

PLUMB_TOOL(RewardTrainOptions, "reward-train", "trains a classifier or a learned reward", "dataset, scores or feedback -> reward")
