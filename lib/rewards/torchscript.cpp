// torchscript: a user's own network. FILE.pt: float images [B,C,H,W] in [0,1] -> [B].   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "core/error.h"
#include "nn/torchscript.h"
#include "rewards/image_reward.h"

namespace plumb::rewards {
namespace {

constexpr int64_t kChunk = 64;  // items in one pass of the network: bounds memory whatever the batch

class TorchScriptReward : public Reward {
 public:
  explicit TorchScriptReward(const RewardSpec& spec)
      : function_(spec.argument, spec.space.shape, nn::TorchScriptFunction::Output::kScalar, spec.device),
        device_(spec.device) {}

  Tensor score(const RewardBatch& batch) override {
    const at::NoGradGuard no_grad;
    std::vector<Tensor> parts;
    for (const Tensor& chunk : batch.items.split(kChunk)) {
      parts.push_back(function_(chunk.to(device_, at::kFloat) / 255.0).to(at::kCPU, at::kDouble));
    }
    return at::cat(parts);
  }
  bool differentiable() const override { return true; }
  Tensor score_differentiable(const Tensor& x0, const Tensor&) override { return function_(unit_range(x0)); }
  io::Json describe() const override { return {{"name", "torchscript"}, {"sha256", function_.digest()}}; }

 private:
  nn::TorchScriptFunction function_;
  at::Device device_;
};

}  // namespace

std::unique_ptr<Reward> make_torchscript(const RewardSpec& spec) {
  need_images(spec);
  if (spec.argument.empty()) throw Error(Exit::kUsage, "reward 'torchscript'", "needs a file", "torchscript:FILE.pt");
  return std::make_unique<TorchScriptReward>(spec);
}

}  // namespace plumb::rewards
