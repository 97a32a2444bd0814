// From raw rewards to advantages.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "io/manifest.h"

namespace plumb::align {

using at::Tensor;

/// (r - mean r) / (std r + 1e-8) over the epoch, std divided by N. rewards [N] float64; returns [N].
/// Source: Black et al. 2024 (DDPO), sec. 4.3, and its code.
Tensor global_advantage(const Tensor& rewards);

/// The standard deviation that divides a group's advantages: of all rewards of the epoch, or of the group's.
enum class GroupSpread { kGlobal, kGroup };
GroupSpread parse_group_spread(const std::string& text);

/// (r - mean of its prompt's rewards) / (std + 1e-4), [N] float64; std divided by N. A prompt with one sample, or with equal
/// rewards, gives 0. Source: Shao et al. 2024 (GRPO), sec. 4.1; Liu et al. 2025 (Flow-GRPO), code.
Tensor group_advantage(const std::vector<std::string>& prompts, const Tensor& rewards, GroupSpread spread);

/// Rewards seen lately, by prompt: normalises each prompt by its own history, so that easy prompts do not drown hard
/// ones. Source: Black et al. 2024, app. D.1.
class RewardTracker {
 public:
  /// size M: rewards remembered for each prompt; min_count m: below it the whole batch's mean and std are used instead.
  RewardTracker(int64_t size, int64_t min_count);
  /// First appends the batch to the histories, then returns (r - mean) / (std + 1e-6), [N] float64; std divided by the
  /// count.
  Tensor advantage(const std::vector<std::string>& prompts, const Tensor& rewards);
  /// Share of the last batch's samples that were normalised by their prompt's own history.
  double history_share() const { return history_share_; }
  const std::map<std::string, std::deque<double>>& histories() const { return histories_; }
  io::Json to_json() const;
  void restore(const io::Json& state);

 private:
  size_t size_, min_count_;
  std::map<std::string, std::deque<double>> histories_;
  double history_share_ = 0;
};

/// Mean and standard deviation of all rewards of a run so far. Source: the released code of Zhang et al. 2024 (TDPO), of rewards that are
/// not normalised by prompt; merging: Chan et al. 1979.
class RunningMoments {
 public:
  /// First adds the batch, then returns (r - mean) / (std + 1e-8), [N] float64; std divided by the count less 1.
  Tensor advantage(const Tensor& rewards);
  io::Json to_json() const { return {count_, mean_, squares_}; }
  void restore(const io::Json& state);

 private:
  double count_ = 0, mean_ = 0, squares_ = 0;  // squares: sum of squared deviations from the mean
};

/// Returns of a chain that pays `final` [N] at its last step and `terms` [N,T] on the way (undefined: none):
/// R_{T-1} = final + terms_{T-1}, R_i = terms_i + gamma R_{i+1}.  [N,T]
Tensor discounted_returns(const Tensor& final, const Tensor& terms, int64_t steps, double gamma);

}  // namespace plumb::align
