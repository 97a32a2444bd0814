// Seeing over-optimisation: on fixed seeds, the trained reward against rewards that are not trained on, the distance to
// the base model, and diversity.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "align/method.h"
#include "align/stop_rules.h"
#include "metrics/features.h"

namespace plumb::align {

struct GoldReward {
  std::string name;  ///< the expression
  std::unique_ptr<rewards::Reward> reward;
};

/// A figure with its standard error.
struct Estimate {
  double value = 0, se = 0;
};

/// What one evaluation measured on the monitor's n samples.
struct Evaluation {
  int64_t step = 0;
  Estimate proxy;              ///< the trained reward
  std::vector<Estimate> gold;  ///< in the order of --gold
  Estimate kl;                 ///< nats: exact Gaussian KL to the base model, summed over the policy's trained_steps
  Estimate kl_plain;           ///< mean squared difference of predicted noise, summed over the same steps; over all without densities
  Estimate vendi;              ///< cosine kernel, order 1, bootstrap standard error
  Estimate distance;           ///< mean pairwise 1 - cosine, jackknife standard error
  Tensor proxy_items, gold_items;  ///< [n], [G,n] float64
};

/// Where a gold reward and the trained reward parted.
struct Parting {
  std::string gold;
  int64_t step = -1;            ///< the step of that gold's best
  int64_t low = -1, high = -1;  ///< 95% bootstrap interval of that step, over the monitor's samples
};

/// What the run ended with. Each gold reward is judged by itself, so one that rises with the trained reward does not hide
/// another that falls.
struct Verdict {
  std::vector<Parting> partings;  ///< golds that fell while the trained reward rose, and did not come back; earliest first
  int64_t best_gold_step = -1;    ///< the best mean of the standardised golds; -1: no gold reward
  std::string text;               ///< one sentence
  bool parted() const { return !partings.empty(); }
};

class Monitor {
 public:
  /// The context, golds and features outlive the monitor. `stop`: rules that end the run; without any,
  /// default_warnings() warn.
  Monitor(TuningContext& context, std::vector<GoldReward> golds, metrics::FeatureNetwork& features);

  /// Samples, scores and compares, and adds the result to the history. nullopt: a stop was asked for meanwhile.
  std::optional<Evaluation> evaluate(int64_t step);
  /// Text of the rule that ends the run after the last evaluation, or "". Warns, once each, of rules that hold without
  /// --stop.
  std::string stop_rule();
  /// Whether the last evaluation has the best gold so far (always true for the first).
  bool last_is_best_gold() const { return !golds_.empty() && best_ + 1 == history_.size(); }

  bool has_gold() const { return !golds_.empty(); }
  size_t evaluations() const { return history_.size(); }
  const std::vector<MonitorPoint>& points() const { return points_; }
  Verdict verdict() const;
  /// Fields of the log's line: proxy, proxy_se, reward/<gold>, reward_se/<gold>, kl, kl_se, kl_plain,
  /// kl_plain_se, diversity (Vendi), diversity_se, distance, distance_se; gold_z and, with several golds, gold_z/<gold>.
  io::Json log_fields(const Evaluation& evaluation) const;
  /// What the figures depend on, for the manifest.
  io::Json describe() const;

  void save(nn::Checkpoint& checkpoint) const;
  void restore(const nn::Checkpoint& checkpoint);

 private:
  /// Methods that learn from answers may have no reward; then a gold that falls is enough to part.
  bool has_proxy() const { return context_.reward != nullptr; }
  /// Chains without noise (eta 0) have no KL.
  bool has_kl() const { return !context_.policy.trained_steps().empty(); }
  bool has_plain_kl() const { return context_.policy.is_gaussian(); }
  Tensor gold_score(const Tensor& gold_items) const;
  void add(const Evaluation& evaluation);
  Parting parting(size_t gold) const;

  TuningContext& context_;
  std::vector<GoldReward> golds_;
  metrics::FeatureNetwork& features_;
  std::vector<StopRule> rules_;
  bool rules_stop_;
  std::vector<bool> warned_;
  std::vector<Evaluation> history_;
  std::vector<Tensor> gold_scores_;  // [n] per evaluation: golds standardised by the first evaluation, averaged
  std::vector<GoldDrop> drops_;      // of the last evaluation, in the order of --gold
  std::vector<MonitorPoint> points_;
  size_t best_ = 0;  // index of the evaluation with the best mean of golds
};

}  // namespace plumb::align
