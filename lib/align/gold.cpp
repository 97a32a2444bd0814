// SPDX-License-Identifier: Apache-2.0
#include "align/gold.h"

#include "core/error.h"
#include "core/text.h"

#include <algorithm>
#include <cctype>
#include <set>

namespace plumb::align {
namespace {

/// Every SHA-256 anywhere in a description, under whatever key.
void collect_digests(const io::Json& json, std::set<std::string>& found) {
  if (json.is_structured())
    for (const auto& value : json)
      collect_digests(value, found);
  if (!json.is_string())
    return;
  const std::string& text = json.get_ref<const std::string&>();
  if (text.size() == 64 && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c) != 0; }))
    found.insert(text);
}

}  // namespace

std::string shared_with_trained(const io::Json& trained, const io::Json& gold) {
  std::set<std::string> own, others;
  collect_digests(trained, own);
  collect_digests(gold, others);
  for (const std::string& digest : others)
    if (own.count(digest) != 0)
      return "reads a file that the trained reward reads too (sha256 " + digest.substr(0, 12) + "...)";
  if (trained.contains("expression") && gold.contains("expression") && trained.at("expression") == gold.at("expression"))
    return "is the trained reward";
  return "";
}

std::vector<GoldReward> make_golds(const FinetuneOptions& o, const rewards::Reward* trained, const io::Space& space, at::Device device) {
  std::vector<GoldReward> golds;
  for (const std::string& gold : o.gold) {
    golds.push_back({gold, rewards::make_reward(gold, space, device, o.reward_timeout_s)});
    const std::string why = trained ? shared_with_trained(trained->describe(), golds.back().reward->describe()) : "";
    if (!why.empty() && !o.allow_trained_gold)
      throw Error(Exit::kUsage, "--gold", cat("'", gold, "' ", why, ", so it cannot show over-optimisation"),
                  "an independent reward; or --allow-trained-gold");
  }
  return golds;
}

}  // namespace plumb::align
