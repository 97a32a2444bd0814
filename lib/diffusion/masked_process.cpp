// SPDX-License-Identifier: Apache-2.0
#include "diffusion/masked_process.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "diffusion/masked.h"

namespace plumb::diffusion {

MaskedProcess::MaskedProcess(int64_t steps, const std::vector<int64_t>& item_shape, const std::string& where) : steps_(steps) {
  if (item_shape.size() != 2) {
    throw Error(Exit::kBadInput, where, "masked diffusion is of sequences, not of items of " + shape_text(item_shape));
  }
  letters_ = item_shape[0];
  length_ = item_shape[1];
  times_ = mask_times(steps);
  for (const double t : times_) chances_.push_back(mask_chance(t));
  chances_.back() = 0;
}

Tensor MaskedProcess::prior(const Draws& draws) const {
  return all_masked(static_cast<int64_t>(draws.items.size()), letters_, length_, at::TensorOptions(at::kFloat).device(draws.device));
}

Tensor MaskedProcess::timestep(int64_t i, int64_t batch, at::Device device) const {
  return at::full({batch}, kMaskTimescale * times_.at(static_cast<size_t>(i)), at::TensorOptions(at::kFloat).device(device));
}

Tensor MaskedProcess::noise(int64_t i, const Draws& draws) const {
  return gumbel_noise(draws.seed, draws.stream, draws.items, static_cast<uint32_t>(i), state_shape(), draws.device);
}

Tensor MaskedProcess::log_probs(int64_t i, const Tensor& state, const Tensor& output) const {
  return masked_step_log_probs(letter_log_probs(output, state), mask_chance_before(i), mask_chance_after(i));
}

Tensor MaskedProcess::advance(int64_t i, const Tensor& state, const Tensor& output, const Tensor& noise) const {
  if (!at::isfinite(output).all().item<bool>()) {  // the largest of NaN would be a letter
    throw Error(Exit::kBadNumbers, cat("step ", i + 1, " of ", steps_), "the network's output is not finite", "is the model trained, and the --target one it knows?");
  }
  return masked_step(state, log_probs(i, state, output), noise);
}

Tensor MaskedProcess::predicted_x0(int64_t, const Tensor& state, const Tensor& output) const {
  return straight_through(state.narrow(1, 0, letters_) + mask_share(state) * letter_log_probs(output, state).exp()) * 2.0 - 1.0;
}

Tensor MaskedProcess::finish(const Tensor& state) const { return straight_through(state.narrow(1, 0, letters_)) * 2.0 - 1.0; }

Tensor MaskedProcess::step_kl(int64_t i, const Tensor& state, const Tensor& output, const Tensor& reference_output) const {
  return masked_step_kl(state, output, reference_output, mask_chance_before(i), mask_chance_after(i));
}

}  // namespace plumb::diffusion
