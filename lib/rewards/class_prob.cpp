// class-prob: the probability of a class under a classifier.   SPDX-License-Identifier: Apache-2.0
#include "rewards/class_reward.h"

namespace plumb::rewards {

std::unique_ptr<Reward> make_class_prob(const RewardSpec& spec) { return make_class_reward(spec, ClassScore::kProb); }

}  // namespace plumb::rewards
