// What can be set on each metric, free of LibTorch so that a command's option table can point into it.
// Defaults are those of the papers named in each metric's own header.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace plumb::metrics {

struct FrechetOptions {
  bool allow_rank_deficient = false;  ///< accept N <= d, where the covariance cannot have full rank
};

struct KernelDistanceOptions {
  int64_t subsets = 100;
  int64_t subset_size = 0;            ///< 0: the smaller of 1000 and both sample counts
  uint64_t seed = 0;                  ///< of the subsets (Stream::kSubset)
};

struct InceptionScoreOptions {
  int64_t splits = 10;
};

struct PrdcOptions {
  int64_t precision_k = 3;            ///< neighbours of precision and recall
  int64_t density_k = 5;              ///< neighbours of density and coverage
};

struct VendiOptions {
  std::vector<std::string> orders{"0.5", "1", "2", "inf"};
  std::vector<std::string> kernels{"cosine", "rbf"};
  bool kernels_chosen = false;        ///< the user named the kernels: a large N x N kernel is then computed, not skipped
  double bandwidth = 0;               ///< sigma of the RBF kernel; 0: the median pairwise distance
  int64_t bootstrap = 100;            ///< resamples behind the interval; 0: no interval
  bool per_class = true;
  uint64_t seed = 0;                  ///< of the resamples (Stream::kBootstrap)
};

struct PairwiseOptions {
  bool per_class = true;
};

struct MemorisationOptions {
  double ratio = 1.0 / 3;             ///< near-duplicate: nearest < ratio * second nearest training distance
  int64_t list = 16;                  ///< how many of the closest pairs to name
};

/// All of them: what a command fills from its options.
struct Settings {
  FrechetOptions frechet;
  KernelDistanceOptions kernel_distance;
  InceptionScoreOptions inception_score;
  PrdcOptions prdc;
  VendiOptions vendi;
  PairwiseOptions pairwise;
  MemorisationOptions memorisation;
};

}  // namespace plumb::metrics
