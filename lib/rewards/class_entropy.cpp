// class-entropy: minus the entropy of a classifier's class distribution.   SPDX-License-Identifier: Apache-2.0
#include "rewards/class_reward.h"

namespace plumb::rewards {

std::unique_ptr<Reward> make_class_entropy(const RewardSpec& spec) { return make_class_reward(spec, ClassScore::kMinusEntropy); }

}  // namespace plumb::rewards
