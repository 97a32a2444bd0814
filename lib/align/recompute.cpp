// Activation checkpointing as an autograd function.   SPDX-License-Identifier: Apache-2.0
#include "align/recompute.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

namespace plumb::align {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Call final : torch::CustomClassHolder {
  explicit Call(std::function<Tensor(const Tensor&)> function) : f(std::move(function)) {}
  std::function<Tensor(const Tensor&)> f;
};

struct Recomputed : torch::autograd::Function<Recomputed> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& /*anchor*/,
                        const c10::intrusive_ptr<Call>& call) {
    context->save_for_backward({x});
    context->saved_data["call"] = c10::IValue::make_capsule(call);
    return call->f(x);  // gradients are off in here
  }
  static variable_list backward(AutogradContext* context, variable_list gradient) {
    const Tensor x = context->get_saved_variables()[0].detach();
    x.set_requires_grad(context->needs_input_grad(0));
    const auto call = c10::static_intrusive_pointer_cast<Call>(context->saved_data["call"].toCapsule());
    const at::AutoGradMode gradients_on(true);
    const Tensor y = call->f(x);
    torch::autograd::backward({y}, {gradient[0]});
    return {x.grad(), Tensor(), Tensor()};
  }
};

}  // namespace

Tensor recomputed(std::function<Tensor(const Tensor&)> f, const Tensor& x) {
  // Autograd does not see the parameters behind f: without an input that requires a gradient backward would never be called.
  const Tensor anchor = at::zeros({}, x.options()).set_requires_grad(true);
  return Recomputed::apply(x, anchor, c10::make_intrusive<Call>(std::move(f)));
}

}  // namespace plumb::align
