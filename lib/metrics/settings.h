// What can be set on each metric, free of LibTorch so that a command's option table can point into it.
// Defaults are those of the papers named in each metric's own header.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace plumb::metrics {

struct FrechetOptions {
  bool allow_rank_deficient = false;  ///< accept N <= d, where the covariance cannot have full rank
  uint64_t seed = 0;                  ///< of the items behind the interval, beyond 10000; of spectral's too
};

struct KernelDistanceOptions {
  int64_t subsets = 100;
  int64_t subset_size = 0;            ///< 0: the smaller of 1000 and both sample counts
  int64_t items = 10000;              ///< of a side, at most, in the full estimate and its error; 0: without
  uint64_t seed = 0;                  ///< of the subsets and items drawn (Stream::kSubset)
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
  double bandwidth = 0;               ///< sigma of the RBF kernel; 0: the median pairwise distance
  int64_t frequencies = 512;          ///< of the random Fourier features that stand for the RBF kernel beyond 4096 items; 0: the kernel
  int64_t bootstrap = 100;            ///< resamples behind the interval; 0: no interval
  bool bootstrap_chosen = false;      ///< the user named their number: bootstrap however long it takes
  bool per_class = true;
  uint64_t seed = 0;                  ///< of the resamples (Stream::kBootstrap), frequencies and items drawn
};

struct PairwiseOptions {
  bool per_class = true;
};

struct MemorisationOptions {
  double ratio = 1.0 / 3;             ///< near-duplicate: nearest < ratio * second nearest training distance
  int64_t list = 16;                  ///< how many of the closest pairs to name
};

struct SequenceOptions {
  int64_t k = 3;                      ///< letters of the words that are compared with the reference's
  int64_t edit_pairs = 2000;          ///< pairs of items, at most, of the edit distance; 0: without
  bool per_class = true;
  uint64_t seed = 0;                  ///< of the pairs drawn (Stream::kSubset)
};

struct SubspaceOptions {
  std::string file;                   ///< .npz with A [D,d], the true subspace by orthonormal columns
};

struct ClassCoverageOptions {
  std::string classifier;             ///< FILE.h5 of reward-train whose classes count; "": the feature network, which must be a classifier
  std::vector<std::string> classes;   ///< the wanted ones by name or number; empty: all
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
  SequenceOptions sequences;
  SubspaceOptions subspace;
  ClassCoverageOptions class_coverage;
  void set_seed(uint64_t seed) { frechet.seed = kernel_distance.seed = vendi.seed = sequences.seed = seed; }
};

}  // namespace plumb::metrics
