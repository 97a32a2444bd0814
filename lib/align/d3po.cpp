// D3PO: which of two samples from one start is better raises the probability of its steps, and lowers that of the other's.
// Source: Yang et al. 2024, "Using human feedback to fine-tune diffusion models without any reward model", alg. 1, and its released code.
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <numeric>

#include "align/online.h"
#include "align/pair_loss.h"
#include "align/registry.h"
#include "align/rollout.h"
#include "align/update_plan.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/signals.h"
#include "core/text.h"

namespace plumb::align {
namespace {

class D3po final : public OnlineMethod {
 public:
  explicit D3po(const TuningContext& context) : OnlineMethod(context, "d3po", true), steps_(context.policy.steps()) {
    plan_of(context.policy, 1);  // refuses what leaves no step
  }

  int64_t updates_per_epoch() const override { return pairs_.size(0) == 0 ? 0 : plan_.updates_per_epoch(); }

  UpdateLog accumulate_gradients(TuningContext& context, int64_t epoch, int64_t index) override {
    Policy& policy = context.policy;
    const std::vector<UpdatePlan::Transition> picked = plan_.transitions(options().seed, epoch, index);
    const int64_t count = static_cast<int64_t>(picked.size()), at_once = std::max<int64_t>(1, options().batch_size / 2);
    UpdateLog log;
    start(log);
    Progress bar(cat("round ", epoch + 1, ": update ", index + 1, " of ", updates_per_epoch()), count);
    for (int64_t begin = 0; begin < count; begin += at_once) {
      if (stop_requested()) {
        log.abandon();
        return log;
      }
      const int64_t end = std::min(count, begin + at_once), n = end - begin;
      std::vector<int64_t> rows, steps, which;
      for (int64_t side = 0; side < 2; ++side) {
        for (int64_t k = begin; k < end; ++k) {
          const UpdatePlan::Transition& one = picked[static_cast<size_t>(k)];
          rows.push_back(pairs_[one.sample][side].item<int64_t>());
          steps.push_back(one.step);
          if (side == 0) which.push_back(one.sample);
        }
      }
      const Tensor row = at::tensor(rows, at::kLong), step = at::tensor(steps, at::kLong);
      const Tensor x_t = x_.index({row, step}).to(policy.device()), x_next = x_.index({row, step + 1}).to(policy.device());
      nn::Condition condition;
      if (label_.defined())
        condition.label = label_.index_select(0, row).to(policy.device());
      const Tensor log_prob = policy.evaluate(x_t, x_next, step.to(policy.device()), condition).log_prob;
      const Tensor log_ratio = (log_prob - log_prob_ref_.index({row, step}).to(policy.device())).reshape({2, n}).t();
      const Tensor y = y_.index_select(0, at::tensor(which, at::kLong)).to(policy.device());
      const Tensor loss = d3po_loss(log_ratio, at::stack({y, -y}, 1), options().d3po.beta, options().d3po.eps, options().d3po.clip == "one-sided");
      const double share = static_cast<double>(n) / static_cast<double>(count);
      (loss.mean() * share).backward();
      log.add_mean("loss", loss.mean().item<double>(), share);
      const Tensor margin = ((log_ratio.select(1, 0) - log_ratio.select(1, 1)) * y).detach();  // of the better over the worse
      log.add_mean("margin", margin.mean().item<double>(), share);
      log.add_mean("clipped", ((log_ratio.exp() - 1).abs() > options().d3po.eps).to(at::kDouble).mean().item<double>(), share);
      bar.update(end);
    }
    return log;
  }

  void save(nn::Checkpoint& checkpoint, bool collected) const override {
    save_round(checkpoint);
    if (!collected)
      return;
    checkpoint.add("d3po/", {{"pairs", pairs_}, {"y", y_}});
    if (x_.defined())
      checkpoint.add("d3po/", {{"x", x_}, {"log_prob_ref", log_prob_ref_}});
    if (label_.defined())
      checkpoint.add("d3po/", {{"label", label_}});
  }
  void restore(const nn::Checkpoint& checkpoint, bool collected) override {
    restore_round(checkpoint);
    if (!collected)
      return;
    for (const auto& [name, value] : checkpoint.with_prefix("d3po/"))
      (name == "pairs" ? pairs_ : name == "y" ? y_ : name == "x" ? x_ : name == "label" ? label_ : log_prob_ref_) = value;
    if (pairs_.size(0) > 0)
      plan_ = made_plan(trained_steps_, pairs_.size(0));
  }

  io::Json plan() const override {
    io::Json plan = OnlineMethod::plan();
    plan.update({{"steps", steps_}, {"pairs_per_update", options().train_batch_size}, {"beta", options().d3po.beta}, {"eps", options().d3po.eps},
                 {"clip", options().d3po.clip}, {"updates_per_pair", options().inner_epochs}});
    return plan;
  }

 protected:
  /// Runs the chains of the judged samples again: a sample is a function of the model, the seed and its number.
  bool learn_from(TuningContext& context, const Judged& judged, int64_t) override {
    pairs_ = at::empty({static_cast<int64_t>(judged.pairs.size()), 2}, at::kLong);
    y_ = at::empty({pairs_.size(0)}, at::kDouble);
    for (int64_t p = 0; p < pairs_.size(0); ++p) {
      const JudgedPair& pair = judged.pairs[static_cast<size_t>(p)];
      pairs_[p][0] = pair.first;
      pairs_[p][1] = pair.second;
      y_[p] = pair.y;
    }
    if (pairs_.size(0) == 0)
      return true;
    const io::Json& about = judged.samples.json();
    if (judged.samples.kind() != "samples" || !about.contains("seed"))
      throw Error(Exit::kBadInput, judged.samples.label(), "are no samples of a model, whose chains d3po needs", "--method diffusion-dpo or papa, which need samples only");
    RolloutRequest request;
    request.items.resize(static_cast<size_t>(judged.samples.count()));
    std::iota(request.items.begin(), request.items.end(), about.value("first", int64_t{0}));
    request.seed = about.at("seed").get<uint64_t>();
    request.classes = context.policy.options().classes;
    const io::H5Reader file = io::open_artefact(judged.samples);
    if (context.policy.num_classes() > 0 && file.has("label"))
      request.label = nn::read_all(file, "label");
    request.batch_size = options().batch_size;
    request.share_start = about.value("share_start", int64_t{1});
    request.reference_log_prob = true;
    for (const JudgedPair& pair : judged.pairs) {
      const auto start = [&](int64_t row) { return (request.items.front() + judged.item[static_cast<size_t>(row)]) / request.share_start; };
      if (start(pair.first) != start(pair.second))
        throw Error(Exit::kBadInput, judged.samples.label(), cat("samples ", judged.item[static_cast<size_t>(pair.first)], " and ", judged.item[static_cast<size_t>(pair.second)],
                    " were compared and do not start from the same noise, as d3po needs"), "sample --share-start 2 --first of a multiple of it; or --method diffusion-dpo");
    }
    Progress bar("running the chains of the judged samples", judged.samples.count());
    const std::optional<Rollout> rollout = roll_out(context.policy, context.codec, request, [&](int64_t done) { bar.update(done); });
    if (!rollout)
      return false;
    const Tensor rows = at::tensor(judged.item, at::kLong);
    if (!at::equal(rollout->stored.index_select(0, rows), judged.stored))
      throw Error(Exit::kBadInput, judged.samples.label(), "are not what this model draws for their seed with these options",
                  "give finetune the model, --sampler-steps and --eta that sample had, and --class none if it drew without");
    x_ = rollout->x.index_select(0, rows);
    log_prob_ref_ = rollout->log_prob_ref.index_select(0, rows);
    label_ = rollout->condition.label.defined() ? rollout->condition.label.index_select(0, rows) : Tensor();
    plan_of(context.policy, pairs_.size(0));
    return true;
  }

 private:
  /// Updates of at most --train-batch-size pairs each, all of one size, so that no answer is left out.
  UpdatePlan made_plan(const std::vector<int64_t>& steps, int64_t pairs) const {
    int64_t batch = std::min(options().train_batch_size, pairs);
    while (pairs % batch != 0)
      --batch;
    return make_update_plan(pairs, steps, options().timestep_fraction, batch, 1, options().inner_epochs, UpdateOrder::kTrajectories);
  }
  void plan_of(const Policy& policy, int64_t pairs) {
    trained_steps_ = policy.trained_steps();
    plan_ = made_plan(trained_steps_, pairs);
  }
  int64_t steps_;
  std::vector<int64_t> trained_steps_;
  UpdatePlan plan_;
  Tensor pairs_, y_;             // [P,2] int64 rows of x, [P] float64: 1 the first is better, -1 the second
  Tensor x_, log_prob_ref_;      // [N,T+1,*shape] float32, [N,T] float64
  Tensor label_;                 // [N] int64 or undefined
};

}  // namespace

std::unique_ptr<Method> make_d3po(const TuningContext& context) { return std::make_unique<D3po>(context); }

}  // namespace plumb::align
