// SPDX-License-Identifier: Apache-2.0
#include "rewards/reward_fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "nn/denoiser.h"
#include "rewards/bonus.h"
#include "rewards/comparisons.h"
#include "rewards/ensemble.h"
#include "rewards/labelled_items.h"
#include "rewards/prediction_quality.h"
#include "rewards/rbf_gp.h"

namespace plumb::rewards {
namespace {

constexpr size_t kBatch = 256;
constexpr double kCapDeviations = 10;   // the cap of the published code of SEIKO, for rewards of unit scale

/// Calls f(model-space batch on the device) over all rows, noised as predict() does if the network learns from such.
template <typename F>
void each_batch(const ItemRows& items, const nn::Codec& codec, const std::vector<int64_t>& rows, at::Device device, const F& f) {
  const at::NoGradGuard no_grad;
  for (size_t begin = 0; begin < rows.size(); begin += kBatch) {
    const size_t end = std::min(rows.size(), begin + kBatch);
    const std::vector<int64_t> batch(rows.begin() + static_cast<std::ptrdiff_t>(begin), rows.begin() + static_cast<std::ptrdiff_t>(end));
    const Tensor x = codec.encode(items.take(batch));
    f((items.noise() ? items.noise()->noised(x, batch, ForwardNoise::kHeldOut) : x).to(device));
  }
}

Tensor targets_of(const Tensor& target, const std::vector<int64_t>& rows) { return target.index_select(0, at::tensor(rows, at::kLong)); }

}  // namespace

Estimate FittedReward::estimate(const ItemRows& items, const nn::Codec& codec, const std::vector<int64_t>& rows, at::Device device) const {
  std::vector<Tensor> mean, spread;
  each_batch(items, codec, rows, device, [&](const Tensor& x) {
    if (uncertainty.settings.type == "none") {
      mean.push_back(predictor->forward(x).squeeze(1).to(at::kCPU, at::kDouble) * scale.std + scale.mean);
      return;
    }
    const Estimate batch = uncertainty.estimate(*predictor, x, scale);
    mean.push_back(batch.mean.to(at::kCPU));
    spread.push_back(batch.uncertainty.to(at::kCPU));
  });
  return {at::cat(mean), spread.empty() ? Tensor() : at::cat(spread)};
}

RewardFit::RewardFit(io::Json network, std::string where, const ItemRows& items, const nn::Codec& codec, Tensor target, Split split,
                     const RewardTrainingOptions& options, at::Device device, Tensor pairs)
    : asked_(std::move(network)), network_(asked_), where_(std::move(where)), items_(items), codec_(codec), target_(std::move(target)),
      pairs_(std::move(pairs)), split_(std::move(split)), options_(options), device_(device) {
  const UncertaintyOptions& uncertainty = options_.uncertainty;
  const std::string& type = uncertainty.type;
  if ((type == "bonus" || type == "bootstrap") && network_.at("type") == "torchscript") {
    throw Error(Exit::kUsage, "--uncertainty " + type, type == "bonus" ? "needs features, which a TorchScript network does not show"
                                                                       : "needs networks that start differently, a TorchScript network starts from its file",
                "use --network FILE.json, or a preset");
  }
  if (uncertainty.choose > 0) extremes_ = hold_out_extremes(items_, codec_, target_, split_, uncertainty.clusters, options_.seed);
  for (const bool choosing : {true, false}) {
    if (type == "gp" || (choosing && uncertainty.choose == 0)) continue;
    const bool ensemble = type == "bootstrap";
    for (int64_t k = 0; k < (ensemble ? uncertainty.members : 1); ++k) runs_.push_back({choosing, ensemble ? k : -1});
  }
  if (type == "gp") {
    network_ = {{"type", "rbf-gp"}};
    if (static_cast<int64_t>(split_.train.size()) > kMostGpItems) {
      throw Error(Exit::kBadInput, "--uncertainty gp", cat("an exact Gaussian process of ", split_.train.size(), " items is not possible, at most ", kMostGpItems),
                  "limit them with --labels, or use --uncertainty bonus");
    }
  }
  start();
  if (!networks_.empty()) network_ = networks_.front()->config();
}

int64_t RewardFit::total_steps() const {
  return std::accumulate(runs_.begin(), runs_.end(), int64_t{0}, [this](int64_t sum, const Run& run) {
    return sum + planned_steps(static_cast<int64_t>(split_of(run.choosing).train.size()), options_);
  });
}

TargetScale RewardFit::scale_of(const Split& split) const {
  return options_.type == "regressor" && !options_.ridge ? target_scale(target_, split.train) : TargetScale{};
}

std::unique_ptr<nn::Predictor> RewardFit::make_network(const Run& run) const {
  std::unique_ptr<nn::Predictor> network;
  if (run.member >= 0) {
    network = make_member(asked_, where_, options_.uncertainty.prior_scale, options_.seed, run.member);
  } else {
    network = nn::make_predictor(asked_, where_);
    if (network->config().at("type") != "torchscript") nn::initialise(*network, options_.seed);
  }
  network->to(device_);
  return network;
}

void RewardFit::start() {
  trainer_.reset();
  if (done()) return;
  const Run& run = runs_[run_];
  Split split = split_of(run.choosing);
  RewardTrainingOptions options = options_;
  std::optional<TargetScale> scale;
  if (run.member >= 0) {
    scale = scale_of(split);   // that of all items: members share their units
    split.train = resample(split.train, options_.seed, run.member);
    options.seed = member_seed(options_.seed, run.member);
  }
  networks_.push_back(make_network(run));
  parameter_count_ = networks_.back()->parameter_count() * std::max<int64_t>(1, run.member >= 0 ? options_.uncertainty.members : 1);
  trainer_ = std::make_unique<RewardTrainer>(*networks_.back(), items_, codec_, target_, std::move(split), options, device_, scale, pairs_);
}

RewardTrainingRecord RewardFit::step() {
  const Run& run = runs_[run_];
  label_ = io::Json::object();
  if (run.member >= 0) label_["member"] = run.member;
  if (run.choosing) label_["choosing"] = true;
  RewardTrainingRecord record = trainer_->step();
  record.step += steps_before_;
  if (trainer_->done()) end_run();
  return record;
}

void RewardFit::end_run() {
  if (trainer_->stopped_early()) {
    log::info("stopped at step ", steps_done(), ": no better held-out loss since step ", steps_before_ + trainer_->best_step());
  }
  trainer_->use_best();
  run_steps_.push_back(trainer_->steps_done());
  run_best_.push_back(trainer_->best_step());
  steps_before_ += trainer_->steps_done();
  ++run_;
  start();
}

void RewardFit::save(nn::Checkpoint& checkpoint) const {
  checkpoint.state["run"] = run_;
  checkpoint.state["run_steps"] = run_steps_;
  checkpoint.state["run_best"] = run_best_;
  for (size_t k = 0; k < run_; ++k) checkpoint.add(cat("run/", k, "/"), networks_[k]->state());
  if (trainer_) trainer_->save(checkpoint);
}

void RewardFit::restore(const nn::Checkpoint& checkpoint) {
  run_ = checkpoint.state.at("run").get<size_t>();
  run_steps_ = checkpoint.state.at("run_steps").get<std::vector<int64_t>>();
  run_best_ = checkpoint.state.at("run_best").get<std::vector<int64_t>>();
  steps_before_ = std::accumulate(run_steps_.begin(), run_steps_.end(), int64_t{0});
  trainer_.reset();
  networks_.clear();
  for (size_t k = 0; k < run_; ++k) {
    networks_.push_back(make_network(runs_.at(k)));
    networks_.back()->load_state(checkpoint.with_prefix(cat("run/", k, "/")), "checkpoint");
    networks_.back()->set_requires_grad(false);
    networks_.back()->train(false);
  }
  start();
  if (trainer_) trainer_->restore(checkpoint);
}

FittedReward RewardFit::assemble(bool choosing, UncertaintyOptions settings) {
  const Split& split = split_of(choosing);
  if (settings.type != "none" && !settings.cap) settings.cap = kCapDeviations * target_scale(target_, split_.train).std;
  FittedReward fitted;
  fitted.scale = scale_of(split);
  std::vector<std::unique_ptr<nn::Predictor>> networks;
  for (size_t k = 0; k < runs_.size(); ++k) {
    if (runs_[k].choosing == choosing) networks.push_back(std::move(networks_[k]));
  }
  if (settings.type == "gp") {
    std::vector<Tensor> parts;
    each_batch(items_, codec_, split.train, device_, [&](const Tensor& x) { parts.push_back(x.flatten(1).to(at::kDouble)); });
    const Tensor x = at::cat(parts), y = (targets_of(target_, split.train) - fitted.scale.mean) / fitted.scale.std;
    auto gp = std::make_unique<RbfGpPredictor>(RbfGp(x, y, {settings.length, settings.noise * settings.noise, 1}), x.size(1));
    settings.length = gp->gp().length();
    fitted.predictor = std::move(gp);
  } else if (settings.type == "bootstrap") {
    fitted.predictor = std::make_unique<EnsemblePredictor>(std::move(networks));
  } else {
    fitted.predictor = std::move(networks.front());
  }
  // Differences say nothing of a constant: the items compared get a mean of 0. Against nothing, which is worth 0, they do.
  if (pairs_.defined() && pairs_.min().item<int64_t>() >= 0) {
    const Tensor compared = at::tensor(compared_rows(pairs_, split.train), at::kLong), different = std::get<0>(at::_unique(compared, true)).contiguous();
    const std::vector<int64_t> rows(different.const_data_ptr<int64_t>(), different.const_data_ptr<int64_t>() + different.numel());
    fitted.scale.mean = -predict(*fitted.predictor, items_, codec_, rows, device_).mean().item<double>();
  }
  if (settings.type == "bonus") {
    FeatureMoments moments;
    each_batch(items_, codec_, split.train, device_, [&](const Tensor& x) { moments.add(bonus_features(fitted.predictor->features(x), settings)); });
    fitted.uncertainty.factor = bonus_factor(settings.covariance == "gram" ? moments.gram() : moments.centred(), settings.lambda).to(device_);
  }
  fitted.uncertainty.settings = std::move(settings);
  return fitted;
}

void RewardFit::choose(UncertaintyOptions& settings) {
  UncertaintyOptions unit = settings;
  unit.scale = unit.kappa = 1;
  const FittedReward without = assemble(true, unit);
  const Estimate estimate = without.estimate(items_, codec_, extremes_.held, device_);
  const Tensor target = targets_of(target_, extremes_.held);
  const std::string name = settings.type == "bootstrap" ? "kappa" : "scale";
  io::Json curve = io::Json::array();
  for (const double coverage : {0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0}) {
    const double value = smallest_scale(estimate.mean, estimate.uncertainty, target, coverage);
    curve.push_back({{"coverage", coverage}, {name, std::isfinite(value) ? io::Json(value) : io::Json(nullptr)}});
  }
  const double value = smallest_scale(estimate.mean, estimate.uncertainty, target, settings.choose);
  if (!std::isfinite(value)) {
    throw Error(Exit::kBadNumbers, "--choose-scale", cat("no ", name, " covers ", settings.choose, " of the held-out items: their uncertainty is 0"));
  }
  (name == "kappa" ? settings.kappa : settings.scale) = value;
  log::info("chose --", name, " ", value, ": the smallest with a coverage of ", settings.choose, " on ", extremes_.held.size(), " held-out items");
  const double cap = without.uncertainty.settings.cap.value();
  const double capped = (estimate.uncertainty * value > cap).to(at::kDouble).mean().item<double>();
  if (capped > 0.1) {
    log::warn("with that the uncertainty of ", 100 * capped, " % of these is above --cap ", cap, ": where it is, the conservative reward has the gradient of the plain one; ",
              "raise --cap, or ask for less coverage");
  }
  choice_ = {{"coverage", settings.choose}, {name, value},
             {"held_out", {{"count", extremes_.held.size()}, {"top", extremes_.top}, {"from", extremes_.threshold}, {"cluster", extremes_.cluster},
                           {"clusters", settings.clusters}}},
             {"capped", capped}, {"rmse", (target - estimate.mean).square().mean().sqrt().item<double>()}, {"curve", std::move(curve)}};
}

FittedReward RewardFit::finish() {
  for (size_t k = 0; k < runs_.size(); ++k) {
    if (!runs_[k].choosing) best_steps_.push_back(run_best_.at(k));
  }
  UncertaintyOptions settings = options_.uncertainty;
  if (settings.choose > 0) choose(settings);
  return assemble(false, settings);
}

ChosenItems choose_items(const Tensor& target, const RewardTrainingOptions& options) {
  ChosenItems chosen{{}, 0, target.size(0)};
  if (options.below >= 1) {
    chosen.split = split_items(target.size(0), options);
    return chosen;
  }
  const std::vector<int64_t> below = items_below(target, options, chosen.threshold);
  chosen.kept = static_cast<int64_t>(below.size());
  chosen.split = split_items(below, options);
  return chosen;
}

io::Json quality_of(const FittedReward& fitted, const ItemRows& items, const nn::Codec& codec, const std::vector<int64_t>& rows, const Tensor& target,
                    double temperature, at::Device device, const Tensor& pairs) {
  if (pairs.defined()) return preference_quality(predict_margins(*fitted.predictor, items, codec, pairs, rows, device), target);
  if (!target.is_floating_point()) return quality_json(predict(*fitted.predictor, items, codec, rows, device), target, {temperature, 0, 1});
  const Estimate estimate = fitted.estimate(items, codec, rows, device);
  io::Json json = quality_json(estimate.mean.unsqueeze(1), target, {});
  if (!estimate.uncertainty.defined()) return json;
  const double cap = fitted.uncertainty.settings.cap.value();
  const auto share = [](const Tensor& where) { return where.to(at::kDouble).mean().item<double>(); };
  json["uncertainty"] = {{"mean", check_finite(estimate.uncertainty.mean().item<double>(), "uncertainty")},
                         {"coverage", share((target - estimate.mean).abs() <= estimate.uncertainty.clamp_max(cap))},
                         {"capped", share(estimate.uncertainty > cap)}};
  return json;
}

io::Json test_quality(const FittedReward& fitted, const nn::Codec& codec, const LabelledItems& test, double temperature, at::Device device,
                      std::shared_ptr<const ForwardNoise> noise) {
  const io::H5Reader file = io::open_artefact(test.items);
  std::vector<int64_t> all(static_cast<size_t>(test.target.size(0)));
  std::iota(all.begin(), all.end(), int64_t{0});
  const ItemRows rows(file, test.items.space().dataset(), std::move(noise));
  return quality_of(fitted, rows, codec, all, test.target, temperature, device, test.pairs);
}

io::Json reward_json(const RewardFit& fit, const FittedReward& fitted, const RewardTrainingOptions& options, const ChosenItems& chosen, const Tensor& target) {
  const Split& split = chosen.split;
  io::Json reward{{"type", options.type}, {"network", fit.network()}, {"parameters", fit.parameter_count()}};
  io::Json labels{{"train", split.train.size()}, {"held_out", split.held_out.size()}, {"noise", options.label_noise}};
  if (options.type != "classifier") reward["target"] = {{"mean", fitted.scale.mean}, {"std", fitted.scale.std}};
  if (options.type == "regressor") {
    std::vector<int64_t> used = split.train;
    used.insert(used.end(), split.held_out.begin(), split.held_out.end());
    labels["best"] = targets_of(target, used).max().item<double>();
    if (options.below < 1) labels["below"] = {{"quantile", options.below}, {"threshold", chosen.threshold}, {"kept", chosen.kept}};
  }
  if (options.uncertainty.type != "none") {
    reward["uncertainty"] = fitted.uncertainty.to_json();
    if (fit.best_steps().size() > 1) reward["uncertainty"]["best_steps"] = fit.best_steps();
    if (!fit.choice().is_null()) reward["uncertainty"]["choice"] = fit.choice();
  }
  reward["labels"] = std::move(labels);
  if (fit.best_steps().size() == 1) reward["best_step"] = fit.best_steps().front();
  reward["steps"] = fit.steps_done();
  return reward;
}

}  // namespace plumb::rewards
