// TDS: twisted particles with the whole reward from the first step on. Source: Wu et al. 2023 (twisted.h).   SPDX-License-Identifier: Apache-2.0
#include "diffusion/twisted.h"

namespace plumb::diffusion {

std::unique_ptr<Steering> make_tds(const SteeringContext& context) {
  return std::make_unique<TwistedParticles>(context, 1.0, [](int64_t, const std::vector<double>&, const std::vector<double>&, double) { return 1.0; });
}

}  // namespace plumb::diffusion
