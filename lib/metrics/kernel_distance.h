// Kernel distance (KID on Inception features): the unbiased squared maximum mean discrepancy with the kernel
// k(x,y) = (x·y/d + 1)³. Unlike the Fréchet distance its estimate has no bias in N. Source: Bińkowski et al. 2018.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "io/manifest.h"
#include "metrics/bootstrap.h"
#include "metrics/settings.h"

#include <ATen/core/Tensor.h>

namespace plumb::metrics {

using at::Tensor;

struct KernelDistanceResult {
  double value = 0;          ///< mean over the subsets; may be slightly negative
  double subset_std = 0;     ///< population standard deviation over the subsets, as other programs print
  double subset_stderr = 0;  ///< subset_std / √subsets: what more subsets would reduce
  bool has_full = false;     ///< unless options.items is 0
  double full = 0;           ///< the unbiased estimate on all items, or options.items of a side drawn at random
  double standard_error = 0; ///< of `full`, delete-one jackknife over the items of both sides: what more items would reduce
  Interval full_interval() const { return normal_interval(full, standard_error); }
  /// Of `value`, at least 2 subsets: given the items, the mean over subsets scatters about `full` by s^2 / S, s of the subsets drawn, and
  /// `full` itself as its standard error says.
  Interval interval() const;
  int64_t n = 0, n_reference = 0, d = 0, subsets = 0, subset_size = 0;
  io::Json to_json() const;
};

/// x [N,d], y [M,d]; float32 features are multiplied in float32 and summed in float64. Throws Error(kUsage) if a subset is
/// larger than a side, Error(kBadNumbers) for fewer than 3 items, Error(kBadInput) if the dimensions differ. Memory O(N) beside
/// the features.
KernelDistanceResult kernel_distance(const Tensor& x, const Tensor& y, const KernelDistanceOptions& options = {});
/// The same with given subsets [subsets,size] of rows of x and y.
KernelDistanceResult kernel_distance(const Tensor& x, const Tensor& y, const Tensor& x_subsets, const Tensor& y_subsets,
                                     const KernelDistanceOptions& options = {});

}  // namespace plumb::metrics
