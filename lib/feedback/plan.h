// What to ask about, and in which order: the budget of answers is the scarce thing.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "feedback/items.h"

namespace plumb::feedback {

struct PlanOptions {
  Mode mode = Mode::kSingle;
  std::string choose = "random";   ///< random, all, diverse
  int64_t budget = 0;              ///< answers; 0 = as many as give each item one question
  int64_t set_size = 4;            ///< rank: items in a question
  double repeats = 0;              ///< share of the questions that are asked a second time
  uint64_t seed = 0;
  int64_t group = 1;               ///< pairs and rank: above 1, only items k G .. k G + G - 1 are compared with one another
};

/// Items in a question of mode rank: --per-page, or 4.
int64_t set_size(int64_t per_page);

/// The items of each question, in the order shown.
using Plan = std::vector<std::vector<int64_t>>;

/// All draws are Philox of (seed, kShuffle). random: items in random order, cut into questions; when the items are used up, in
/// another random order, and no pair twice. all: every item, or every pair of items. diverse: items in the order of
/// farthest_points, so that a session that is stopped early has spread what it asked. Which side an item of a pair or set stands on
/// is drawn for itself. `points`: [count * d] as one array, for diverse only.
/// A repeated question comes at least a screen after its first time, at a place drawn from the seed; it is not of the budget.
/// Throws Error(kUsage) for a budget that `count` items cannot fill.
Plan make_plan(const PlanOptions& options, int64_t count, const std::vector<float>& points);

/// One item a question: as many as the budget says (0: all) of the highest value, highest first; equal values: the lower index; with
/// options.repeats as make_plan. For a value such as how unsure a reward is: what is asked there tells most. Throws Error(kUsage) if
/// there are fewer.
Plan plan_by_value(const PlanOptions& options, const std::vector<double>& values);

/// The first n of the items in the order in which each is the farthest from all before it: its Euclidean distance to the nearest of
/// them is the greatest. Source: Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985; that the result is
/// within a factor 2 of the best cover is shown there. Equal distances: the lower index. points: [count * d]. O(n count d).
std::vector<int64_t> farthest_points(const std::vector<float>& points, int64_t count, int64_t n, int64_t first);

/// SHA-256 of the plan: what a record of answers belongs to.
std::string digest_of(const Plan& plan);

/// The points of --choose diverse: `features` of these very samples (a path's manifest), or the stored items themselves if it is
/// null. Throws Error(kBadInput) if the features are another's.
std::vector<float> points_for(const Items& items, const io::Manifest* features);

/// Questions of a plan over samples.
class PlannedQuestions : public QuestionSource {
 public:
  PlannedQuestions(const Items& items, Plan plan, Mode mode, std::string text);
  Mode mode() const override { return mode_; }
  int64_t total() const override { return static_cast<int64_t>(plan_.size()); }
  std::string text() const override { return text_; }
  Question question(int64_t index) override;
  std::vector<int64_t> items(int64_t index) override { return plan_.at(static_cast<size_t>(index)); }
  const Plan& plan() const { return plan_; }

 private:
  const Items& items_;
  Plan plan_;
  Mode mode_;
  std::string text_;
};

}  // namespace plumb::feedback
