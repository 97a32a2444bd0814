// Rewards that must stay above a floor while another is raised.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "align/options.h"
#include "io/manifest.h"
#include "rewards/reward.h"

namespace plumb::align {

using at::Tensor;

/// What --constraint says.
struct ConstraintSpec {
  std::string expression;  ///< a reward, as in --reward
  double floor = 0;
};
/// Parses "EXPR>=FLOOR". Throws Error(kUsage, "--constraint", ...).
ConstraintSpec parse_constraint(const std::string& text);

struct Constraint {
  ConstraintSpec spec;
  std::unique_ptr<rewards::Reward> reward;
  std::string name() const { return rewards::reward_dataset_name(spec.expression); }
};

/// Lagrange multipliers of: maximise E[r] subject to E[c_j] >= f_j. Projected dual ascent, once an epoch:
///   lambda_j <- clamp(lambda_j + lr (f_j - mean c_j) / s_j, 0, max), s_j the spread of c_j in the first epoch,
/// so that lr does not depend on the reward's unit. Source: Bertsekas 1996, sec. 2.1 (method of multipliers); for learned
/// rewards Moskovitz et al. 2023, "Confronting reward model overoptimization with constrained RLHF".
class Multipliers {
 public:
  Multipliers(std::vector<double> floors, double lr, double maximum);
  /// values [J,N] float64 of one epoch.
  void update(const Tensor& values);
  const std::vector<double>& values() const { return lambda_; }
  /// (A + sum_j lambda_j A_j) / (1 + sum_j lambda_j): the advantage of the Lagrangian, on the scale of A whatever lambda.
  /// advantage [N], of_constraints [J,N]. Source of the denominator: Ray, Achiam, Amodei 2019, sec. 4 (PPO-Lagrangian).
  Tensor combine(const Tensor& advantage, const Tensor& of_constraints) const;
  io::Json to_json() const;
  void restore(const io::Json& state);

 private:
  std::vector<double> floors_, lambda_, spread_;  // spread_ is empty before the first update
  double lr_, maximum_;
};

/// Those of --constraint.
std::vector<Constraint> make_constraints(const FinetuneOptions& options, const io::Space& space, at::Device device);

}  // namespace plumb::align
