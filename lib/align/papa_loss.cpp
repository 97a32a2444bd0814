// SPDX-License-Identifier: Apache-2.0
#include "align/papa_loss.h"

#include <ATen/ATen.h>

#include "core/error.h"

namespace plumb::align {
namespace {

constexpr double kLeastBaseError = 0.01;  // below which the base model's error says nothing about a cap

}  // namespace

PapaRule papa_rule(const PapaOptions& o) {
  const bool safe = o.preset == "safe", reference = o.preset == "reference";
  if (reference && (o.neg_cap || !o.qpde_on.empty() || o.alpha_np || o.timesteps > 0 || o.batch > 1))
    throw Error(Exit::kUsage, "--papa.preset", "reference is the published code, without --papa.neg-cap, qpde-on, alpha-np, timesteps and batch",
                "--papa.preset parity");
  PapaRule rule;
  rule.reference = reference;
  rule.alpha = o.alpha.value_or(0.1);
  rule.alpha_np = reference ? rule.alpha : o.alpha_np.value_or(safe ? 0.0 : rule.alpha);
  rule.gamma = o.gamma.value_or(safe ? 0.9 : 0.009);
  rule.qpde_on = o.qpde_on.empty() ? "positive" : o.qpde_on;
  rule.neg_cap = o.neg_cap.value_or(0.0);
  rule.replay = o.replay.empty() ? safe : o.replay == "all";
  rule.passes = o.passes.value_or(safe ? 10 : 1);
  rule.guard = o.guard.value_or(safe ? 3.0 : 0.0);
  rule.disliked = o.disliked == "0" ? 0.0 : -1.0;
  const auto idle = [](const char* option, const std::string& why) { throw Error(Exit::kUsage, option, "has no effect " + why, "leave it out"); };
  const bool disliked = rule.alpha_np > 0 && rule.disliked != 0;
  if (o.neg_cap.value_or(0) > 0 && !disliked)
    idle("--papa.neg-cap", rule.disliked == 0 ? "with --papa.disliked 0" : "where --papa.alpha-np is 0");
  if (o.alpha_np.value_or(0) > 0 && rule.disliked == 0)
    idle("--papa.alpha-np", "with --papa.disliked 0");
  if (!o.qpde_on.empty() && rule.gamma == 0)
    idle("--papa.qpde-on", "with --papa.gamma 0");
  return rule;
}

std::vector<double> papa_timestep_weights(const std::vector<double>& A, bool wrap) {
  std::vector<double> weights(A.size(), 0.0);
  for (size_t t = wrap ? 0 : 1; t < A.size(); ++t) {
    const double before = t > 0 ? A[t - 1] : A.back();
    const double a = t > 0 ? A[t] / A[t - 1] : A[0];  // a_0 = A_0
    weights[t] = (1 - a) / (a * (1 - before));
  }
  return weights;
}

bool papa_trains_on(const PapaRule& rule, double y) {
  if (rule.reference)
    return true;
  const bool gap = rule.gamma > 0 && y != 0 && (rule.qpde_on == "all" || (rule.qpde_on == "positive") == (y > 0));
  return (y > 0 && rule.alpha > 0) || (y < 0 && rule.alpha_np > 0) || gap;
}

PapaCoefficients papa_coefficients(const PapaRule& rule, const std::vector<double>& weights, const TimestepRange& range, const Tensor& y,
                                   const Tensor& t) {
  const int64_t samples = t.size(0), drawn = t.size(1);
  PapaCoefficients c{at::zeros({samples, drawn}, at::kDouble), at::zeros({samples, drawn}, at::kDouble)};
  const auto of_y = y.accessor<double, 1>();
  const auto time = t.accessor<int64_t, 2>();
  auto error = c.error.accessor<double, 2>(), gap = c.gap.accessor<double, 2>();
  const double share = 1.0 / static_cast<double>(samples), each = 1.0 / static_cast<double>(drawn);
  for (int64_t b = 0; b < samples; ++b) {
    const double judged = of_y[b], alpha = judged > 0 || rule.reference ? rule.alpha : rule.alpha_np;
    const bool applies = judged != 0 && (rule.qpde_on == "all" || (rule.qpde_on == "positive") == (judged > 0));
    for (int64_t m = 0; m < drawn; ++m) {
      const int64_t at = time[b][m];
      error[b][m] = share * alpha * judged * weights.at(static_cast<size_t>(at)) * static_cast<double>(range.size()) * each;
      if (rule.reference)
        gap[b][m] = at == range.last && judged == 1.0 ? share * rule.gamma : 0.0;
      else
        gap[b][m] = applies ? share * rule.gamma * each : 0.0;
    }
  }
  return c;
}

Tensor papa_cap(const PapaRule& rule, const Tensor& error, const Tensor& base_error, const Tensor& y) {
  if (rule.neg_cap <= 0)
    return at::ones_like(error);
  return ((y >= 0) | (error <= rule.neg_cap * base_error.clamp_min(kLeastBaseError))).to(error.scalar_type());
}

Tensor mean_square_gap(const Tensor& a, const Tensor& b) { return (a - b).square().flatten(1).mean(1); }

}  // namespace plumb::align
