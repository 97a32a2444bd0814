// class-in: whether a classifier finds an item to be of one of some classes.   SPDX-License-Identifier: Apache-2.0
#include "rewards/class_reward.h"

namespace plumb::rewards {

std::unique_ptr<Reward> make_class_in(const RewardSpec& spec) { return make_class_reward(spec, ClassScore::kMember); }

}  // namespace plumb::rewards
