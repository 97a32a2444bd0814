// BRAID: a conservative reward, the learned one less its uncertainty, under a KL of the whole path.
// Source: Uehara et al. 2024, "Bridging model-based optimization and generative modeling via conservative fine-tuning of diffusion
// models", alg. 1.   SPDX-License-Identifier: Apache-2.0
#include "align/registry.h"
#include "align/strl.h"
#include "core/error.h"

namespace plumb::align {

std::unique_ptr<Method> make_braid(const TuningContext& context) {
  if (!context.reward->is_conservative())
    throw Error(Exit::kUsage, "--reward", "is no conservative one, or one that falls as that rises: braid raises a learned reward less its uncertainty",
                "conservative:FILE, see plumb-rewards(7); or --method strl");
  return std::make_unique<PathKlTuning>(context, "braid");
}

}  // namespace plumb::align
