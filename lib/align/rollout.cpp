// Rollouts.   SPDX-License-Identifier: Apache-2.0
#include "align/rollout.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/philox.h"
#include "core/signals.h"
#include "core/text.h"

namespace plumb::align {
namespace {

Tensor allocate(int64_t n, const std::vector<int64_t>& rest, at::ScalarType type) {
  std::vector<int64_t> shape{n};
  shape.insert(shape.end(), rest.begin(), rest.end());
  return at::zeros(shape, type);
}

}  // namespace

std::vector<std::string> Rollout::prompts() const {
  std::vector<std::string> texts(items.size());
  if (!condition.label.defined())
    return texts;
  const int64_t* label = condition.label.const_data_ptr<int64_t>();
  for (size_t i = 0; i < texts.size(); ++i)
    texts[i] = cat("class ", label[i]);
  return texts;
}

std::vector<int64_t> parse_classes(const std::vector<std::string>& texts, int64_t num_classes,
                                   const std::vector<std::string>& names) {
  constexpr const char* kOption = "--class";
  std::vector<int64_t> classes;
  for (const std::string& text : texts) {
    if (num_classes == 0)
      throw Error(Exit::kUsage, kOption, "the model is unconditional: it has no classes", "leave it out");
    const auto name = std::find(names.begin(), names.end(), text);
    if (text == "none") {
      if (texts.size() > 1)
        throw Error(Exit::kUsage, kOption, "'none' does not go with classes");
      classes.push_back(num_classes);
    } else if (name != names.end()) {
      classes.push_back(name - names.begin());
    } else if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos) {
      const std::string near = nearest(text, names);
      throw Error(Exit::kUsage, kOption, "the model has no class named '" + text + "'",
                  near.empty() ? cat("a number from 0 to ", num_classes - 1) : "did you mean '" + near + "'?");
    } else {
      classes.push_back(parse_int(text, kOption));
      if (classes.back() >= num_classes)
        throw Error(Exit::kUsage, kOption, cat("the model has no class ", text),
                    cat("a number from 0 to ", num_classes - 1));
    }
  }
  return classes;
}

Tensor draw_labels(int64_t num_classes, const std::vector<int64_t>& classes, uint64_t seed,
                   const std::vector<int64_t>& items) {
  if (num_classes == 0)
    return {};
  Tensor label = at::empty({static_cast<int64_t>(items.size())}, at::kLong);
  int64_t* out = label.mutable_data_ptr<int64_t>();
  const uint64_t choices = classes.empty() ? static_cast<uint64_t>(num_classes) : classes.size();
  for (size_t i = 0; i < items.size(); ++i) {
    Philox random(seed, Stream::kLabel, static_cast<uint64_t>(items[i]));
    const uint64_t pick = random.below(choices);
    out[i] = classes.empty() ? static_cast<int64_t>(pick) : classes[pick];
  }
  return label;
}

std::optional<Rollout> roll_out(Policy& policy, const nn::Codec& codec, const RolloutRequest& request,
                                const std::function<void(int64_t)>& progress) {
  const at::NoGradGuard no_grad;
  const int64_t n = static_cast<int64_t>(request.items.size()), steps = policy.steps();
  Rollout all;
  all.items = request.items;
  all.without_class = request.classes == std::vector<int64_t>{policy.num_classes()};
  all.condition.label = request.label.defined() ? request.label
                                                : draw_labels(policy.num_classes(), request.classes, request.seed,
                                                              diffusion::starts_of(request.items, request.share_start));
  if (request.keep_chain) {
    std::vector<int64_t> chain{steps + 1};
    chain.insert(chain.end(), policy.item_shape().begin(), policy.item_shape().end());
    all.x = allocate(n, chain, at::kFloat);
    all.log_prob = allocate(n, {steps}, at::kDouble);
  }
  if (request.reference_log_prob)
    all.log_prob_ref = allocate(n, {steps}, at::kDouble);
  if (request.path_kl) {
    all.path_kl = allocate(n, {}, at::kDouble);
    if (policy.is_gaussian())
      all.path_noise_gap = allocate(n, {}, at::kDouble);
  }

  std::vector<Tensor> stored;
  for (int64_t begin = 0; begin < n; begin += request.batch_size) {
    if (stop_requested())
      return std::nullopt;
    const int64_t end = std::min(n, begin + request.batch_size);
    const nn::Condition condition = all.condition.slice(begin, end).to(policy.device());
    const std::vector<int64_t> items(request.items.begin() + begin, request.items.begin() + end);
    Tensor path_kl = at::zeros({end - begin}, at::TensorOptions(policy.device()).dtype(at::kDouble));
    Tensor path_noise_gap = at::zeros_like(path_kl);

    const std::vector<int64_t>& trained = policy.trained_steps();
    const auto record = [&](int64_t index, const Tensor& x_t, const Tensor& output, const Tensor& x_next) {
      const Tensor step = at::full({end - begin}, index, at::TensorOptions(policy.device()).dtype(at::kLong));
      if (request.keep_chain) {
        all.x.slice(0, begin, end).select(1, index).copy_(x_t);
        all.x.slice(0, begin, end).select(1, index + 1).copy_(x_next);
        all.log_prob.slice(0, begin, end).select(1, index).copy_(policy.evaluate_output(output, x_t, x_next, step).log_prob);
      }
      const bool kl = request.path_kl && std::binary_search(trained.begin(), trained.end(), index);
      const bool gap = kl || (request.path_kl && trained.empty());
      if (!request.reference_log_prob && !gap)
        return;
      const Tensor reference = policy.step_reference(index, x_t, condition);
      if (gap) {
        const ReferenceKl forms = policy.step_kl(index, x_t, output, reference, diffusion::Reduce::kSum);
        if (kl)
          path_kl += forms.exact;
        if (forms.plain.defined())
          path_noise_gap += forms.plain;
      }
      if (request.reference_log_prob)
        all.log_prob_ref.slice(0, begin, end)
            .select(1, index)
            .copy_(policy.evaluate_output(reference, x_t, x_next, step).log_prob);
    };
    const bool observe = request.keep_chain || request.reference_log_prob || request.path_kl;
    const Tensor x0 =
        policy.sample({request.seed, items, policy.device(), Stream::kSamplerStep, request.share_start}, condition, observe ? diffusion::ProcessObserver(record) : nullptr);
    stored.push_back(codec.decode(x0).to(at::kCPU));
    if (request.path_kl) {
      all.path_kl.slice(0, begin, end).copy_(path_kl);
      if (policy.is_gaussian())
        all.path_noise_gap.slice(0, begin, end).copy_(path_noise_gap);
    }
    if (progress)
      progress(end);
  }
  all.stored = at::cat(stored, 0);
  return all;
}

Tensor score(rewards::Reward& reward, const std::string& name, const Rollout& rollout) {
  const Tensor values = reward
                            .score({rollout.stored, rollout.without_class ? Tensor() : rollout.condition.label,
                                    rollout.items.empty() ? 0 : rollout.items.front()})
                            .to(at::kCPU, at::kDouble);
  if (values.sizes() != at::IntArrayRef({rollout.size()}))
    throw Error(Exit::kFailed, name, cat("returned ", values.numel(), " values for ", rollout.size(), " samples"));
  const double* v = values.const_data_ptr<double>();
  for (int64_t i = 0; i < rollout.size(); ++i)
    if (!std::isfinite(v[i]))
      throw Error(Exit::kBadNumbers, name,
                  cat("the reward of sample ", rollout.items[static_cast<size_t>(i)], " is ", v[i]));
  return values;
}

}  // namespace plumb::align
