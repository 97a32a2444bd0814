// Stick breaking, reverse steps and the spectral density.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/jacobi.h"

#include <ATen/ATen.h>

#include <cmath>

#include "core/error.h"

namespace plumb::diffusion {
namespace {

/// K - i for i = 1..K-1 as [1,K-1,1]: the b of each coordinate.
Tensor ends(const Tensor& v) { return at::arange(v.size(1), 0, -1, v.options()).reshape({1, -1, 1}); }

/// prod_{j<i} (1 - v_j), [B,K-1,L]: what is left of the stick at coordinate i.
Tensor rest_before(const Tensor& v) {
  return at::cat({at::ones_like(v.narrow(1, 0, 1)), (1 - v.narrow(1, 0, v.size(1) - 1)).cumprod(1)}, 1);
}

}  // namespace

Tensor stick_to_simplex(const Tensor& v) {
  const Tensor rest = rest_before(v);
  const int64_t last = v.size(1) - 1;
  return at::cat({v * rest, (rest.narrow(1, last, 1) * (1 - v.narrow(1, last, 1)))}, 1);
}

Tensor simplex_to_stick(const Tensor& x) {
  const Tensor sums = x.flip(1).cumsum(1).flip(1).narrow(1, 0, x.size(1) - 1);
  return at::where(sums > 0, x.narrow(1, 0, x.size(1) - 1) / at::where(sums > 0, sums, at::ones_like(sums)), at::zeros_like(sums));
}

Tensor stick_log_det(const Tensor& v) { return ((ends(v) - 1) * (-v).log1p()).sum(1); }

Tensor stick_gradient(const Tensor& score_x, const Tensor& v) {
  // with A_K = score_K, A_i = v_i score_i + (1 - v_i) A_{i+1}, the mean score of the letters from i on: prod_{j<i} (1 - v_j) (score_i - A_{i+1})
  const int64_t coordinates = v.size(1);
  std::vector<Tensor> gaps(static_cast<size_t>(coordinates));
  Tensor mean = score_x.select(1, coordinates);
  for (int64_t i = coordinates - 1; i >= 0; --i) {
    const Tensor gap = score_x.select(1, i) - mean;
    gaps[static_cast<size_t>(i)] = gap;
    mean = mean + v.select(1, i) * gap;
  }
  return rest_before(v) * at::stack(gaps, 1);
}

Tensor stick_score(const Tensor& score_x, const Tensor& v) { return stick_gradient(score_x, v) - (ends(v) - 1) / (1 - v); }

Tensor jacobi_speeds(const Tensor& v) { return 2 / (1 + ends(v)); }

Tensor jacobi_reverse_mean(const Tensor& v, const Tensor& score_v, double dt) {
  const Tensor forward = ((1 - v) - ends(v) * v) / 2;
  return v - dt * jacobi_speeds(v) * (forward - (1 - 2 * v) - v * (1 - v) * score_v);
}

Tensor jacobi_noise_std(const Tensor& v, double dt) { return (dt * jacobi_speeds(v) * v * (1 - v)).clamp_min(0).sqrt(); }

Tensor jacobi_step_kl(const Tensor& v, const Tensor& score, const Tensor& reference_score, double dt) {
  return (jacobi_speeds(v) * v * (1 - v) * (score - reference_score).square()).flatten(1).sum(1, false, at::kDouble) * (dt / 2);
}

JacobiDensity jacobi_density(double v0, const std::vector<double>& v, double t, double a, double b, int64_t terms) {
  if (!(a > 0 && b > 0 && t > 0 && v0 >= 0 && v0 <= 1) || terms < 1) {
    throw Error(Exit::kUsage, "jacobi_density", "needs a, b, t > 0, v0 in [0,1] and a term");
  }
  const double alpha = b - 1, beta = a - 1, s = 2 / (a + b), log_beta = std::lgamma(a) + std::lgamma(b) - std::lgamma(a + b);
  // P_n and its derivative in x by the three-term recurrence (Szego, eq. 4.5.1), at v_0 and at v
  const auto recurrence = [&](double x, const auto& visit) {
    double before = 0, slope_before = 0, now = 1, slope_now = 0;
    for (int64_t i = 0; i < terms; ++i) {
      visit(i, now, slope_now);
      const double n = static_cast<double>(i) + 1, c = 2 * n + alpha + beta;
      double next = (alpha + 1) + (alpha + beta + 2) * (x - 1) / 2, slope = (alpha + beta + 2) / 2;
      if (i > 0) {
        const double scale = 2 * n * (n + alpha + beta) * (c - 2), of_x = (c - 1) * c * (c - 2);
        const double of_now = of_x * x + (c - 1) * (alpha * alpha - beta * beta), of_before = 2 * (n + alpha - 1) * (n + beta - 1) * c;
        next = (of_now * now - of_before * before) / scale;
        slope = (of_x * now + of_now * slope_now - of_before * slope_before) / scale;
      }
      before = now, slope_before = slope_now, now = next, slope_now = slope;
    }
  };
  std::vector<double> weight(static_cast<size_t>(terms));
  recurrence(2 * v0 - 1, [&](int64_t i, double p, double) {
    const double n = static_cast<double>(i);
    const double log_norm = i == 0 ? 0.0   // squared norm of P_n under Beta(a,b)
        : std::lgamma(n + a) + std::lgamma(n + b) - std::lgamma(n + 1) - std::lgamma(n + a + b - 1) - std::log(2 * n + a + b - 1) - log_beta;
    weight[static_cast<size_t>(i)] = p * std::exp(-s * n * (n - 1 + a + b) * t / 2 - log_norm);
  });
  JacobiDensity result;
  for (const double at : v) {
    double ratio = 0, slope = 0;
    recurrence(2 * at - 1, [&](int64_t i, double p, double dp) {
      ratio += weight[static_cast<size_t>(i)] * p;
      slope += weight[static_cast<size_t>(i)] * 2 * dp;
    });
    result.density.push_back(ratio * std::exp((a - 1) * std::log(at) + (b - 1) * std::log1p(-at) - log_beta));
    result.score.push_back(slope / ratio + (a - 1) / at - (b - 1) / (1 - at));
  }
  return result;
}

}  // namespace plumb::diffusion
