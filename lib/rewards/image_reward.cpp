// SPDX-License-Identifier: Apache-2.0
#include "rewards/image_reward.h"

#include <ATen/ATen.h>

#include "core/error.h"

namespace plumb::rewards {

void need_images(const RewardSpec& spec) {
  const io::Space& space = spec.space;
  if (space.type == "image" && space.shape.size() == 3 && (space.shape[0] == 1 || space.shape[0] == 3)) return;
  throw Error(Exit::kBadInput, "reward '" + spec.name + "'", "needs grey or RGB images, the items are " + space.text(),
              "choose another reward, or exec: with a program of your own");
}

void need_no_argument(const RewardSpec& spec) {
  if (spec.argument.empty()) return;
  throw Error(Exit::kUsage, "reward '" + spec.name + "'", "takes no argument, got '" + spec.argument + "'");
}

Tensor unit_range(const Tensor& x0) { return ((x0 + 1.0) / 2.0).clamp(0.0, 1.0); }

}  // namespace plumb::rewards
