// ReFL: the reward of the sample that one late call predicts, up to a target.
// Source: Xu et al. 2023, "ImageReward: learning and evaluating human preferences for text-to-image generation", alg. 1, and its
// code (which passes the step's index as the timestep; here it is the step's own).   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "align/direct.h"
#include "align/registry.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/text.h"

namespace plumb::align {
namespace {

class Refl final : public DirectBackprop {
 public:
  explicit Refl(const TuningContext& context) : DirectBackprop(context, "refl"), settings_(context.options.refl) {
    constexpr const char* kOption = "--refl.standardise";
    const std::string& text = settings_.standardise;
    if (text == "base")
      return;
    measured_ = true;
    if (text == "none")
      return;
    const size_t colon = text.find(':');
    if (colon == std::string::npos)
      throw Error(Exit::kUsage, kOption, "unknown value '" + text + "'", "base, none or MEAN:SD");
    mean_ = parse_double(text.substr(0, colon), kOption);
    sd_ = parse_double(text.substr(colon + 1), kOption);
    if (!(sd_ > 0))
      throw Error(Exit::kUsage, kOption, cat("'", text, "': the deviation must be above 0"));
  }

  bool collect(TuningContext& context, int64_t) override { return measured_ || measure(context); }

  UpdateLog accumulate_gradients(TuningContext& context, int64_t epoch, int64_t index) override {
    UpdateLog log = DirectBackprop::accumulate_gradients(context, epoch, index);
    log.set("standard_mean", mean_);
    log.set("standard_sd", sd_);
    return log;
  }

  void save(nn::Checkpoint& checkpoint, bool) const override {
    checkpoint.state["refl"] = {{"measured", measured_}, {"mean", mean_}, {"sd", sd_}};
  }
  void restore(const nn::Checkpoint& checkpoint, bool) override {
    const io::Json& state = checkpoint.state.at("refl");
    measured_ = state.at("measured").get<bool>();
    mean_ = state.at("mean").get<double>();
    sd_ = state.at("sd").get<double>();
  }

  io::Json plan() const override {
    io::Json plan = DirectBackprop::plan();
    plan["first_step"] = steps() - late();
    if (settings_.standardise == "base")
      plan["reward_queries"] = plan["reward_queries"].get<int64_t>() + options().samples_per_epoch;
    return plan;
  }

 protected:
  KeptSteps draw_steps(Philox& random) const override {
    KeptSteps kept;
    kept.predict = steps() - 1 - static_cast<int64_t>(random.below(static_cast<uint64_t>(late())));
    kept.keep.assign(static_cast<size_t>(steps()), false);
    kept.keep[static_cast<size_t>(kept.predict)] = true;
    return kept;
  }
  Tensor loss(const Tensor& reward) const override {
    return refl_loss(reward, mean_, sd_, settings_.target, settings_.scale);
  }

 private:
  /// How many of the last steps m is drawn from.
  int64_t late() const {
    return std::max<int64_t>(1, static_cast<int64_t>(std::lround(settings_.last * static_cast<double>(steps()))));
  }

  /// Mean and deviation of the rewards of the first epoch's samples, under the base model.
  bool measure(TuningContext& context) {
    RolloutRequest request;
    request.items.resize(static_cast<size_t>(options().samples_per_epoch));
    std::iota(request.items.begin(), request.items.end(), int64_t{0});
    request.seed = options().seed;
    request.classes = context.policy.options().classes;
    request.batch_size = options().batch_size;
    request.keep_chain = false;
    Progress bar("rewards of the base model", options().samples_per_epoch);
    const std::optional<Rollout> rollout =
        roll_out(context.policy, context.codec, request, [&](int64_t done) { bar.update(done); });
    if (!rollout)
      return false;
    const Tensor values = score(*context.reward, options().reward, *rollout);
    mean_ = values.mean().item<double>();
    sd_ = values.std(0).item<double>();
    if (!(sd_ > 0))
      throw Error(Exit::kBadNumbers, options().reward, cat("is ", mean_, " for all samples of the base model"),
                  "give --refl.standardise MEAN:SD, or none");
    measured_ = true;
    return true;
  }

  ReflOptions settings_;
  bool measured_ = false;
  double mean_ = 0, sd_ = 1;
};

}  // namespace

std::unique_ptr<Method> make_refl(const TuningContext& context) { return std::make_unique<Refl>(context); }

}  // namespace plumb::align
