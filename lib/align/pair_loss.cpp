// SPDX-License-Identifier: Apache-2.0
#include "align/pair_loss.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace plumb::align {

Tensor d3po_loss(const Tensor& log_ratio, const Tensor& preference, double beta, double eps, bool one_sided) {
  const Tensor ratio = log_ratio.exp();
  Tensor limited = ratio.clamp(1 - eps, 1 + eps);
  if (one_sided)
    limited = at::where(preference > 0, ratio.clamp_max(1 + eps), ratio.clamp_min(1 - eps));
  return -(beta * (preference * limited.log()).sum(1)).sigmoid().log();
}

Tensor diffusion_dpo_loss(const Tensor& e_w, const Tensor& e_l, const Tensor& e_w_base, const Tensor& e_l_base, double beta) {
  return at::softplus(beta / 2 * ((e_w - e_w_base) - (e_l - e_l_base)));  // -log sigmoid(-u)
}

std::vector<JudgedPair> pairs_of_scores(const std::vector<std::vector<double>>& scores, int64_t group) {
  std::vector<double> mean;
  for (size_t i = 0; !scores.empty() && i < scores.front().size(); ++i) {
    double sum = 0, count = 0;
    for (const std::vector<double>& of_rater : scores)
      if (!std::isnan(of_rater.at(i)))
        sum += of_rater[i], ++count;
    mean.push_back(count > 0 ? sum / count : std::nan(""));
  }
  const int64_t n = static_cast<int64_t>(mean.size());
  std::vector<JudgedPair> pairs;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = i + 1; j < std::min(n, (i / group + 1) * group); ++j) {
      const double by = mean[static_cast<size_t>(i)] - mean[static_cast<size_t>(j)];
      if (by > 0 || by < 0)  // neither a tie nor unknown
        pairs.push_back({i, j, by > 0 ? 1.0 : -1.0});
    }
  return pairs;
}

}  // namespace plumb::align
