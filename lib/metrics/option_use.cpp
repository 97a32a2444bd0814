// SPDX-License-Identifier: Apache-2.0
#include "metrics/option_use.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/text.h"
#include "metrics/names.h"

namespace plumb::metrics {
namespace {

bool holds(const std::vector<std::string>& names, const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); }

/// The metrics that an option is for; none: it is for all, or for something else.
std::vector<std::string> metrics_of(const std::string& option) {
  static const std::pair<const char*, std::vector<std::string>> others[] = {{"allow-rank-deficient", {"fid"}},
                                                                            {"bootstrap", {"vendi"}},
                                                                            {"metric", metric_names()},
                                                                            {"per-class", {"pairwise", "sequences", "vendi"}},
                                                                            {"seed", {"fid", "kid", "sequences", "spectral", "vendi"}},
                                                                            {"subspace", {"subspace"}}};
  for (const auto& [name, metrics] : others) {
    if (option == name) return metrics;
  }
  const std::string prefix = option.substr(0, option.find('.'));
  if (prefix.size() < option.size() && holds(metric_names(), prefix)) return {prefix};
  return {};
}

bool needs_reference(const std::string& metric, const std::string& option) {
  return option == "sequences.k" || holds({"fid", "kid", "memorisation", "prdc", "spectral"}, metric);
}

}  // namespace

void refuse_without_effect(const OptionTable& table, const std::function<bool(const std::string&)>& was_set,
                           const std::vector<std::string>& computed, bool has_reference) {
  for (const std::string& option : table.names()) {
    const std::vector<std::string> metrics = metrics_of(option);
    if (metrics.empty() || !was_set(option)) continue;
    bool useful = false, lacks_reference = computed.empty();
    for (const std::string& metric : metrics) {
      if (!holds(computed, metric)) continue;
      const bool lacking = !has_reference && option != "metric" && needs_reference(metric, option);
      useful = useful || !lacking;
      lacks_reference = lacks_reference || lacking;
    }
    if (useful) continue;
    throw Error(Exit::kUsage, "--" + option, "has no effect without --" + (lacks_reference ? "reference" : "metric " + join(metrics, " or ")));
  }
}

}  // namespace plumb::metrics
