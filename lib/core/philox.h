// Counter-based randomness: every draw is a pure function of (seed, stream, item, step), so batch size, sharding, rank
// count and device change nothing.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <vector>

namespace plumb {

/// What a draw is for. Distinct streams are independent; never renumber one that has been released.
enum class Stream : uint32_t {
  kPrior = 1,        ///< x_T of a sample
  kSamplerStep = 2,  ///< noise of one reverse step
  kTrainNoise = 3,   ///< eps of a training example
  kTrainTime = 4,    ///< timestep of a training example
  kLabelDrop = 5,    ///< whether a training example loses its label (classifier-free guidance)
  kShuffle = 6,      ///< order of a data set in an epoch
  kLabel = 7,        ///< class or prompt drawn for a sample
  kInit = 8,         ///< weight initialisation; item = parameter index
  kSplit = 9,        ///< held-out split
  kBootstrap = 10,   ///< bootstrap resamples
  kSubset = 11,      ///< random subsets (KID blocks)
  kRolloutOrder = 12,///< order of samples and steps in policy updates
  kAugment = 13,     ///< data augmentation
  kDropout = 14,     ///< dropout masks
  kLabelNoise = 15,  ///< noise added to labels
  kCriticReset = 16, ///< new weights of reset neurons
  kValueBatch = 17,  ///< transitions a value network is fitted to
  kKeptSteps = 18,   ///< steps of a chain that keep their gradient
  kRenoise = 19,     ///< noise added to a finished sample
  kParticle = 20,    ///< reverse-step noise of a steered sampler's particles and children
  kResample = 21,    ///< which particles survive
  kPseudoLabel = 22, ///< noise added to a predicted reward
  kEnsemble = 23,    ///< rows of an ensemble member's resample
  kPriorNetwork = 24,///< weights of an ensemble member's frozen prior network
  kGumbel = 25,      ///< Gumbel noise of a relaxed categorical step
  kMask = 26,        ///< which letters of a training example are masked
  kSimplex = 27,     ///< simplex noise of a training example
  kCluster = 28,     ///< first centres of a clustering
};

/// Philox4x32-10. Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
/// counter: 128 bits as four words; key: 64 bits as two words.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// The draws of one (seed, stream, item, step), addressed by index: `at(i)` never depends on what was read before.
/// Counter layout: word 0 = block (4 draws), word 1 = step, words 2-3 = item; key = seed mixed with stream.
class Philox {
 public:
  Philox(uint64_t seed, Stream stream, uint64_t item = 0, uint32_t step = 0);
  uint32_t next();                            ///< the next 32 bits
  double uniform();                           ///< in [0, 1), 32 bits of resolution
  uint64_t below(uint64_t n);                 ///< uniform in [0, n), unbiased; n > 0
  double normal();                            ///< standard normal (Box-Muller on two draws)
  void fill_normal(float* out, int64_t n);    ///< n standard normals

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
  double spare_ = 0;
  bool has_spare_ = false;
};

/// A uniformly random permutation of 0..n-1 (Fisher-Yates).
std::vector<int64_t> permutation(int64_t n, Philox& random);

}  // namespace plumb
