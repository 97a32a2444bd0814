// uncertainty: how far a learned reward may be off.   SPDX-License-Identifier: Apache-2.0
#include "rewards/uncertain_reward.h"

namespace plumb::rewards {

std::unique_ptr<Reward> make_uncertainty(const RewardSpec& spec) { return make_uncertain_reward(spec, UncertainScore::kUncertainty); }

}  // namespace plumb::rewards
