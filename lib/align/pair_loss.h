// Losses of pairs of which one sample was judged better: D3PO of a chain's steps, Diffusion-DPO of noised samples.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace plumb::align {

using at::Tensor;

/// loss = -log sigmoid(beta sum_j h_j d_j), d_j = log clamp(exp(log_ratio_j), 1 - eps, 1 + eps), of one denoising step of both
/// samples: [B]. log_ratio [B,2] = log p_theta - log p_base of the step that was taken, averaged over an item's elements; h [B,2] is
/// (+1,-1) if sample 0 is better, (-1,+1) if 1 is, (0,0) for a tie. A ratio outside has no gradient, on both sides; one_sided: only
/// from above for the better sample and from below for the worse. Source: Yang et al. 2024 (D3PO), "Using human feedback to fine-tune
/// diffusion models without any reward model", and its released code.
Tensor d3po_loss(const Tensor& log_ratio, const Tensor& preference, double beta, double eps, bool one_sided);

/// loss = -log sigmoid(-beta / 2 [(e_w - e_w_base) - (e_l - e_l_base)]), e = mean squared error of the predicted noise of the better (w)
/// and worse (l) sample, of the tuned and the base model: [B]. Source: Wallace et al. 2024, "Diffusion model alignment using direct
/// preference optimization", eq. 14, with its constants in beta.
Tensor diffusion_dpo_loss(const Tensor& e_w, const Tensor& e_l, const Tensor& e_w_base, const Tensor& e_l_base, double beta);

/// Two items and which is better.
struct JudgedPair {
  int64_t first = 0, second = 0;
  double y = 0;   ///< > 0: the first is better; < 0: the second
};

/// Pairs i < j of items in the same group whose mean scores over the raters differ; y is +1 or -1. scores[rater][item]; NaN: not judged,
/// and left out of the mean. Source: the released code of D3PO, which averages the scores of annotators.
std::vector<JudgedPair> pairs_of_scores(const std::vector<std::vector<double>>& scores, int64_t group);

}  // namespace plumb::align
