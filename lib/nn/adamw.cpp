// SPDX-License-Identifier: Apache-2.0
#include "nn/adamw.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/error.h"

namespace plumb::nn {

AdamW::AdamW(NamedTensors parameters, AdamWOptions options) : parameters_(std::move(parameters)), options_(options) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : parameters_) {
    exp_avg_.push_back(at::zeros_like(tensor));
    exp_avg_sq_.push_back(at::zeros_like(tensor));
    step_.push_back(at::zeros({}, at::TensorOptions(at::kFloat).device(tensor.device())));
  }
}

void AdamW::step() {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> values, grads, averages, squares, counts;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& value = parameters_[i].second;
    if (!value.grad().defined()) continue;
    step_[i].add_(1);
    values.push_back(value.detach());
    grads.push_back(value.grad());
    averages.push_back(exp_avg_[i]);
    squares.push_back(exp_avg_sq_[i]);
    counts.push_back(step_[i]);
  }
  ++steps_;
  if (values.empty()) return;
  at::_fused_adamw_(values, grads, averages, squares, {}, counts, options_.lr, options_.beta1, options_.beta2, options_.weight_decay,
                    options_.eps, /*amsgrad=*/false, /*maximize=*/false);
}

void AdamW::zero_grad() {
  for (auto& [name, tensor] : parameters_) tensor.mutable_grad() = Tensor();
}

double AdamW::clip_grad_norm(double max_norm) {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> grads;
  for (const auto& [name, tensor] : parameters_) {
    if (tensor.grad().defined()) grads.push_back(tensor.grad());
  }
  if (grads.empty()) return 0;
  const double norm = at::stack(at::_foreach_norm(grads)).norm().item<double>();
  if (max_norm > 0 && norm > max_norm) at::_foreach_mul_(grads, max_norm / (norm + 1e-6));   // 1e-6: as torch.nn.utils.clip_grad_norm_
  return norm;
}

NamedTensors AdamW::state() const {
  NamedTensors all;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const std::string& name = parameters_[i].first;
    all.emplace_back(name + ".exp_avg", exp_avg_[i]);
    all.emplace_back(name + ".exp_avg_sq", exp_avg_sq_[i]);
    all.emplace_back(name + ".step", step_[i]);
  }
  return all;
}

void AdamW::restore(const NamedTensors& state, int64_t steps) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : this->state()) {
    const auto found = std::find_if(state.begin(), state.end(), [&, &key = name](const auto& entry) { return entry.first == key; });
    if (found == state.end() || found->second.sizes() != tensor.sizes()) {
      throw Error(Exit::kBadInput, "checkpoint", "the optimiser state '" + name + "' is absent or of another shape");
    }
    tensor.copy_(found->second);
  }
  steps_ = steps;
}

}  // namespace plumb::nn
