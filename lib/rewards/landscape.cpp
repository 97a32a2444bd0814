// landscape: a reward of points in the plane whose trend points into a trap, for studies of over-optimisation.   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "rewards/reward.h"

namespace plumb::rewards {
namespace {

constexpr const char* kUsageText = "landscape, landscape:valid or landscape:trap";
constexpr double kSpacing = 3, kReach = 1.5;                     // centres {-3,0,3}^2, each valid up to this distance
constexpr double kSlope = 0.4, kDepth = 4.8, kWidth = 0.8, kInvalid = -3;

enum class Part { kReward, kValid, kTrap };

/// r(x) = 0.4 (x1 + x2) - 4.8 exp(-|x - (3,3)|^2 / (2 0.8^2)) within 1.5 of one of the nine centres, else -3. The nearest centre is
/// found by coordinate. Circles of radius 1.5 around centres 3 apart share no inner point, so the trap is one of them alone.
class Landscape : public Reward {
 public:
  explicit Landscape(Part part) : part_(part) {}
  Tensor score(const RewardBatch& batch) override { return of_points(batch.items.to(at::kDouble)); }
  bool differentiable() const override { return part_ == Part::kReward; }
  Tensor score_differentiable(const Tensor& x0, const Tensor& label) override {
    return differentiable() ? of_points(x0) : Reward::score_differentiable(x0, label);
  }
  io::Json describe() const override {
    return {{"name", part_ == Part::kReward ? "landscape" : part_ == Part::kValid ? "landscape:valid" : "landscape:trap"}};
  }

 private:
  /// [B,2] -> [B]
  Tensor of_points(const Tensor& x) const {
    const Tensor to_corner = (x - kSpacing).square().sum(1);     // [B], squared distance to (3,3)
    if (part_ == Part::kTrap) return (to_corner <= kReach * kReach).to(x.scalar_type());
    const Tensor nearest_centre = (x.detach() / kSpacing).round().clamp(-1, 1) * kSpacing;
    const Tensor valid = (x.detach() - nearest_centre).square().sum(1) <= kReach * kReach;
    if (part_ == Part::kValid) return valid.to(x.scalar_type());
    const Tensor inside = kSlope * x.sum(1) - kDepth * (to_corner / (-2 * kWidth * kWidth)).exp();
    return at::where(valid, inside, at::full({}, kInvalid, x.options()));
  }
  Part part_;
};

}  // namespace

std::unique_ptr<Reward> make_landscape(const RewardSpec& spec) {
  if (spec.space.type != "vector" || spec.space.shape != std::vector<int64_t>{2}) {
    throw Error(Exit::kBadInput, "reward 'landscape'", "needs vectors of 2 numbers, the items are " + spec.space.text(), "choose another reward");
  }
  if (!spec.argument.empty() && spec.argument != "valid" && spec.argument != "trap") {
    throw Error(Exit::kUsage, "reward 'landscape:" + spec.argument + "'", "there is no part '" + spec.argument + "'", kUsageText);
  }
  return std::make_unique<Landscape>(spec.argument.empty() ? Part::kReward : spec.argument == "valid" ? Part::kValid : Part::kTrap);
}

}  // namespace plumb::rewards
