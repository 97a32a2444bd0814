// Kernel distance (KID on Inception features): the unbiased squared maximum mean discrepancy with the kernel
// k(x,y) = (x·y/d + 1)³. Unlike the Fréchet distance its estimate has no bias in N. Source: Bińkowski et al. 2018.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "io/manifest.h"
#include "metrics/settings.h"

#include <ATen/core/Tensor.h>

namespace plumb::metrics {

using at::Tensor;

struct KernelDistanceResult {
  double value = 0;          ///< mean over the subsets; may be slightly negative
  double subset_std = 0;     ///< population standard deviation over the subsets, as other programs print
  double subset_stderr = 0;  ///< subset_std / √subsets: what more subsets would reduce
  double full = 0;           ///< the unbiased estimate on all items (the first 10000 of each side)
  double standard_error = 0; ///< of `full`, delete-one jackknife over the items of both sides: what more items would reduce
  int64_t n = 0, n_reference = 0, d = 0, subsets = 0, subset_size = 0;
  io::Json to_json() const;
};

/// `count` subsets of `size` distinct rows out of n: [count,size] int64. Subset s depends on (seed, side, s) alone.
Tensor draw_subsets(int64_t n, int64_t count, int64_t size, uint64_t seed, uint32_t side);

/// x [N,d], y [M,d]; float32 features are multiplied in float32 and summed in float64. Throws Error(kUsage) if a subset is
/// larger than a side, Error(kBadNumbers) for fewer than 3 items, Error(kBadInput) if the dimensions differ.
KernelDistanceResult kernel_distance(const Tensor& x, const Tensor& y, const KernelDistanceOptions& options = {});
/// The same with given subsets [subsets,size] of rows of x and y.
KernelDistanceResult kernel_distance(const Tensor& x, const Tensor& y, const Tensor& x_subsets, const Tensor& y_subsets);

}  // namespace plumb::metrics
