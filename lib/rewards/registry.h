// Builds one reward by name.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "rewards/reward.h"

namespace plumb::rewards {

/// The reward of row spec.name in rewards.def. Throws Error(kUsage) with the nearest name for an unknown one, and what the
/// reward's own factory throws: kUsage for a bad argument, kBadInput for a file or a space that does not fit.
std::unique_ptr<Reward> make_named_reward(const RewardSpec& spec);

}  // namespace plumb::rewards
