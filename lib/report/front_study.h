// All points that raised one reward, and what follows from them: means over seeds, fronts, hypervolumes, and diversity at
// equal reward.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <vector>

#include "report/front.h"
#include "report/front_point.h"

namespace plumb::report {

/// The points of one trained reward. A base model that was scored by it belongs to every regulariser: each front starts
/// there.
struct FrontStudy {
  std::string reward;                     ///< column of the scores
  std::vector<FrontPoint> base, tuned;    ///< tuned: by regulariser, then in the order given; strengths told apart
  std::vector<std::string> regularisers;  ///< of tuned: AIG, KL, LoRA scaling, combinations, plain
  std::vector<Measure> measures;          ///< that any point has
  std::vector<std::string> golds;         ///< the other columns of the scores
  std::vector<uint64_t> seeds;            ///< of tuned, ascending
};

/// Groups points by the column of their trained reward, in the order in which they come. The column is `reward` if that is
/// not "", else the one whose expression the model was tuned on, else the first, which `notes` then says. Strengths are
/// completed where points differ in more: with the training length, with the method. Base points count where they were sampled with
/// the class, sampler, steps, eta and guidance of a tuned one; if none was, all do, which `notes` then says.
/// Throws Error(kBadInput) if a point has no column `reward`.
std::vector<FrontStudy> front_studies(const std::vector<FrontPoint>& points, const std::string& reward,
                                      std::vector<std::string>& notes);

/// Diversity to be maximised: the measure, or minus it where lower is better.
double diversity_of(const FrontPoint& point, const Measure& measure);

/// One strength of one regulariser: means over its seeds; or the base model, over its points.
struct StrengthMean {
  std::string regulariser, strength;
  Estimate reward;
  std::vector<Estimate> measures, golds;  ///< as reported, in the study's order
};
/// The base model first, if it is there, then by regulariser and mean reward. Several points of one seed and strength are
/// averaged first.
std::vector<StrengthMean> strength_means(const FrontStudy& study);

/// Which of `means` are on the Pareto set of the strength means of `regulariser` and the base model, for a measure; of all
/// means if regulariser is "".
std::vector<bool> on_front(const FrontStudy& study, const std::vector<StrengthMean>& means, size_t measure,
                           const std::string& regulariser);

/// The base model for a seed: points tuned with that seed of which nothing was left, else points scored by the same
/// expression as the seed's (a proxy of its own), else all base points; their mean. NaN without one.
PlanePoint base_point(const FrontStudy& study, uint64_t seed, const Measure& measure);

/// The plane's points of a regulariser and seed, one a strength, the base model first where there is one.
std::vector<PlanePoint> seed_points(const FrontStudy& study, const std::string& regulariser, uint64_t seed,
                                    const Measure& measure);

using ByRegulariser = std::map<std::string, BySeed>;

/// Hypervolume of each regulariser's front, a seed at a time, in PlaneScale: from the seed's base point to the largest
/// reward and the worst diversity of all points of the study. NaN where the seed has no base point or no unit.
ByRegulariser hypervolumes(const FrontStudy& study, const Measure& measure);

/// The rewards of a seed at which its regularisers can be compared: from the base model's to the largest that each of them
/// reaches.
struct CommonReward {
  double base, most;
  std::string set_by;  ///< the regulariser that reaches least
};
/// By seed; without an entry where there is no base model or some regulariser never exceeds it.
std::map<uint64_t, CommonReward> common_rewards(const FrontStudy& study);

/// base + share * (most - base) of each seed's CommonReward; NaN where there is none.
BySeed reward_levels(const FrontStudy& study, double share);

/// Diversity (diversity_of) of each regulariser's front at the seeds' levels.
ByRegulariser diversity_at_levels(const FrontStudy& study, const Measure& measure, const BySeed& levels);

}  // namespace plumb::report
