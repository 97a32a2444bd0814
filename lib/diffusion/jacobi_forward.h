// How letters become noise on the simplex.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "diffusion/jacobi.h"
#include "diffusion/process_options.h"

namespace plumb::diffusion {

/// Noised letters of a batch and what a network should say of them.
struct JacobiBatch {
  Tensor v;        // [B,K-1,L] float32
  Tensor slope;    // like v: d log (p_t(v | letter) / stationary) / dv, what J^T score_x should be
  Tensor time;     // [B] int64 index of a time
};

/// The law of v_t for K letters at the times of JacobiOptions. A letter c starts its coordinates before c at 0 and its own at 1; those behind it
/// are stationary. (Noise that treats all letters alike, as in the released fast path, is another process than the one that chains of
/// independent coordinates reverse: with exact scores they then end at wrong shares of letters.)
/// Draws are exact: lineages, then a Beta law as a product of powers of uniform numbers. No paths are simulated: those of Euler steps of 0.01 are
/// worst where it counts, near the ends.
class JacobiNoise {
 public:
  JacobiNoise(int64_t letters, const JacobiOptions& options);
  const std::vector<double>& times() const { return times_; }
  /// w_t = E[s v (1 - v) (d log p_t(v | 1) / dv)^2] of the first coordinate, divided by the mean over times. Source: Avdeyev et al. 2023.
  const std::vector<double>& weights() const { return weights_; }
  /// Pairs [t, sqrt(w_t)] at about 33 of the times, for Conv1dOptions::output_scale.
  std::vector<std::pair<double, double>> output_scale() const;

  /// Of x0 [B,K,L], model space. Times are drawn with probability proportional to sqrt(w_t), from (seed, kTrainTime, first + row); noise from
  /// (seed, kSimplex, first + row, position).
  JacobiBatch draw(const Tensor& x0, uint64_t seed, int64_t first) const;

 private:
  double slope(size_t coordinate, int end, size_t time, double v) const;

  int64_t letters_;
  std::vector<double> times_, weights_, time_sums_;
  std::vector<LineageLaw> laws_;                      // of coordinates 1..K-1
  std::vector<float> lineages_[2];                    // from end 0 and 1: [K-1, times, nodes]
};

/// Loss of each example, [B]: mean of s v (1 - v) (J^T score_x - slope)^2 over coordinates and positions, divided by sqrt(w_t). With times drawn as
/// above it estimates the path KL between the true and the network's reverse process, all times alike.
Tensor jacobi_loss(const Tensor& score_x, const JacobiBatch& batch, const std::vector<double>& weights);

}  // namespace plumb::diffusion
