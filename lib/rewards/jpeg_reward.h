// The two JPEG rewards.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include "rewards/reward.h"

namespace plumb::rewards {

/// sign * kB (1000 bytes) of each image as a JPEG at quality 95, encoded in parallel over images.
/// Differentiable by way of jpeg_rate.h.
/// Source: DDPO, Black et al. 2024, sec. 5.1 and appendix B; byte counts equal Pillow's (io/jpeg.h).
std::unique_ptr<Reward> make_jpeg_reward(const RewardSpec& spec, double sign);

}  // namespace plumb::rewards
