// Direct reward backpropagation.   SPDX-License-Identifier: Apache-2.0
#include "align/direct.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "align/recompute.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/signals.h"
#include "core/text.h"

namespace plumb::align {

int64_t KeptSteps::count() const { return std::count(keep.begin(), keep.end(), true); }

KeptSteps keep_last(int64_t steps, int64_t k) {
  KeptSteps kept;
  for (int64_t i = 0; i < steps; ++i)
    kept.keep.push_back(k == 0 || i >= steps - k);
  return kept;
}

Tensor run_kept(const Chain& chain, const Tensor& x_T, const KeptSteps& kept, const CallObserver& observe) {
  Tensor x = x_T;
  for (int64_t i = 0; i < chain.steps; ++i) {
    const bool keep = kept.keep[static_cast<size_t>(i)];
    Tensor output;
    {
      const at::AutoGradMode gradients(keep);
      output = chain.output(i, x);
    }
    if (observe) {
      const at::AutoGradMode gradients(keep);
      observe(i, x, output, keep);
    }
    if (i == kept.predict)
      return chain.predicted_x0(i, x, output);
    x = chain.advance(i, x, output);
  }
  return x;
}

Tensor renoised(const Chain& chain, const Tensor& y, const Tensor& z, double alpha, const CallObserver& observe) {
  const int64_t last = chain.steps - 1;
  const Tensor x_t = std::sqrt(alpha) * y.detach() + std::sqrt(1 - alpha) * z;
  const Tensor output = chain.output(last, x_t);
  if (observe)
    observe(last, x_t, output, true);
  return chain.predicted_x0(last, x_t, output);
}

Tensor draft_loss(const Tensor& reward) { return -reward; }

Tensor alignprop_loss(const Tensor& reward, std::optional<double> target, double scale) {
  return scale * (target ? (reward - *target).abs() : -reward);
}

Tensor refl_loss(const Tensor& reward, double mean, double sd, double target, double scale) {
  return scale * (target - (reward - mean) / sd).clamp_min(0.0);
}

DirectBackprop::DirectBackprop(const TuningContext& context, std::string name)
    : name_(std::move(name)),
      options_(context.options),
      plan_(make_update_plan(options_.samples_per_epoch, {0}, 1.0, options_.train_batch_size, options_.grad_accumulation, 1,
                             UpdateOrder::kTrajectories)),
      steps_(context.policy.steps()) {
  if (!context.reward->differentiable())
    throw Error(Exit::kUsage, "--reward",
                cat("there is no gradient of ", join(context.reward->without_gradient(), ", "), ", which --method ", name_,
                    " would follow"),
                context.policy.is_gaussian() ? "use a method that needs none, such as ddpo-is" : "use a reward that has one, such as a learned one");
  if (kl_weight(options_) > 0 && options_.kl_form == "exact" && !context.policy.has_densities())
    throw Error(Exit::kUsage, "--kl-form", "exact needs noise in every step", "plain, or --eta 1");
  if (kl_weight(options_) > 0 && options_.kl_form == "plain" && !context.policy.is_gaussian())
    throw Error(Exit::kUsage, "--kl-form", "plain is of noise that a network predicts, which this model's does not", "exact");
}

std::vector<Tensor> DirectBackprop::scored(const DirectBatch&, const Tensor& x) const { return {x}; }

Chain DirectBackprop::chain_of(const TuningContext& context, const std::vector<int64_t>& items,
                               const nn::Condition& condition) const {
  Policy& policy = context.policy;
  const bool again = options_.direct.checkpoint;
  Chain chain;
  chain.steps = steps_;
  chain.output = [&policy, condition, again](int64_t i, const Tensor& x_t) {
    const auto call = [&policy, i, condition](const Tensor& x) { return policy.step_output(i, x, condition); };
    return again && at::GradMode::is_enabled() ? recomputed(call, x_t) : call(x_t);
  };
  chain.advance = [this, &policy, draws = diffusion::Draws{options_.seed, items, policy.device()}](int64_t i, const Tensor& x_t,
                                                                                                   const Tensor& output) {
    return advance(policy.process(), i, x_t, output, policy.process().noise(i, draws));
  };
  chain.predicted_x0 = [&policy](int64_t i, const Tensor& x_t, const Tensor& output) {
    return policy.process().predicted_x0(i, x_t, output);
  };
  return chain;
}

/// The reference's output with a gradient to the state, kept or computed again as that of the network itself.
Tensor DirectBackprop::reference_of(Policy& policy, int64_t i, const Tensor& state, const nn::Condition& condition) const {
  const auto call = [&policy, i, condition](const Tensor& x) { return policy.step_reference(i, x, condition); };
  const bool again = options_.direct.checkpoint && at::GradMode::is_enabled() && state.requires_grad();
  return again ? recomputed(call, state) : call(state);
}

Tensor DirectBackprop::rewards_of(const TuningContext& context, const Tensor& x0, const Tensor& label, int64_t first) const {
  const Tensor values = context.reward->score_differentiable(x0, label).to(at::kDouble);
  if (values.sizes() != at::IntArrayRef({x0.size(0)}))
    throw Error(Exit::kFailed, options_.reward, cat("returned ", values.numel(), " values for ", x0.size(0), " samples"));
  if (x0.requires_grad() && !values.requires_grad())
    throw Error(Exit::kFailed, options_.reward, "returned values without a gradient", "do not detach them from the images");
  const Tensor own = values.detach().to(at::kCPU).contiguous();
  for (int64_t i = 0; i < own.numel(); ++i)
    if (const double value = own.const_data_ptr<double>()[i]; !std::isfinite(value))
      throw Error(Exit::kBadNumbers, options_.reward, cat("the reward of sample ", first + i, " is ", value));
  return values;
}

UpdateLog DirectBackprop::accumulate_gradients(TuningContext& context, int64_t epoch, int64_t index) {
  Policy& policy = context.policy;
  const int64_t per_update = plan_.samples_per_update, minibatch = options_.train_batch_size;
  const uint64_t update = static_cast<uint64_t>(epoch * updates_per_epoch() + index);
  const bool without_class = policy.options().classes == std::vector<int64_t>{policy.num_classes()};
  const double kl_weight_now = kl_weight(options_);
  const std::optional<PathPenalty> penalty = path_penalty();
  UpdateLog log;
  std::vector<Tensor> rewards;
  Progress bar(cat("epoch ", epoch + 1, ": update ", index + 1, " of ", updates_per_epoch()), per_update);
  for (int64_t begin = 0, end = 0; begin < per_update; begin = end) {
    if (stop_requested()) {
      log.abandon();
      return log;
    }
    const int64_t part = begin / minibatch;
    end = std::min(begin + options_.batch_size, (part + 1) * minibatch);
    Philox random(options_.seed, Stream::kKeptSteps, update, static_cast<uint32_t>(part));  // the same for its every batch
    const KeptSteps kept = draw_steps(random);
    std::vector<int64_t> items(static_cast<size_t>(end - begin));
    std::iota(items.begin(), items.end(), epoch * plan_.samples + index * per_update + begin);
    const nn::Condition labels{draw_labels(policy.num_classes(), policy.options().classes, options_.seed, items)};
    const nn::Condition condition = labels.to(policy.device());
    const Chain chain = chain_of(context, items, condition);

    const double share = static_cast<double>(end - begin) / static_cast<double>(per_update);

    std::vector<Tensor> kl, kl_exact, kl_plain;  // [B] each: the form in the loss, and both
    double loss_early = 0;
    Tensor path_kept = at::zeros({end - begin}, at::TensorOptions(policy.device()).dtype(at::kDouble)), kept_nats = path_kept, all_nats = path_kept;
    const CallObserver observe_kept = [&](int64_t i, const Tensor& x_t, const Tensor& output, bool is_kept) {
      if (!is_kept)
        return;
      const Tensor reference = policy.step_reference(i, x_t.detach(), condition);
      const ReferenceKl forms = policy.step_kl(i, x_t, output, reference, policy.options().reduce);
      kl.push_back(forms.form(options_.kl_form));
      if (policy.has_densities())
        kl_exact.push_back(forms.exact.detach());
      if (forms.plain.defined())
        kl_plain.push_back(forms.plain.detach());
    };
    const CallObserver observe_path = [&](int64_t i, const Tensor& x_t, const Tensor& output, bool is_kept) {
      const bool early = !is_kept && penalty->early;
      const at::AutoGradMode gradients((is_kept || early) && penalty->alpha > 0);
      const Tensor reference = reference_of(policy, i, x_t, condition), own = early ? policy.step_output(i, x_t, condition) : output;
      const Tensor nats = policy.process().step_kl(i, x_t, own, reference);
      const bool mean = penalty->reduce == diffusion::Reduce::kMean;
      const Tensor step = mean ? nats / static_cast<double>(x_t.numel() / x_t.size(0)) : nats;
      all_nats = all_nats + nats.detach();
      if (is_kept) {
        const Tensor in_loss = penalty->form ? penalty->form(i, x_t, own, reference) : step;
        path_kept = path_kept + in_loss;
        kept_nats = kept_nats + (penalty->form ? in_loss : nats).detach();
      }
      if (early && penalty->alpha > 0) {
        const Tensor penalised = penalty->alpha * step.mean();
        (penalised * share).backward();
        loss_early += penalised.item<double>();
      }
    };
    const CallObserver watch = penalty ? observe_path : kl_weight_now > 0 ? observe_kept : CallObserver();
    const Tensor x_T = policy.process().prior({options_.seed, items, policy.device()});
    const Tensor last = run_kept(chain, x_T, kept, watch);
    const Tensor x = kept.predict < 0 ? policy.process().finish(last) : last;
    const Tensor label = without_class ? Tensor() : condition.label;
    Tensor own;  // rewards of the samples themselves
    std::vector<Tensor> losses;
    for (const Tensor& x0 : scored({chain, items, policy.device(), watch}, x)) {
      const Tensor values = rewards_of(context, x0, label, items.front());
      losses.push_back(loss(values).mean());
      if (x0.is_same(x))
        own = values.detach();
    }
    if (!own.defined()) {
      const at::NoGradGuard no_grad;
      own = rewards_of(context, x, label, items.front());
    }
    Tensor total = at::stack(losses).mean();
    if (!kl.empty()) {
      total = total + kl_weight_now * at::stack(kl).mean();
      if (!kl_exact.empty())
        log.add_mean("kl_exact", at::stack(kl_exact).mean().item<double>(), share);
      if (!kl_plain.empty())
        log.add_mean("kl_plain", at::stack(kl_plain).mean().item<double>(), share);
    }
    if (penalty) {
      if (penalty->alpha > 0)
        total = total + penalty->alpha * path_kept.mean();
      log.add_mean("kl_kept", kept_nats.mean().item<double>(), share);
      log.add_mean("kl_path", all_nats.mean().item<double>(), share);
    }
    (total * share).backward();
    log.add_mean("loss", total.item<double>() + loss_early, share);
    log.add_mean("kept_steps", static_cast<double>(kept.count()), share);
    rewards.push_back(own.to(at::kCPU));
    bar.update(end);
  }
  const Tensor all = at::cat(rewards);
  log.set("reward", all.mean().item<double>());
  log.set("reward_std", all.numel() > 1 ? all.std().item<double>() : 0.0);
  return log;
}

io::Json DirectBackprop::plan() const {
  return {{"samples_per_epoch", plan_.samples},
          {"steps", steps_},
          {"samples_per_update", plan_.samples_per_update},
          {"updates_per_epoch", plan_.updates_per_epoch()},
          {"updates", plan_.updates_per_epoch() * options_.epochs},
          {"reward_queries", plan_.samples * options_.epochs * queries_per_sample()},
          {"lr", learning_rate(options_)},
          {"kl_coef", kl_weight(options_)},
          {"checkpoint", options_.direct.checkpoint}};
}

}  // namespace plumb::align
