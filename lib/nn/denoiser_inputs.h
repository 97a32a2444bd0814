// What denoisers make of a timestep, a class and a value.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "nn/denoiser.h"
#include "nn/layers.h"

namespace plumb::nn {

/// Random Fourier features of a scalar s: sin(2 pi w s), cos(2 pi w s) with fixed w ~ N(0, scale^2), drawn with the weights, never
/// trained: the buffer "weight" [dim]. Source: Tancik et al. 2020; Song et al. 2021 (score SDE), appendix C.
class FourierProjection : public Module {
 public:
  FourierProjection(int64_t dim, double scale);
  Tensor forward(const Tensor& s) const;   // [B] -> [B,2*dim]: sines, cosines
  void reset_parameters(WeightInit& init) override;

 private:
  Tensor weight_;
  double scale_;
};

/// exp(-ln(10^4) i / (half - freq_shift)), i < half = dim / 2: the frequencies of the positional embedding, [half] float32.
/// Source: Vaswani et al. 2017, sec. 3.5.
Tensor positional_frequencies(int64_t dim, double freq_shift = 0);

/// The timestep of each item, [B] float32 on `device`, from [B], [1] or a scalar. Throws Error(kBadInput) for other shapes.
Tensor timestep_of_items(const Tensor& timestep, int64_t batch, at::Device device);

/// The class of each item, [B] int64 on `device`; items without one get the null class, num_classes. Undefined for an unconditional
/// network (num_classes 0). Throws Error(kBadInput) for a class given to an unconditional network, or for other than one an item.
Tensor class_of_items(const Condition& condition, int64_t num_classes, int64_t batch, at::Device device);

/// The value of each item and whether it has one: (value, 1), or (0, 0) for NaN, [B,2] float32 on `device`; all (0, 0) for a condition
/// without values. Undefined for a network that takes none. Throws Error(kBadInput) for values given to such a network, or for other
/// than one an item.
Tensor value_of_items(const Condition& condition, bool takes_value, int64_t batch, at::Device device);

/// A linear layer that starts at 0, so that what it adds to is at first as it was without it.
class ZeroLinear : public Linear {
 public:
  using Linear::Linear;
  void reset_parameters(WeightInit& init) override;
};

/// Of (value y, known k) as value_of_items() gives them: zero_linear(silu(linear([y, k, k sin(w y), k cos(w y)]))), w = 1/8, 1/4, ..., 4.
/// y enters as it is too, since waves alone say nothing of values beyond those that were trained on. To be added to the time embedding.
/// Source: sinusoids of a reward as of time, yukang123/GGDMOptim (GitHub), the simulator of Yuan et al. 2023.
class ValueEmbedding : public Module {
 public:
  explicit ValueEmbedding(int64_t dim);
  Tensor forward(const Tensor& value);   // [B,2] float32 -> [B,dim], of the weights' type

 private:
  Linear linear_1_;
  ZeroLinear linear_2_;
  Tensor frequencies_;                   // [6] float32
};

}  // namespace plumb::nn
