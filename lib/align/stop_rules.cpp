// Stop rules.   SPDX-License-Identifier: Apache-2.0
#include "align/stop_rules.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/text.h"

namespace plumb::align {
namespace {

constexpr const char* kOption = "--stop";

[[noreturn]] void refuse(const std::string& text, const std::string& what, const std::string& hint) {
  throw Error(Exit::kUsage, kOption, "'" + text + "': " + what, hint);
}

}  // namespace

GoldDrop MonitorPoint::worst_gold() const {
  const auto less = [](const GoldDrop& a, const GoldDrop& b) { return std::pair(a.proxy_rose, a.z) < std::pair(b.proxy_rose, b.z); };
  const auto worst = std::max_element(gold.begin(), gold.end(), less);
  return worst == gold.end() ? GoldDrop{} : *worst;
}

bool StopRule::holds(const std::vector<MonitorPoint>& history) const {
  if (history.empty())
    return false;
  switch (kind) {
    case Kind::kKl: return history.back().kl > limit;
    case Kind::kVendiRatio: return history.back().vendi_ratio < limit;
    case Kind::kGoldDrop: break;
  }
  if (static_cast<int64_t>(history.size()) < k)
    return false;
  for (size_t g = 0; g < history.back().gold.size(); ++g)
    if (std::all_of(history.end() - k, history.end(), [&](const MonitorPoint& p) { return p.gold.at(g).parted(z); }))
      return true;
  return false;
}

StopRule parse_stop_rule(const std::string& text) {
  static const std::vector<std::string> names = {"gold-drop", "kl", "vendi-ratio"};
  const size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  const std::string argument = colon == std::string::npos ? "" : text.substr(colon + 1);
  StopRule rule;
  rule.text = text;
  if (name == "gold-drop") {
    if (colon != std::string::npos && argument.empty())
      refuse(text, "nothing after the colon", "gold-drop:z=2,k=3");
    for (const std::string& pair : argument.empty() ? std::vector<std::string>{} : split(argument, ',')) {
      const size_t equals = pair.find('=');
      const std::string key = pair.substr(0, equals),
                        value = equals == std::string::npos ? "" : pair.substr(equals + 1);
      if (key == "z")
        rule.z = parse_double(value, kOption);
      else if (key == "k")
        rule.k = parse_int(value, kOption);
      else
        refuse(text, "unknown setting '" + key + "'",
               "z (standard errors) and k (evaluations running), as in gold-drop:z=2,k=3");
    }
    if (rule.z <= 0)
      refuse(text, "z must be above 0", "gold-drop:z=2,k=3");
    if (rule.k < 1)
      refuse(text, "k must be at least 1", "gold-drop:z=2,k=3");
    return rule;
  }
  if (name != "kl" && name != "vendi-ratio") {
    const std::string near = nearest(name, names);
    refuse(text, "unknown rule '" + name + "'",
           near.empty() ? "one of " + join(names, ", ") : "did you mean '" + near + "'?");
  }
  const bool kl = name == "kl";
  rule.kind = kl ? StopRule::Kind::kKl : StopRule::Kind::kVendiRatio;
  const std::string example = kl ? "kl:12 (nats)" : "vendi-ratio:.5 (share of the first evaluation's)";
  if (argument.empty())
    refuse(text, "the limit is missing", example);
  rule.limit = parse_double(argument, kOption);
  if (rule.limit <= 0)
    refuse(text, "the limit must be above 0", example);
  if (!kl && rule.limit >= 1)
    refuse(text, "the limit must be below 1", example);
  return rule;
}

std::vector<StopRule> default_warnings() {
  return {parse_stop_rule("gold-drop:z=2,k=3"), parse_stop_rule("vendi-ratio:0.5")};
}

}  // namespace plumb::align
