// SPDX-License-Identifier: Apache-2.0
#include "rewards/registry.h"

#include "core/error.h"
#include "core/text.h"
#include "rewards/names.h"

namespace plumb::rewards {

#define PLUMB_REWARD(identifier, name, summary) std::unique_ptr<Reward> make_##identifier(const RewardSpec& spec);
#include "rewards/rewards.def"
#undef PLUMB_REWARD

std::unique_ptr<Reward> make_named_reward(const RewardSpec& spec) {
#define PLUMB_REWARD(identifier, row_name, summary) \
  if (spec.name == row_name) return make_##identifier(spec);
#include "rewards/rewards.def"
#undef PLUMB_REWARD
  const std::vector<std::string> names = reward_names();
  const std::string near = nearest(spec.name, names);
  throw Error(Exit::kUsage, "reward '" + spec.name + "'", "there is no such reward",
              (near.empty() ? "known: " + join(names, ", ") : "did you mean '" + near + "'?") +
                  (spec.name.find('-') == std::string::npos ? "" : " (a '-' inside a word belongs to its name; minus needs blanks around it)"));
}

std::vector<std::string> Reward::without_gradient() const {
  return differentiable() ? std::vector<std::string>{} : std::vector<std::string>{describe().value("name", std::string("?"))};
}

Tensor Reward::score_differentiable(const Tensor&, const Tensor&) {
  throw Error(Exit::kUsage, "reward '" + describe().value("name", std::string("?")) + "'", "has no gradient",
              "use a method that needs none, such as ddpo-is");
}

}  // namespace plumb::rewards
