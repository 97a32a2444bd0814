// class-logp: the log-probability of a class under a classifier.   SPDX-License-Identifier: Apache-2.0
#include "rewards/class_reward.h"

namespace plumb::rewards {

std::unique_ptr<Reward> make_class_logp(const RewardSpec& spec) { return make_class_reward(spec, ClassScore::kLogProb); }

}  // namespace plumb::rewards
