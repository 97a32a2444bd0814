// What rewards of pictures share.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include "rewards/reward.h"

namespace plumb::rewards {

/// Throws Error(kBadInput) naming the reward unless the space is image [C,H,W] with C = 1 or 3 channels.
void need_images(const RewardSpec& spec);
/// Throws Error(kUsage) if the reward was given an argument.
void need_no_argument(const RewardSpec& spec);
/// Model space -> [0,1] by (x0 + 1) / 2, clamped; the gradient is that of the clamp (0 outside, as where 8 bits saturate).
Tensor unit_range(const Tensor& x0);

}  // namespace plumb::rewards
