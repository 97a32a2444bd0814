// Chains of masked diffusion behind the interface of all processes.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "diffusion/process.h"

namespace plumb::diffusion {

/// A chain of N steps from all sites masked to none: states of masked.h, exact draws by Gumbel's trick. The last step leaves no mask, so that
/// the chain ends at letters (the published one fills in what the last time of 1e-5 leaves masked, one site in a thousand).
/// Times and mask chances are its own: t_i of mask_times(), m(t_i), and m = 0 at the end.
class MaskedProcess final : public ReverseProcess {
 public:
  /// item_shape [K,L] of model space. Throws Error(kBadInput, where) for any other.
  MaskedProcess(int64_t steps, const std::vector<int64_t>& item_shape, const std::string& where);

  int64_t steps() const override { return steps_; }
  std::vector<int64_t> state_shape() const override { return {letters_ + 1, length_}; }
  Tensor prior(const Draws& draws) const override;
  Tensor timestep(int64_t i, int64_t batch, at::Device device) const override;   ///< 1000 t_i, float32
  Tensor noise(int64_t i, const Draws& draws) const override;                    ///< standard Gumbel
  Tensor advance(int64_t i, const Tensor& state, const Tensor& output, const Tensor& noise) const override;
  /// Masked sites filled with the likeliest letter, -1 and +1; the gradient is that of the probabilities, letters + mask share p, so
  /// that of a letter less that of the mask is, to first order, what revealing the letter would change.
  Tensor predicted_x0(int64_t i, const Tensor& state, const Tensor& output) const override;
  /// The letter of largest share, -1 and +1; with the gradient of the shares.
  Tensor finish(const Tensor& state) const override;
  Tensor step_kl(int64_t i, const Tensor& state, const Tensor& output, const Tensor& reference_output) const override;
  std::optional<Transition> transition(int64_t, const Tensor&, const Tensor&) const override { return std::nullopt; }

  double mask_chance_before(int64_t i) const { return chances_.at(static_cast<size_t>(i)); }     ///< m_t of step i
  double mask_chance_after(int64_t i) const { return chances_.at(static_cast<size_t>(i) + 1); }  ///< m_s
  /// log q of step i, [B,K+1,L]: masked_step_log_probs.
  Tensor log_probs(int64_t i, const Tensor& state, const Tensor& output) const;

 private:
  int64_t steps_, letters_, length_;
  std::vector<double> times_, chances_;  // [N+1]
};

}  // namespace plumb::diffusion
