// SPDX-License-Identifier: Apache-2.0
#include "align/online.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/log.h"
#include "core/philox.h"

namespace plumb::align {

NoisedSamples::NoisedSamples(const TuningContext& context, Tensor stored, Tensor label, bool without_class)
    : context_(context), stored_(std::move(stored)), label_(std::move(label)), without_class_(without_class) {}

NoisedRows NoisedSamples::at_levels(const std::vector<int64_t>& rows, const std::vector<int64_t>& t, const std::vector<int64_t>& draw) const {
  const Policy& policy = context_.policy;
  NoisedRows noised;
  const Tensor index = at::tensor(rows, at::kLong);
  const Tensor x0 = context_.codec.encode(stored_.index_select(0, index)).to(policy.device());
  noised.t = at::tensor(t, at::kLong).to(policy.device());
  noised.eps = nn::normal_noise(context_.options.seed, static_cast<int>(Stream::kTrainNoise), draw, 0, policy.item_shape(), policy.device());
  noised.x_t = policy.schedule().add_noise(x0, noised.eps, noised.t);
  if (policy.num_classes() > 0) {
    const bool labelled = label_.defined() && !without_class_;
    noised.condition.label = (labelled ? label_.index_select(0, index) : at::full({index.size(0)}, policy.num_classes(), at::kLong)).to(policy.device());
  }
  return noised;
}

Tensor NoisedSamples::noise_of(const Tensor& output, const NoisedRows& rows) const {
  std::vector<int64_t> shape(static_cast<size_t>(rows.x_t.dim()), 1);
  shape[0] = rows.x_t.size(0);
  const Tensor a = context_.policy.schedule().alpha_cumprod(rows.t).reshape(shape);
  return diffusion::predict(context_.policy.schedule().prediction_type(), output, rows.x_t, a).eps;
}

Tensor NoisedSamples::noise(const NoisedRows& rows) const {
  return noise_of(context_.policy.guided_output(rows.x_t, rows.t, rows.condition), rows);
}
Tensor NoisedSamples::base_noise(const NoisedRows& rows) const {
  const at::NoGradGuard no_grad;
  return noise_of(context_.policy.guided_reference(rows.x_t, rows.t, rows.condition), rows);
}

std::vector<int64_t> draw_timesteps(int64_t first, int64_t last, int64_t count, uint64_t seed, int64_t draw) {
  std::vector<int64_t> all(static_cast<size_t>(last - first + 1));
  std::iota(all.begin(), all.end(), first);
  if (count == 0 || count >= static_cast<int64_t>(all.size()))
    return all;
  Philox random(seed, Stream::kTrainTime, static_cast<uint64_t>(draw));
  for (int64_t k = 0; k < count; ++k)
    std::swap(all[static_cast<size_t>(k)], all[static_cast<size_t>(k) + random.below(all.size() - static_cast<uint64_t>(k))]);
  all.resize(static_cast<size_t>(count));
  std::sort(all.begin(), all.end());
  return all;
}

OnlineMethod::OnlineMethod(const TuningContext& context, std::string name, bool as_pairs)
    : options_(context.options),
      name_(std::move(name)),
      as_pairs_(as_pairs),
      without_class_(context.policy.num_classes() > 0 && context.policy.options().classes == std::vector<int64_t>{context.policy.num_classes()}) {
  context.policy.schedule();  // refuses a chain that is not Gaussian
}

bool OnlineMethod::collect(TuningContext& context, int64_t epoch) {
  AskingContext& asking = *context.asking;
  std::optional<Judged> judged;
  if (asking.answers) {
    judged = read_judged(*asking.answers, as_pairs_, name_);
    check_judged(*judged, asking.model.space(), context.policy.num_classes());
  } else {
    judged = ask_round(asking, options_.ask, context.policy, context.codec, options_.seed, options_.batch_size, epoch, as_pairs_, so_far());
  }
  if (!judged)
    return false;
  epoch_log_ = {{"answers", static_cast<double>(judged->answers)}};
  if (as_pairs_) {
    epoch_log_["pairs"] = static_cast<double>(judged->pairs.size());
  } else {
    const auto liked = std::count_if(judged->y.begin(), judged->y.end(), [](double y) { return y > 0; });
    epoch_log_["liked"] = judged->y.empty() ? 0.0 : static_cast<double>(liked) / static_cast<double>(judged->y.size());
  }
  if (!learn_from(context, *judged, epoch))
    return false;
  if (updates_per_epoch() == 0)
    log::warn("round ", epoch + 1, " teaches nothing: ", why_nothing());
  return true;
}

void OnlineMethod::start(UpdateLog& log) const {
  for (const auto& [name, value] : epoch_log_)
    log.set(name, value);
}

io::Json OnlineMethod::plan() const {
  io::Json plan{{"lr", learning_rate(options_)}};
  if (options_.ask.step)
    plan["rounds"] = 1;
  else
    plan.update({{"rounds", options_.ask.rounds}, {"answers_per_round", options_.ask.per_round}, {"samples_per_round", samples_per_round(options_.ask)}});
  return plan;
}

}  // namespace plumb::align
