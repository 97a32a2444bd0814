// Reverse chains on the simplex behind the interface of all processes.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "diffusion/process.h"
#include "diffusion/process_options.h"

namespace plumb::diffusion {

/// A chain of N Euler-Maruyama steps of equal length from max_time to min_time (jacobi.h). item_shape [K,L] of model space.
/// State: v [B,K-1,L], kept in [1e-5, 1 - 1e-5] after each step; it starts from Beta(1, K - i). The network sees x on the simplex, [B,K,L]
/// from 0 to 1, and the time as a float; it gives score_x. The last step draws nothing: it ends at its mean, so transition() has sigma 0
/// there. finish(): 2x - 1. predicted_x0(): 2 P(letter | state) - 1, see LineageTable::letters. step_kl(): every step counts as if it had noise.
/// Throws Error(kBadInput, where) for other items.
std::unique_ptr<ReverseProcess> make_jacobi_process(const JacobiOptions& options, int64_t steps, const std::vector<int64_t>& item_shape,
                                                    const std::string& where);

}  // namespace plumb::diffusion
