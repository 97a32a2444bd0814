// The two rewards that read a regressor with uncertainty.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include "rewards/reward.h"

namespace plumb::rewards {

enum class UncertainScore {
  kUncertainty,    ///< g
  kConservative,   ///< rhat - min(g, cap)
};

/// spec.argument: "FILE.h5[,KEY=VALUE]...", keys as of UncertaintyModel::override_settings.
std::unique_ptr<Reward> make_uncertain_reward(const RewardSpec& spec, UncertainScore score);

}  // namespace plumb::rewards
