// Training of masked diffusion: which letter is behind each mask.   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "core/error.h"
#include "diffusion/forward_process.h"
#include "diffusion/masked.h"
#include "nn/denoiser_fit.h"

namespace plumb::diffusion {
namespace {

class MaskedForward final : public ForwardProcess {
 public:
  explicit MaskedForward(int64_t letters) : letters_(letters) {}

  Tensor loss(nn::Denoiser& denoiser, const Tensor& x0, const nn::Condition& condition, uint64_t seed, int64_t first) const override {
    const Tensor t = masked_training_times(x0.size(0), seed, first), state = mask_letters(x0, t, seed, first);
    const Tensor timestep = (t * kMaskTimescale).to(x0.device(), at::kFloat);
    return masked_loss(denoiser.forward(state, timestep, condition).to(at::kFloat), x0, state, t);
  }

  void fit_network(nlohmann::ordered_json& denoiser) const override {
    nn::fit_masked(denoiser, letters_);
    nn::fit_timesteps(denoiser, static_cast<int64_t>(kMaskTimescale));
  }

  nlohmann::ordered_json schedule() const override { return {{"process", "masked"}}; }

 private:
  int64_t letters_;
};

}  // namespace

std::unique_ptr<ForwardProcess> make_masked_forward(const io::Space& space) {
  if (space.type != "sequence") {
    throw Error(Exit::kUsage, "--process", "masked diffusion is for sequences, the items are " + space.text(), "--process gaussian");
  }
  return std::make_unique<MaskedForward>(static_cast<int64_t>(space.alphabet.size()));
}

}  // namespace plumb::diffusion
