// conservative: a learned reward less its own uncertainty.   SPDX-License-Identifier: Apache-2.0
#include "rewards/uncertain_reward.h"

namespace plumb::rewards {

std::unique_ptr<Reward> make_conservative(const RewardSpec& spec) { return make_uncertain_reward(spec, UncertainScore::kConservative); }

}  // namespace plumb::rewards
