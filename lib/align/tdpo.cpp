// TDPO.   SPDX-License-Identifier: Apache-2.0
#include "align/tdpo.h"

#include <ATen/ATen.h>

#include <limits>

#include "align/registry.h"
#include "core/error.h"
#include "core/philox.h"
#include "metrics/features.h"
#include "nn/dropout.h"

namespace plumb::align {
namespace {

CriticOptions critic_options(const TdpoOptions& o) {
  CriticOptions options;
  options.relu = o.critic_relu;
  options.init = parse_critic_init(o.critic_init);
  return options;
}

metrics::FeatureNetwork& features_of(const TuningContext& context) {
  if (context.critic_features == nullptr)
    throw Error(Exit::kFailed, "--tdpo.features", "the critic has no feature network");
  return *context.critic_features;
}

/// Neurons that a reset takes.
std::vector<Tensor> reset_mask(const std::string& kind, const std::vector<Tensor>& dormant) {
  std::vector<Tensor> mask;
  for (const Tensor& d : dormant)
    mask.push_back(kind == "dormant" ? d : kind == "active" ? d.logical_not() : at::full_like(d, kind == "all"));
  return mask;
}

}  // namespace

Tensor whitened(const Tensor& advantage, const std::vector<int64_t>& steps) {
  const Tensor used = advantage.index_select(1, at::tensor(steps, at::kLong));
  return (advantage - used.mean()) / (used.flatten().std(0, false) + 1e-8);
}

Tdpo::Tdpo(const TuningContext& context, bool resets)
    : PolicyGradient(context, UpdateOrder::kColumns),
      resets_(resets),
      settings_(context.options.tdpo),
      clip_range_(clip_range_of(context)),
      critic_(features_of(context).dimension(), critic_options(settings_), context.options.seed),
      optimizer_(
          [&] {
            critic_.to(context.policy.device());
            return critic_.parameters();
          }(),
          nn::AdamWOptions{.lr = settings_.critic_lr, .eps = settings_.critic_eps, .weight_decay = decay(context.options)}) {}

Tensor Tdpo::value_of(const Tensor& embedding) { return critic_.forward(embedding).to(at::kDouble); }

void Tdpo::observe(TuningContext& context, const Rollout& rollout) {
  const at::NoGradGuard no_grad;
  metrics::FeatureNetwork& features = features_of(context);
  const int64_t n = rollout.size(), steps = rollout.steps();
  embedding_ = at::zeros({n, steps, features.dimension()}, at::kFloat);
  for (const int64_t i : update_plan().steps) {
    const Tensor picture = context.codec.decode(rollout.x.select(1, i).contiguous());
    const Tensor e = features.extract(picture).features.to(at::kCPU, at::kFloat);
    embedding_.select(1, i).copy_(e / e.norm(2, 1, true).clamp_min(1e-12));
  }
  critic_.train(false);
  value_old_ = value_of(embedding_.flatten(0, 1).to(context.policy.device())).to(at::kCPU).view({n, steps});
}

Tensor Tdpo::advantages(const Rollout& rollout, const Tensor& penalties) {
  returns_ = discounted_returns(normalised_rewards(rollout), penalties, rollout.steps(), settings_.gamma).contiguous();
  const Tensor trained = at::tensor(update_plan().steps, at::kLong);
  log_epoch("critic_explained_variance",
            explained_variance(value_old_.index_select(1, trained), returns_.index_select(1, trained)));
  const int64_t last = update_plan().steps.back();  // of the trained states the least noisy, so the easiest to judge
  log_epoch("critic_explained_variance_last", explained_variance(value_old_.select(1, last), returns_.select(1, last)));
  if (!dormant_.empty()) {
    log_epoch("critic_dormant", dormant_share_);
    log_epoch("critic_dormant_overlap", dormant_overlap_);
  }
  if (resets_)
    log_epoch("critic_resets", static_cast<double>(resets_done_));
  const Tensor temporal = returns_ - value_old_;
  return limited(settings_.whitening == "epoch" ? whitened(temporal, update_plan().steps) : temporal);
}

LossTerms Tdpo::loss(const PolicyEvaluation& policy, const TransitionBatch& batch) {
  LossTerms terms = clipped_surrogate(policy.log_prob, batch.log_prob_old, batch.advantage, clip_range_);
  const at::Device device = batch.x_t.device();
  const auto row = [&](const Tensor& table) { return table.flatten(0, 1).index_select(0, batch.row).to(device); };
  const int64_t* keys = batch.row.const_data_ptr<int64_t>();
  const nn::DropoutScope dropout(options().seed, {keys, keys + batch.row.numel()},
                                 static_cast<uint32_t>(epoch_ * updates_per_epoch() + index_));
  const LossTerms critic = critic_loss(value_of(row(embedding_)), row(value_old_), row(returns_), settings_.critic_clip);
  terms.means.emplace_back("approx_kl_k3", approx_kl_k3(policy.log_prob, batch.log_prob_old));
  terms.means.emplace_back("policy_loss", terms.loss.item<double>());
  terms.means.insert(terms.means.end(), critic.means.begin(), critic.means.end());
  terms.loss = terms.loss + critic.loss;
  return terms;
}

UpdateLog Tdpo::accumulate_gradients(TuningContext& context, int64_t epoch, int64_t index) {
  epoch_ = epoch;
  index_ = index;
  critic_.train(true);
  optimizer_.zero_grad();
  UpdateLog log = PolicyGradient::accumulate_gradients(context, epoch, index);
  critic_.train(false);
  const double own = gradient_limit(options()), limit = own > 0 ? own : std::numeric_limits<double>::infinity();
  log.set("critic_grad_norm", optimizer_.clip_grad_norm(limit));
  return log;
}

void Tdpo::after_step() {
  optimizer_.step();
  if ((index_ + 1) % update_plan().updates_per_inner_epoch() == 0)
    probe_and_reset();
}

void Tdpo::probe_and_reset() {
  const int64_t inner = index_ / update_plan().updates_per_inner_epoch();
  std::vector<int64_t> rows;
  for (const auto& t : update_plan().probe(options().seed, epoch_, inner, settings_.probe_n, settings_.probe == "all-steps"))
    rows.push_back(t.sample * returns_.size(1) + t.step);
  const Tensor inputs = embedding_.flatten(0, 1).index_select(0, at::tensor(rows, at::kLong));
  const at::Device device = critic_.layers()[0].weight().device();
  std::vector<Tensor> dormant;
  for (const Tensor& d : dormant_neurons(neuron_activity(critic_.hidden(inputs.to(device))), settings_.dormant_threshold))
    dormant.push_back(d.to(at::kCPU));
  dormant_share_ = count_dormant(dormant).share();
  dormant_overlap_ = dormant_.empty() ? 1.0 : dormant_overlap(dormant_, dormant);
  dormant_ = dormant;
  if (!resets_ || settings_.reset == "none" || (epoch_ + 1) % settings_.reset_every != 0)
    return;
  const bool fixed = settings_.reset_seed == "fixed";
  const uint32_t key = fixed ? 0 : static_cast<uint32_t>(epoch_ + 1);
  uint64_t item = fixed ? 0 : static_cast<uint64_t>(inner) << 32;
  reset_neurons(critic_, optimizer_, reset_mask(settings_.reset, dormant_), [&](int64_t count, int64_t columns, double sd) {
    Tensor values = at::empty({count, columns}, at::kFloat);
    Philox(options().seed, Stream::kCriticReset, item++, key).fill_normal(values.mutable_data_ptr<float>(), values.numel());
    return values * sd;
  });
  ++resets_done_;
}

void Tdpo::save(nn::Checkpoint& checkpoint, bool collected) const {
  PolicyGradient::save(checkpoint, collected);
  checkpoint.state["tdpo"] = {{"critic_steps", optimizer_.steps()},
                              {"resets", resets_done_},
                              {"dormant_share", dormant_share_},
                              {"dormant_overlap", dormant_overlap_}};
  checkpoint.add("critic/", optimizer_.parameters());
  checkpoint.add("critic_adamw/", optimizer_.state());
  for (size_t k = 0; k < dormant_.size(); ++k)
    checkpoint.tensors.emplace_back("critic_dormant/" + std::to_string(k), dormant_[k].to(at::kByte));
  if (!collected)
    return;
  checkpoint.tensors.emplace_back("rollout/embedding", embedding_);
  checkpoint.tensors.emplace_back("rollout/value_old", value_old_);
  checkpoint.tensors.emplace_back("rollout/returns", returns_);
}

void Tdpo::restore(const nn::Checkpoint& checkpoint, bool collected) {
  PolicyGradient::restore(checkpoint, collected);
  const at::NoGradGuard no_grad;
  const io::Json& state = checkpoint.state.at("tdpo");
  resets_done_ = state.at("resets").get<int64_t>();
  dormant_share_ = state.at("dormant_share").get<double>();
  dormant_overlap_ = state.at("dormant_overlap").get<double>();
  for (const auto& [name, value] : optimizer_.parameters())
    Tensor(value).copy_(checkpoint.tensor("critic/" + name));
  optimizer_.restore(checkpoint.with_prefix("critic_adamw/"), state.at("critic_steps").get<int64_t>());
  dormant_.clear();
  for (const auto& [name, mask] : checkpoint.with_prefix("critic_dormant/"))
    dormant_.push_back(mask.to(at::kBool));
  if (!collected)
    return;
  embedding_ = checkpoint.tensor("rollout/embedding");
  value_old_ = checkpoint.tensor("rollout/value_old");
  returns_ = checkpoint.tensor("rollout/returns");
}

io::Json Tdpo::plan() const {
  io::Json plan = PolicyGradient::plan();
  plan["clip_range"] = clip_range_;
  int64_t parameters = 0;
  for (const auto& [name, tensor] : optimizer_.parameters())
    parameters += tensor.numel();
  plan["critic_parameters"] = parameters;
  return plan;
}

std::unique_ptr<Method> make_tdpo(const TuningContext& context) { return std::make_unique<Tdpo>(context, false); }

}  // namespace plumb::align
