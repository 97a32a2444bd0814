// Activation checkpointing: memory of a call against a second run of it.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>

#include <ATen/core/Tensor.h>

namespace plumb::align {

/// f(x), keeping nothing but x: backward runs f again with gradients on, and its parameters get theirs from that run. f must
/// give the same both times (no dropout), and its parameters must be as they were until then. The result requires a gradient
/// even where x does not. Source: Chen et al. 2016, "Training deep nets with sublinear memory cost".
at::Tensor recomputed(std::function<at::Tensor(const at::Tensor&)> f, const at::Tensor& x);

}  // namespace plumb::align
