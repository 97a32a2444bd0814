// RAFT: draws samples, keeps the best of each class, and trains on them as on data: the usual denoising loss.
// Source: Dong et al. 2023, "RAFT: reward ranked finetuning for generative foundation model alignment", alg. 1.
// SPDX-License-Identifier: Apache-2.0
#include "align/raft.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <numeric>

#include "align/method.h"
#include "align/registry.h"
#include "align/update_plan.h"
#include "core/progress.h"
#include "core/text.h"
#include "diffusion/training.h"

namespace plumb::align {

std::vector<int64_t> best_within_classes(const Tensor& label, const Tensor& reward, int64_t count) {
  const int64_t n = reward.size(0);
  const Tensor classes = label.defined() ? label.to(at::kCPU, at::kLong).contiguous() : at::zeros({n}, at::kLong);
  const Tensor values = reward.to(at::kCPU, at::kDouble).contiguous();
  const int64_t* of = classes.const_data_ptr<int64_t>();
  const double* r = values.const_data_ptr<double>();
  std::vector<double> better(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    int64_t size = 0, above = 0;
    for (int64_t j = 0; j < n; ++j) {
      if (of[j] != of[i])
        continue;
      ++size;
      above += r[j] > r[i] || (r[j] == r[i] && j < i);
    }
    better[static_cast<size_t>(i)] = (static_cast<double>(above) + 0.5) / static_cast<double>(size);
  }
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return better[static_cast<size_t>(a)] < better[static_cast<size_t>(b)]; });
  order.resize(static_cast<size_t>(count));
  std::sort(order.begin(), order.end());
  return order;
}

namespace {

class Raft final : public Method {
 public:
  explicit Raft(const TuningContext& context)
      : options_(context.options),
        plan_(make_update_plan(samples_updated_on(options_), {0}, 1.0, options_.train_batch_size, options_.grad_accumulation,
                               options_.inner_epochs, UpdateOrder::kTrajectories)),
        steps_(context.policy.steps()),
        without_class_(context.policy.options().classes == std::vector<int64_t>{context.policy.num_classes()}) {
    context.policy.schedule();  // its loss is of noised samples: refuses a chain that is not Gaussian
    if (!without_class_)
      diffusion::check_label_drop(context.policy.network(), options_.raft.label_drop, "--raft.label-drop");
  }

  std::string name() const override { return "raft"; }
  int64_t updates_per_epoch() const override { return plan_.updates_per_epoch(); }

  bool collect(TuningContext& context, int64_t epoch) override {
    const int64_t drawn = options_.samples_per_epoch;
    RolloutRequest request;
    request.items.resize(static_cast<size_t>(drawn));
    std::iota(request.items.begin(), request.items.end(), epoch * drawn);
    request.seed = options_.seed;
    request.classes = context.policy.options().classes;
    request.batch_size = options_.batch_size;
    request.keep_chain = false;
    Progress bar(cat("epoch ", epoch + 1, ": sampling"), drawn);
    const std::optional<Rollout> rollout = roll_out(context.policy, context.codec, request, [&](int64_t done) { bar.update(done); });
    if (!rollout)
      return false;
    const Tensor reward = score(*context.reward, options_.reward, *rollout);
    const Tensor best = at::tensor(best_within_classes(rollout->condition.label, reward, plan_.samples), at::kLong);
    kept_ = rollout->stored.index_select(0, best);
    label_ = rollout->condition.label.defined() ? rollout->condition.label.index_select(0, best) : Tensor();
    epoch_log_ = {{"reward", reward.mean().item<double>()},
                  {"reward_std", reward.std(0).item<double>()},
                  {"reward_kept", reward.index_select(0, best).mean().item<double>()}};
    return true;
  }

  UpdateLog accumulate_gradients(TuningContext& context, int64_t epoch, int64_t index) override {
    Policy& policy = context.policy;
    const std::vector<UpdatePlan::Transition> picked = plan_.transitions(options_.seed, epoch, index);
    const int64_t count = static_cast<int64_t>(picked.size()), before = (epoch * updates_per_epoch() + index) * count;
    UpdateLog log;
    for (const auto& [name, value] : epoch_log_)
      log.set(name, value);
    Progress bar(cat("epoch ", epoch + 1, ": update ", index + 1, " of ", updates_per_epoch()), count);
    for (int64_t begin = 0; begin < count; begin += options_.batch_size) {
      const int64_t end = std::min(count, begin + options_.batch_size);
      std::vector<int64_t> rows;
      for (int64_t k = begin; k < end; ++k)
        rows.push_back(picked[static_cast<size_t>(k)].sample);
      const Tensor samples = at::tensor(rows, at::kLong);
      const Tensor x0 = context.codec.encode(kept_.index_select(0, samples)).to(policy.device());
      const Tensor label = label_.defined() && !without_class_ ? label_.index_select(0, samples) : Tensor();
      diffusion::TrainingBatch batch = diffusion::make_training_batch(x0, label, policy.num_classes(), policy.schedule(),
                                                                      options_.raft.label_drop, options_.seed, before + begin);
      if (label_.defined() && without_class_)
        batch.condition.label = label_.index_select(0, samples).to(policy.device());
      const Tensor x_t = diffusion::noised(policy.schedule(), batch);
      const Tensor output = policy.unguided_output(x_t, batch.t, batch.condition);
      Tensor total = diffusion::denoising_error(output, policy.schedule(), batch).mean();
      if (const double weight = kl_weight(options_); weight > 0) {
        const Tensor gap = noise_gap(policy, output, policy.unguided_reference(x_t, batch.t, batch.condition), x_t, batch.t).mean();
        log.add_mean("kl_plain", gap.item<double>(), share_of(begin, end, count));
        total = total + weight * gap;
      }
      (total * share_of(begin, end, count)).backward();
      log.add_mean("loss", total.item<double>(), share_of(begin, end, count));
      bar.update(end);
    }
    return log;
  }

  void save(nn::Checkpoint& checkpoint, bool collected) const override {
    if (!collected)
      return;
    checkpoint.state["raft"] = epoch_log_;
    checkpoint.tensors.emplace_back("raft/kept", kept_);
    if (label_.defined())
      checkpoint.tensors.emplace_back("raft/label", label_);
  }
  void restore(const nn::Checkpoint& checkpoint, bool collected) override {
    if (!collected)
      return;
    epoch_log_ = checkpoint.state.at("raft").get<std::map<std::string, double>>();
    kept_ = checkpoint.tensor("raft/kept");
    for (const auto& [name, tensor] : checkpoint.tensors)
      if (name == "raft/label")
        label_ = tensor;
  }

  io::Json plan() const override {
    return {{"samples_per_epoch", options_.samples_per_epoch},
            {"kept_per_epoch", plan_.samples},
            {"steps", steps_},
            {"samples_per_update", plan_.samples_per_update},
            {"updates_per_epoch", plan_.updates_per_epoch()},
            {"updates", plan_.updates_per_epoch() * options_.epochs},
            {"reward_queries", options_.samples_per_epoch * options_.epochs},
            {"lr", learning_rate(options_)},
            {"kl_coef", kl_weight(options_)}};
  }

 private:
  static double share_of(int64_t begin, int64_t end, int64_t count) {
    return static_cast<double>(end - begin) / static_cast<double>(count);
  }
  /// Mean over an item's elements of (eps - eps_ref)^2, [B]: Policy::noise_gap_to_reference at any noise level.
  static Tensor noise_gap(const Policy& policy, const Tensor& output, const Tensor& reference, const Tensor& x_t, const Tensor& t) {
    std::vector<int64_t> shape(static_cast<size_t>(x_t.dim()), 1);
    shape[0] = x_t.size(0);
    const Tensor a = policy.schedule().alpha_cumprod(t).reshape(shape);
    const auto eps = [&](const Tensor& o) { return diffusion::predict(policy.schedule().prediction_type(), o, x_t, a).eps; };
    return (eps(output) - eps(reference)).square().flatten(1).mean(1);
  }

  FinetuneOptions options_;
  UpdatePlan plan_;
  int64_t steps_;  // T
  bool without_class_;
  Tensor kept_, label_;  // [K,*space.shape] as stored, [K] int64 or undefined
  std::map<std::string, double> epoch_log_;
};

}  // namespace

std::unique_ptr<Method> make_raft(const TuningContext& context) { return std::make_unique<Raft>(context); }

}  // namespace plumb::align
