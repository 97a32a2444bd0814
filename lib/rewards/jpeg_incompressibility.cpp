// jpeg-incompressibility: the JPEG size in kB.   SPDX-License-Identifier: Apache-2.0
#include "rewards/jpeg_reward.h"

namespace plumb::rewards {

std::unique_ptr<Reward> make_jpeg_incompressibility(const RewardSpec& spec) { return make_jpeg_reward(spec, 1.0); }

}  // namespace plumb::rewards
