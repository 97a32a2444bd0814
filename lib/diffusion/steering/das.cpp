// DAS: twisted particles whose target is brought in by tempering, so that the reward of a prediction that is still vague does not kill off
// particles. Source: Kim et al. 2025 (twisted.h).   SPDX-License-Identifier: Apache-2.0
#include "diffusion/resampling.h"
#include "diffusion/twisted.h"

namespace plumb::diffusion {

std::unique_ptr<Steering> make_das(const SteeringContext& context) {
  const SteeringOptions& o = context.options;
  if (o.tempering == "adaptive") {
    return std::make_unique<TwistedParticles>(context, 0.0,
        [target = o.ess * static_cast<double>(o.particles)](int64_t, const std::vector<double>& log_w, const std::vector<double>& value, double previous) {
          return adaptive_tempering(log_w, value, previous, target);
        });
  }
  const double gamma = o.gamma.value_or(default_tempering_gamma(context.process.steps()));
  return std::make_unique<TwistedParticles>(context, 0.0,
      [gamma](int64_t i, const std::vector<double>&, const std::vector<double>&, double) { return tempering(gamma, i); });
}

}  // namespace plumb::diffusion
