// Annealed importance guidance (AIG): two models in one chain, the base model at the noise, the fine-tuned one at the data.
// Source: Jena et al. 2025, "Elucidating optimal reward-diversity tradeoffs in text-to-image diffusion models" (WACV), and its
// code (NeMo-Aligner).   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "diffusion/sampler.h"

namespace plumb::diffusion {

/// Weight w of the fine-tuned model in each of `steps` steps, i = 0 the noisiest. base: 0. ft: 1. linear: i/T. power:P: (i/T)^P.
/// step:Q: 1 if i/T >= Q, else 0. constant:C: C, the control without annealing (score interpolation).
/// Throws Error(kUsage, "--aig", ...) for anything else, P <= 0, and Q or C outside [0,1].
std::vector<double> aig_weights(const std::string& schedule, int64_t steps);

/// The tuned model down to timestep K, the base model below: 1 where timesteps[i] >= K, else 0. Source: EPAPA (arXiv 2607.00486).
std::vector<double> base_below_weights(const std::vector<int64_t>& timesteps, int64_t k);

/// output = (1 - w_i) base(x) + w_i tuned(x), each after its own classifier-free guidance. Where w_i is 0 or 1 the other model is not
/// called, and the output is the one's bit for bit. Both predict the same thing (epsilon, v or sample): those are affine in one another
/// at a given x_t, so mixing outputs is mixing scores, and the chain follows p_base^(1-w) p_tuned^w.
ModelFunction annealed(ModelFunction base, ModelFunction tuned, std::vector<double> weights);

/// The model of `base`, to be mixed with `tuned`. Throws Error(kBadInput) unless items, classes and noise levels are the same.
nn::Model load_base_of(const nn::Model& tuned, const io::Manifest& base, at::Device device);

}  // namespace plumb::diffusion
