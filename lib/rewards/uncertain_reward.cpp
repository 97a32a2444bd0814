// SPDX-License-Identifier: Apache-2.0
#include "rewards/uncertain_reward.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "rewards/network_reward.h"
#include "rewards/sequence_reward.h"

namespace plumb::rewards {
namespace {

class UncertainReward : public Reward {
 public:
  UncertainReward(const RewardSpec& spec, UncertainScore score) : name_(spec.name), score_(score) {
    const std::string subject = "reward '" + spec.name + "'";
    const FileArgument argument = split_file_argument(spec, spec.name + ":FILE.h5, made by reward-train --uncertainty");
    network_ = load_reward_network(argument.file, spec, "regressor");
    if (network_.uncertainty.settings.type == "none") {
      throw Error(Exit::kBadInput, argument.file, "says nothing of its uncertainty, which " + subject + " needs", "train it with reward-train --uncertainty");
    }
    network_.uncertainty.override_settings(argument.rest, subject, is_conservative());
  }

  Tensor score(const RewardBatch& batch) override { return of(network_.estimates(batch.items)); }
  bool differentiable() const override { return true; }
  Tensor score_differentiable(const Tensor& x0, const Tensor&) override { return of(network_.estimates_differentiable(x0)); }
  bool is_conservative() const override { return score_ == UncertainScore::kConservative; }
  io::Json describe() const override {
    return {{"name", name_}, {"sha256", network_.sha256}, {"uncertainty", network_.uncertainty.to_json()}};
  }

 private:
  /// Source of rhat - min(g, cap): Uehara et al. 2024, "Bridging model-based optimization and generative modeling via conservative
  /// fine-tuning of diffusion models"; the cap is that of the published code of SEIKO, by the same authors.
  Tensor of(const Estimate& estimate) const {
    if (score_ == UncertainScore::kUncertainty) return estimate.uncertainty;
    return estimate.mean - estimate.uncertainty.clamp_max(network_.uncertainty.settings.cap.value());
  }

  std::string name_;
  UncertainScore score_;
  RewardNetwork network_;
};

}  // namespace

std::unique_ptr<Reward> make_uncertain_reward(const RewardSpec& spec, UncertainScore score) { return std::make_unique<UncertainReward>(spec, score); }

}  // namespace plumb::rewards
