// Reward artefacts, loaded: the classifiers and learned rewards of reward-train.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "io/artefact.h"
#include "nn/data.h"
#include "nn/predictor.h"
#include "rewards/reward.h"
#include "rewards/uncertainty_model.h"

namespace plumb::rewards {

/// A trained predictor and what its outputs mean.
struct RewardNetwork {
  std::unique_ptr<nn::Predictor> predictor;
  std::unique_ptr<nn::Codec> codec;            // of the space it was trained on
  io::Space space;
  at::Device device = at::kCPU;
  std::string sha256;                          // of the artefact
  std::string type;                            // "classifier", "regressor" or "preference"
  std::vector<std::string> classes;            // classifier: a name for each output
  double temperature = 1;                      // classifier: probabilities are softmax(logits / temperature)
  TargetScale target;                          // regressor: reward = output * target.std + target.mean
  UncertaintyModel uncertainty;                // type "none" if it has none
  bool noised = false;                         // it learned from noised items, such as no clean item is

  /// Stored items [B,*shape] -> outputs [B,K] float64 on the CPU, without gradient: logits / temperature of a classifier,
  /// rewards of a regressor. In pieces of 32 items, in parallel over the pieces on a CPU.
  Tensor outputs(const Tensor& items) const;
  /// The same from model space [B,*model shape], with gradient, on the network's device. Pictures are clamped to [-1,1],
  /// the range of the items that it learned from; letters are 2 softmax(u / 0.1) - 1 with u = (x0 + 1) / 2, whole letters stay; see letter_probabilities in sequence_reward.h.
  /// A network that learned from noised items takes x0 as it is.
  Tensor outputs_differentiable(const Tensor& x0) const;
  /// A regressor's rewards [B] with their uncertainty, from stored items and from model space in the same two ways.
  Estimate estimates(const Tensor& items) const;
  Estimate estimates_differentiable(const Tensor& x0) const;
};

/// Throws Error(kBadInput) if the file is no reward artefact or does not fit its own manifest.
RewardNetwork load_reward_network(const io::Manifest& manifest, at::Device device);
/// The same for a reward on items of `space`, which must be the network's, and of `type`. `file` "": the classifier that comes
/// with the program, for image [1,28,28]; Error(kUsage) for other spaces.
RewardNetwork load_reward_network(const std::string& file, const RewardSpec& spec, const std::string& type);

/// The path of the classifier that comes with the program; "" if it is not installed.
std::string shipped_classifier_path();

}  // namespace plumb::rewards
