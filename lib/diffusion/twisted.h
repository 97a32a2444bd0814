// Sequential Monte Carlo with a guided proposal and a tempered target: DAS and TDS.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "diffusion/steering.h"

namespace plumb::diffusion {

/// log p(x') - log q(x') for x' = mu + sigma^2 G + sigma z drawn from q = N(mu + sigma^2 G, sigma^2 I) where p = N(mu, sigma^2 I):
///   -(sigma G . z + sigma^2 |G|^2 / 2), [B] float64, summed over coordinates. sigma [B] or like G.
Tensor guided_log_ratio(const Tensor& sigma, const Tensor& g, const Tensor& z);

/// With R_t = r(x0_hat(x_t)), one network pass giving step, R_t and its gradient, and lambda_i the tempering at step i:
///   x_{t-1} = mu + sigma^2 G + sigma z, G = (lambda_{i+1} / alpha) grad_x R_t(x_t);
///   log w += log p - log q + (lambda_{i+1} R_{t-1} - lambda_i R_t) / alpha.
/// Masked letters (masked.h): a masked site becomes symbol k with q_k proportional to p_k e^{G_k}, G = (lambda_{i+1} / alpha) (dR/dx_k - dR/dx_mask),
/// to first order what revealing k changes; log p - log q keeps the normaliser of q.
/// The last step has the reward of the finished item and lambda 1, so the target is exact whatever lambda did before.
/// Source: Kim et al. 2025, "Test-time alignment of diffusion models without reward over-optimization" (DAS), algorithm 1; lambda = 1
/// throughout is Wu et al. 2023, "Practical and asymptotically exact conditional sampling in diffusion models" (TDS), algorithm 1.
class TwistedParticles final : public Steering {
 public:
  /// lambda of step i > 0 for one group: from the group's log weights, its R / alpha [N] and the lambda before. first_lambda: that of step 0.
  using Tempering = std::function<double(int64_t i, const std::vector<double>& log_w, const std::vector<double>& value, double previous)>;
  TwistedParticles(const SteeringContext& context, double first_lambda, Tempering tempering);

  SteeredBatch run(const std::vector<int64_t>& items, const nn::Condition& condition) override;
  SteeringCost cost_per_item() const override;

 private:
  struct Look {
    Tensor output, reward, gradient;  // [rows,*], [rows] float64 on the CPU, like the state (undefined where the step is not random)
  };
  Look look(int64_t i, const Tensor& state, const nn::Condition& condition);
  double first_lambda_;
  Tempering tempering_;
};

}  // namespace plumb::diffusion
