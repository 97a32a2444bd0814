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

/// For rewards of each item's own label, wherever they are in what Reward::describe() or RewardSet::describe() gave (`described`, or JSON
/// that holds it): throws Error(kBadInput) if the classifier calls a class otherwise than `names`, those of the items, which `whose` has.
void check_own_classes(const io::Json& described, const std::vector<std::string>& names, const std::string& whose);

}  // namespace plumb::rewards
