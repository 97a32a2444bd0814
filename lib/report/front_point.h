// One point of the reward-diversity plane as a metrics manifest and its lineage tell it: which model, held back how and
// how strongly, with which rewards and figures of diversity.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "io/manifest.h"
#include "report/metric_table.h"

namespace plumb::report {

/// What held a sampled model close to its base model, and how strongly.
struct Regularisation {
  /// "base" (the base model itself), "plain" (nothing), "KL" (in training), "LoRA scaling", "AIG" (both in sampling), or
  /// several that were used together, "KL + AIG".
  std::string name;
  std::string strength;  ///< KL weight, scale of the adapter, schedule; "" for base and plain
};

/// From the samples' options (sample(1): --aig, --lora-scale) and the model's (finetune(1): --kl-coef, --kl-penalty,
/// --strl.alpha, --drakes.alpha). A model without fine-tuning is "base", and so is a tuned one where the options leave nothing
/// of the tuning: scale 0, aig base, or a schedule that is 0 at every step (constant:0, step:1). What changes nothing is not
/// named: scale 1, aig ft, a schedule that is 1 at every step (constant:1, step:0).
Regularisation regularisation_of(const io::Manifest& samples, const io::Manifest& model);

/// A figure of diversity (or of distance to a reference) that fronts are drawn of.
struct Measure {
  std::string key, title, note;  ///< column of tables; heading; how it is computed
  bool lower_is_better = false;
  std::string row;               ///< MetricRow::metric
  std::optional<std::string> digest = {};  ///< of the feature network that is meant; none: any
};
/// All that are drawn where they are found, in this order, for any feature network.
const std::vector<Measure>& known_measures();

struct FrontPoint {
  std::string source;  ///< the manifest's file, for messages
  Regularisation regularisation;
  std::optional<uint64_t> seed;  ///< of the fine-tuning; a model without one has none
  std::string method;            ///< of the fine-tuning
  double steps = std::numeric_limits<double>::quiet_NaN();  ///< updates planned, so that runs cut short by a rule keep together
  std::string trained;           ///< expression of the reward that was trained; "" without fine-tuning
  struct Reward {
    std::string column, expression;
    double mean;  ///< over the samples
  };
  std::vector<Reward> rewards;  ///< in the order of the scores artefact
  std::vector<MetricRow> metrics;
  io::Manifest samples;

  bool is_base() const { return regularisation.name == "base"; }
  const Reward* find(const std::string& column) const;    ///< nullptr: none
  double reward(const std::string& column) const;         ///< NaN: none
  double measure(const Measure& measure) const;           ///< as reported; NaN: none
};

/// The point at the end of a pipe `sample | score | diversity | evaluate-fid`. Only metrics and scores of its own samples
/// count, not those of a reference. Throws Error(kBadInput) if there are no samples, no model or no scores behind it.
FrontPoint read_front_point(const io::Manifest& manifest);

}  // namespace plumb::report
