// What denoisers make of a timestep and a class.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "nn/denoiser.h"

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

}  // namespace plumb::nn
