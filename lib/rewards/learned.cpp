// learned: the prediction of a regressor that reward-train made.   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "core/error.h"
#include "rewards/network_reward.h"
#include "rewards/sequence_reward.h"

namespace plumb::rewards {
namespace {

class Learned : public Reward {
 public:
  explicit Learned(RewardNetwork network) : network_(std::move(network)) {}
  Tensor score(const RewardBatch& batch) override { return network_.outputs(batch.items).squeeze(1); }
  bool differentiable() const override { return true; }
  Tensor score_differentiable(const Tensor& x0, const Tensor&) override {
    return network_.outputs_differentiable(x0).squeeze(1);
  }
  io::Json describe() const override { return {{"name", "learned"}, {"type", network_.type}, {"sha256", network_.sha256}}; }

 private:
  RewardNetwork network_;
};

}  // namespace

std::unique_ptr<Reward> make_learned(const RewardSpec& spec) {
  if (spec.argument.empty()) throw Error(Exit::kUsage, "reward 'learned'", "needs a reward artefact", "learned:FILE.h5, made by reward-train");
  const FileArgument argument = split_file_argument(spec, "learned:FILE.h5");
  if (!argument.rest.empty()) {
    throw Error(Exit::kUsage, "reward 'learned'", "takes no settings, got '" + argument.rest.front() + "'", "conservative and uncertainty do");
  }
  return std::make_unique<Learned>(load_reward_network(argument.file, spec, "regressor"));
}

}  // namespace plumb::rewards
