// TDPO-R: TDPO that re-initialises the critic's active neurons every few epochs, against primacy bias: what the critic learnt
// first it would otherwise keep. Source: Zhang et al. 2024, sec. 4.3, and its code.   SPDX-License-Identifier: Apache-2.0
#include "align/registry.h"
#include "align/tdpo.h"

namespace plumb::align {

std::unique_ptr<Method> make_tdpo_r(const TuningContext& context) { return std::make_unique<Tdpo>(context, true); }

}  // namespace plumb::align
