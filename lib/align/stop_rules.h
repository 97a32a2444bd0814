// Rules that end a run when the reward is being over-optimised.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace plumb::align {

/// How far a gold reward is below its own best, at one evaluation.
struct GoldDrop {
  size_t best = 0;          ///< index of the evaluation that was best so far
  double z = 0;             ///< standard errors (paired: the same noise gave both sets of samples); 0 at the best
  bool proxy_rose = false;  ///< the trained reward is above what it was at `best`
  bool parted(double limit) const { return z >= limit && proxy_rose; }
};

/// One evaluation of the monitor, reduced to what rules look at.
struct MonitorPoint {
  int64_t step = 0;
  double proxy = 0;         ///< mean of the trained reward
  std::vector<GoldDrop> gold;  ///< in the order of --gold
  double kl = 0;            ///< nats
  double vendi_ratio = 1;   ///< Vendi score over that of the first evaluation
  /// The gold furthest below its best; of those at which the trained reward rose, if there are any. {} without a gold.
  GoldDrop worst_gold() const;
};

/// gold-drop:z=2,k=3   one and the same gold at least z standard errors below its best, k evaluations running, while proxy rose
/// kl:12               path KL to the base model above 12 nats
/// vendi-ratio:.5      Vendi score below half of the first evaluation's
struct StopRule {
  enum class Kind { kGoldDrop, kKl, kVendiRatio };
  Kind kind = Kind::kGoldDrop;
  double z = 2;      ///< gold-drop
  int64_t k = 3;     ///< gold-drop
  double limit = 0;  ///< kl, vendi-ratio
  std::string text;  ///< as given

  bool needs_gold() const { return kind == Kind::kGoldDrop; }
  /// Whether the rule holds at the last point of a history.
  bool holds(const std::vector<MonitorPoint>& history) const;
};

/// Parses NAME[:VALUE | :key=value,...]. Throws Error(kUsage, "--stop", ...) naming what is wrong and what would be
/// right.
StopRule parse_stop_rule(const std::string& text);

/// What a run without --stop warns about: gold-drop:z=2,k=3 and vendi-ratio:0.5.
std::vector<StopRule> default_warnings();

}  // namespace plumb::align
