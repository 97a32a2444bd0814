// The names of the rewards, for option tables and messages. Free of LibTorch.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

namespace plumb::rewards {

/// A row of rewards.def.
struct RewardEntry {
  const char* name;
  const char* summary;
};

inline std::vector<RewardEntry> reward_entries() {
  return {
#define PLUMB_REWARD(identifier, name, summary) {name, summary},
#include "rewards/rewards.def"
#undef PLUMB_REWARD
  };
}

inline std::vector<std::string> reward_names() {
  std::vector<std::string> names;
  for (const RewardEntry& entry : reward_entries()) names.emplace_back(entry.name);
  return names;
}

}  // namespace plumb::rewards
