// SPDX-License-Identifier: Apache-2.0
#include "diffusion/steering_options.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"

namespace plumb::diffusion {
namespace {

/// An option and the methods that read it.
struct Reader {
  const char* option;
  std::vector<std::string> methods;
};

const std::vector<Reader>& readers() {
  static const std::vector<Reader> all{
      {"alpha", {"best-of-n", "das", "fk", "svdd", "tds"}},
      {"particles", {"best-of-n", "das", "fk", "svdd", "tds"}},
      {"steer-return", {"best-of-n", "das", "fk", "tds"}},
      {"steer-potential", {"fk"}},
      {"steer-every", {"fk"}},
      {"steer-tempering", {"das"}},
      {"steer-gamma", {"das"}},
      {"steer-resample", {"best-of-n", "das", "fk", "tds"}},
      {"steer-ess", {"das", "fk", "tds"}},
  };
  return all;
}

/// --guide and what belongs to it.
void check_guidance(const GuidanceOptions& o, const std::function<bool(const std::string&)>& was_set) {
  for (const char* option : {"guide-strength", "guide-target", "guide-weight", "guide-sigma", "guide-reduce"}) {
    if (o.at.empty() && was_set(option)) throw Error(Exit::kUsage, cat("--", option), "goes with --guide", "add --guide x0, say");
  }
  if (o.at.empty()) return;
  const bool ahead = o.weight == "look-ahead";
  if (!ahead && !o.strength) throw Error(Exit::kUsage, "--guide-strength", "is needed with --guide", "1 is the reward's gradient as it is");
  if (!ahead && was_set("guide-sigma")) throw Error(Exit::kUsage, "--guide-sigma", "goes with --guide-weight look-ahead");
  if (!ahead) return;
  if (o.strength) throw Error(Exit::kUsage, "--guide-strength", "the look-ahead weight takes its place", "leave it out");
  if (o.at != "x0") throw Error(Exit::kUsage, "--guide-weight", "look-ahead looks at the expected item", "--guide x0");
  if (!o.target) throw Error(Exit::kUsage, "--guide-target", "is needed with --guide-weight look-ahead");
  if (o.reduce != "sum") throw Error(Exit::kUsage, "--guide-reduce", "the look-ahead weight is each item's own", "leave it out");
}

}  // namespace

nlohmann::ordered_json SteeringOptions::to_json() const {
  return {{"method", method}, {"alpha", alpha ? nlohmann::ordered_json(*alpha) : nlohmann::ordered_json(nullptr)}, {"particles", particles}};
}

nlohmann::ordered_json GuidanceOptions::to_json() const {
  nlohmann::ordered_json json{{"at", at}, {"weight", weight}};
  if (strength) json["strength"] = *strength;
  if (target) json["target"] = *target;
  return json;
}

void check_steering_options(const SteeringOptions& o, const GuidanceOptions& guidance, const std::function<bool(const std::string&)>& was_set) {
  check_guidance(guidance, was_set);
  if (!o.method.empty() && !guidance.at.empty()) {
    throw Error(Exit::kUsage, "--guide", "the reward would count twice: --steer has it already", "one of the two");
  }
  for (const Reader& reader : readers()) {
    if (!was_set(reader.option)) continue;
    const std::string option = cat("--", reader.option);
    if (o.method.empty()) throw Error(Exit::kUsage, option, "goes with --steer", "add --steer fk, say");
    if (std::find(reader.methods.begin(), reader.methods.end(), o.method) == reader.methods.end()) {
      throw Error(Exit::kUsage, option, cat(o.method, " does not read it"), cat("it goes with ", join(reader.methods, ", ")));
    }
  }
  if (!o.method.empty() && was_set("share-start")) throw Error(Exit::kUsage, "--share-start", "does not go with --steer, whose particles start by themselves", "leave it out");
  const bool wants_reward = !o.method.empty() || !guidance.at.empty();
  if (!wants_reward && !o.reward.empty()) throw Error(Exit::kUsage, "--reward", "goes with --steer or --guide", "add --steer fk, say");
  if (!wants_reward && was_set("reward-timeout")) throw Error(Exit::kUsage, "--reward-timeout", "has no effect without a reward", "leave it out");
  if (wants_reward && o.reward.empty()) throw Error(Exit::kUsage, "--reward", "is needed to steer by", "see plumb-rewards(7)");
  if (o.method.empty()) return;
  const bool unweighted = o.method == "best-of-n" && o.keep == "best";
  if (unweighted && o.alpha) throw Error(Exit::kUsage, "--alpha", "the best of all needs no temperature", "leave it out, or add --steer-return weighted");
  if (!unweighted && !o.alpha) throw Error(Exit::kUsage, "--alpha", cat("is needed with --steer ", o.method), "in units of the reward, for example 0.1");
  if (o.alpha && *o.alpha == 0.0 && o.method != "svdd") throw Error(Exit::kUsage, "--alpha", "0 goes with --steer svdd only", "a number above 0");
  if (o.gamma && o.tempering == "adaptive") throw Error(Exit::kUsage, "--steer-gamma", "adaptive tempering has none", "leave it out");
  if (o.method == "das" && o.tempering == "adaptive" && o.ess == 0.0) {
    throw Error(Exit::kUsage, "--steer-ess", "adaptive tempering aims at it, so 0 has no meaning", "0.5, say");
  }
  if (o.method == "best-of-n" && o.keep != "all" && was_set("steer-resample")) {
    throw Error(Exit::kUsage, "--steer-resample", "one of N is not resampled", "add --steer-return all");
  }
}

}  // namespace plumb::diffusion
