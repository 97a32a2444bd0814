// The weights of particle methods: each group's own, in log space, with the estimate of its normaliser.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace plumb::diffusion {

using at::Tensor;

/// N particles for each of a batch of groups; particle j of group g is row g N + j of what belongs to particles.
class Particles {
 public:
  /// Equal weights, log w = -log N. `items` key the draws, so a group's survivors do not depend on the batch.
  Particles(std::vector<int64_t> items, int64_t n, uint64_t seed, std::string scheme);

  int64_t size() const { return n_; }
  /// log w += increment [groups * N] float64 on the CPU; log Z += logsumexp log w; then log w is normalised.
  /// So log Z adds up E[G_1 G_2 ...] over resampling steps and the weights accumulate between them.
  void reweight(const Tensor& increment);
  /// Resamples each group whose effective sample size is below share * N, with log w = -log N after it. Returns the ancestor of each row
  /// [groups * N] int64, by which EVERYTHING that belongs to particles must be indexed; undefined if no group was resampled.
  Tensor resample_below(double share, int64_t step);
  /// What is written of each group: "best" the row of the highest weight (ties: the first), "weighted" one row drawn by weight, "all" N rows resampled.
  Tensor survivors(const std::string& keep, int64_t step) const;

  Tensor log_weights() const;                      ///< [groups, N] float64
  const std::vector<double>& log_z() const { return log_z_; }
  const std::vector<double>& log_w(size_t group) const { return log_w_[group]; }

 private:
  std::vector<int64_t> items_;
  int64_t n_;
  uint64_t seed_;
  std::string scheme_;
  std::vector<std::vector<double>> log_w_;  // [groups][N], normalised
  std::vector<double> log_z_;               // [groups]
};

}  // namespace plumb::diffusion
