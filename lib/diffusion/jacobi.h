// Diffusion on the simplex. A letter of K is a point x of the simplex; stick breaking makes it K-1 numbers v in (0,1), each of which
// follows a Jacobi diffusion of its own,
//   dv = (s/2) [a (1 - v) - b v] dt + sqrt(s v (1 - v)) dw,   a_i = 1, b_i = K - i, s_i = 2 / (a_i + b_i), i = 1..K-1,
// whose stationary law Beta(a,b) is the flat Dirichlet law of x. s gives all coordinates the same speed: means relax as e^-t.
// Source: Avdeyev et al. 2023, "Dirichlet diffusion score model for biological sequence generation", and its code (jzhoulab/ddsm).
// Tensors: x and score_x [B,K,L], v and score_v [B,K-1,L], float32 or float64.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace plumb::diffusion {

using at::Tensor;

/// States keep this distance from 0 and 1.
inline constexpr double kStickMargin = 1e-5;

/// x_i = v_i prod_{j<i} (1 - v_j), x_K = prod_j (1 - v_j).
Tensor stick_to_simplex(const Tensor& v);
/// v_i = x_i / sum_{j>=i} x_j, the sum taken from the right. Where that sum is 0, v is 0.
Tensor simplex_to_stick(const Tensor& x);
/// log |dx/dv| = sum_i (K - 1 - i) log(1 - v_i), [B,L].
Tensor stick_log_det(const Tensor& v);
/// J^T score_x with J = dx/dv: the gradient in v of a function of x.
Tensor stick_gradient(const Tensor& score_x, const Tensor& v);
/// score_v = J^T score_x + grad log |dx/dv|.
Tensor stick_score(const Tensor& score_x, const Tensor& v);

/// s_i, [1,K-1,1] like v.
Tensor jacobi_speeds(const Tensor& v);
/// Mean of a reverse Euler-Maruyama step of length dt: v - dt s [(a (1 - v) - b v) / 2 - (1 - 2v) - v (1 - v) score_v]; not clamped.
Tensor jacobi_reverse_mean(const Tensor& v, const Tensor& score_v, double dt);
/// Its noise, sqrt(s dt v (1 - v)).
Tensor jacobi_noise_std(const Tensor& v, double dt);
/// KL of the step from one score to another, (dt/2) sum s v (1 - v) (difference of score_v)^2: [B] float64. Any score of v whose difference
/// is that of score_v will do. (The code of masa-ue/RLfinetuning_Diffusion_Bioseq has (v (1 - v))^{3/2}, which is no KL.)
Tensor jacobi_step_kl(const Tensor& v, const Tensor& score, const Tensor& reference_score, double dt);

/// Density of v_t given v_0, and its logarithm's derivative in v_t, of one coordinate, at each v.
struct JacobiDensity {
  std::vector<double> density, score;
};
/// By the spectral series Beta(a,b)(v_t) sum_n exp(-s n (n - 1 + a + b) t / 2) P_n(2 v_0 - 1) P_n(2 v_t - 1) / norm_n of Jacobi polynomials
/// P_n with exponents (b - 1, a - 1), s = 2 / (a + b). Terms cancel: where the density is below about 1e-12 of its peak, all of it is rounding,
/// and the score is noise; LineageLaw has no such limit. Terms of the series: enough for t >= 0.01 are 60 sqrt(1 / (s t)).
JacobiDensity jacobi_density(double v0, const std::vector<double>& v, double t, double a, double b, int64_t terms);

/// Jacobi diffusion with a = 1 from one of its ends, as a mixture of Beta laws, of which no term is negative:
///   p_t(v | 1) = sum_l d_l(t) Beta(1 + l, b)(v),   p_t(v | 0) = sum_l d_l(t) Beta(1, b + l)(v),
/// d_l(t) the law of the number of lineages that are left at time s t of a coalescent with mutation rate theta = 1 + b, which loses the l-th at
/// rate l (l + theta - 1) / 2. Source: Griffiths 1979, "A transition density expansion for a multi-allele diffusion model"; Jenkins & Spano 2017,
/// "Exact simulation of the Wright-Fisher diffusion".
class LineageLaw {
 public:
  /// For b >= 1 at ascending times t (of the diffusion, s = 2 / (1 + b)). Error of a density: 1e-4 of itself at the first time, falling as 1 / t^2.
  LineageLaw(int64_t b, const std::vector<double>& times);
  int64_t b() const { return b_; }
  const std::vector<double>& law(size_t time) const { return laws_.at(time); }   ///< d_l, l = 0..
  /// l whose cumulative d reaches u in [0,1).
  int64_t draw(size_t time, double u) const;

  /// At v of nodes(): log of p_t(v | end) / Beta(1,b)(v), and the mean of l given v, from which its derivative is
  /// lineages / v (end 1) and -lineages / (1 - v) (end 0).
  struct Nodes {
    std::vector<double> log_ratio, lineages;
  };
  Nodes at_nodes(size_t time, int end) const;
  /// v = sin^2(phi) at kNodes values of phi evenly from 0 to pi/2.
  static constexpr int64_t kNodes = 1025;
  static double node(int64_t i);

 private:
  int64_t b_;
  std::vector<std::vector<double>> laws_, cumulative_;
};

/// Means of lineages of all K - 1 coordinates from both ends, at the nodes of LineageLaw and one time: what ties scores to letters.
class LineageTable {
 public:
  LineageTable(const std::vector<LineageLaw>& coordinates, size_t time);
  /// d/dv_i log p_t(v_i | end) / Beta(v_i), by linear interpolation of the mean lineages in phi (error: jacobi_test.cpp): [B,K-1,L] of v's
  /// type, with a gradient.
  Tensor slope(const Tensor& v, int end) const;
  /// P(letter | v) of a network's score: with R_i = P(letter >= i), R_1 = 1, and g1, g0 the slopes from 1 and 0,
  ///   (J^T score_x)_i = (R_i - R_{i+1}) g1_i + R_{i+1} g0_i
  /// solved for R_{i+1} and clamped to [0,R_i]. Exact for exact scores, since a letter's coordinates start from 0 before it and from 1 at it.
  Tensor letters(const Tensor& score_x, const Tensor& v) const;

 private:
  Tensor lineages_;   // [2,K-1,kNodes] float64
};

}  // namespace plumb::diffusion
