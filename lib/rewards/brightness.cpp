// brightness: the mean over pixels and channels, black 0, white 1.   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "rewards/image_reward.h"

namespace plumb::rewards {
namespace {

class Brightness : public Reward {
 public:
  Tensor score(const RewardBatch& batch) override {
    return batch.items.flatten(1).to(at::kDouble).mean(1) / 255.0;  // [B]
  }
  bool differentiable() const override { return true; }
  Tensor score_differentiable(const Tensor& x0, const Tensor&) override { return unit_range(x0).flatten(1).mean(1); }
  io::Json describe() const override { return {{"name", "brightness"}}; }
};

}  // namespace

std::unique_ptr<Reward> make_brightness(const RewardSpec& spec) {
  need_images(spec);
  need_no_argument(spec);
  return std::make_unique<Brightness>();
}

}  // namespace plumb::rewards
