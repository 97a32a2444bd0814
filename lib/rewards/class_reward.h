// The rewards that read a classifier.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include "rewards/reward.h"

namespace plumb::rewards {

enum class ClassScore {
  kLogProb,       ///< log p(class), nats
  kProb,          ///< p(class)
  kMember,        ///< 1 if the most probable class is among those named, else 0; of equally probable ones the first
  kMinusEntropy,  ///< sum over classes of p log p, nats; 0 = certain, -log K = undecided
};

/// spec.argument: "[FILE.h5][,CLASS]", CLASS by name or index; without it each item's own label. No FILE: the classifier that
/// comes with the program. p = softmax(logits / T) with the temperature T that the classifier was calibrated to.
std::unique_ptr<Reward> make_class_reward(const RewardSpec& spec, ClassScore score);

}  // namespace plumb::rewards
