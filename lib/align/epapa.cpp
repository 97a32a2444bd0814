// EPAPA: PAPA at timesteps K and above; below, the base model samples.   SPDX-License-Identifier: Apache-2.0
#include "align/papa.h"
#include "align/registry.h"

namespace plumb::align {

std::unique_ptr<Method> make_epapa(const TuningContext& context) {
  return std::make_unique<PreferenceAlignment>(context, "epapa", context.policy.options().base_below);
}

}  // namespace plumb::align
