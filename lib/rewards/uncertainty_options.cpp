// SPDX-License-Identifier: Apache-2.0
#include "rewards/uncertainty_options.h"

#include <utility>
#include <vector>

#include "core/error.h"

namespace plumb::rewards {
namespace {

/// Which types an option is for.
const std::vector<std::pair<std::string, std::string>> kUses{
    {"scale", "bonus gp"},       {"cap", "bonus gp bootstrap"}, {"bonus-lambda", "bonus"}, {"bonus-covariance", "bonus"}, {"gp-length", "gp"},
    {"gp-noise", "gp"},          {"members", "bootstrap"},      {"penalty", "bootstrap"},  {"kappa", "bootstrap"},        {"softmin-tau", "bootstrap"},
    {"prior-scale", "bootstrap"}, {"choose-scale", "bonus gp bootstrap"}, {"clusters", "bonus gp bootstrap"}};

/// What only a network that is trained by steps has.
const std::vector<std::string> kTraining{"network", "epochs", "steps", "batch-size", "lr", "lr-warmup", "weight-decay", "grad-clip", "flip", "shift",
                                         "evaluate-every", "patience", "ridge", "ridge-intercept"};

[[noreturn]] void refuse(const std::string& option, const std::string& with) {
  throw Error(Exit::kUsage, "--" + option, "has no meaning " + with);
}

}  // namespace

void check_uncertainty_options(const UncertaintyOptions& o, const std::string& type, const std::function<bool(const std::string&)>& was_set) {
  if (type != "regressor" && o.type != "none") refuse("uncertainty", "for --type " + type);
  for (const auto& [option, types] : kUses) {
    if (!was_set(option) || (" " + types + " ").find(" " + o.type + " ") != std::string::npos) continue;
    refuse(option, o.type == "none" ? "without --uncertainty " + types.substr(0, types.find(' ')) : "with --uncertainty " + o.type);
  }
  for (const std::string& option : kTraining) {
    if (o.type == "gp" && was_set(option)) refuse(option, "with --uncertainty gp, which trains no network");
  }
  if (was_set("kappa") && o.penalty != "mean-std") refuse("kappa", "with --penalty " + o.penalty);
  if (was_set("softmin-tau") && o.penalty != "softmin") refuse("softmin-tau", "without --penalty softmin");
  if (was_set("prior-scale") && was_set("ridge")) refuse("prior-scale", "with --ridge");
  if (was_set("clusters") && o.choose == 0) refuse("clusters", "without --choose-scale");
  if (o.choose == 0) return;
  if (o.type == "bootstrap" && o.penalty != "mean-std") refuse("choose-scale", "with --penalty " + o.penalty + ", which has no scale");
  const std::string chosen = o.type == "bootstrap" ? "kappa" : "scale";
  if (was_set(chosen)) throw Error(Exit::kUsage, "--" + chosen, "is what --choose-scale chooses", "leave one of them out");
}

}  // namespace plumb::rewards
