// SPDX-License-Identifier: Apache-2.0
#include "diffusion/potentials.h"

#include <ATen/ATen.h>

namespace plumb::diffusion {

Tensor Potential::on_the_way(const Tensor& r) {
  Tensor log_g;
  if (kind_ == "difference") {
    log_g = lambda_ * (reduced_.defined() ? r - reduced_ : r);
    reduced_ = r;
  } else {
    if (!reduced_.defined() || kind_ == "current") reduced_ = r;   // no start value: rewards may be negative
    else reduced_ = kind_ == "max" ? at::maximum(reduced_, r) : reduced_ + r;
    log_g = lambda_ * reduced_;
  }
  spent_ = spent_.defined() ? spent_ + log_g : log_g;
  return log_g;
}

Tensor Potential::at_the_end(const Tensor& r) const { return spent_.defined() ? lambda_ * r - spent_ : lambda_ * r; }

void Potential::index(const Tensor& ancestors) {
  if (!spent_.defined()) return;
  reduced_ = reduced_.index_select(0, ancestors);
  spent_ = spent_.index_select(0, ancestors);
}

}  // namespace plumb::diffusion
