// How varied and how new sequences are, letter by letter: Hamming and edit distances, unique and novel shares, k-mer frequencies.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <utility>

#include <ATen/core/Tensor.h>

#include "io/manifest.h"
#include "metrics/settings.h"

namespace plumb::metrics {

using at::Tensor;

/// Share of positions where two sequences differ, over all pairs i < j.
struct HammingDistance {
  double mean = 0;
  double standard_error = 0;                  ///< of the mean, delete-one jackknife over the items (0 for 2 items, which do not say it)
};
/// codes [N,L] uint8, all below `letters`, N >= 2 (else Error(kBadNumbers)). From letter counts a position: time O(N L), no pairs.
HammingDistance hamming_distance(const Tensor& codes, int64_t letters);

struct NearestSequences {
  double distance = 0;                        ///< share of positions
  std::pair<int64_t, int64_t> rows{0, 0};     ///< the first such pair, lower row first
};
/// The pair of least Hamming distance: 0 where an item occurs twice. Compares all pairs, time O(N² L), memory O(N).
NearestSequences nearest_sequences(const Tensor& codes);

/// Levenshtein distance (insertions, deletions, substitutions of one letter) over L, of pairs of items.
struct EditDistance {
  double mean = 0, standard_error = 0;
  int64_t pairs = 0;
};
/// Over all pairs if there are at most `pairs`, with the jackknife's error; else over min(pairs, N/2) random pairs that share no item, so
/// that the distances are independent and their own error holds. Drawn by `seed` (Stream::kSubset).
EditDistance edit_distance(const Tensor& codes, int64_t pairs, uint64_t seed);
/// Of two sequences of `length` letters: Wagner and Fischer 1974, two rows.
int64_t levenshtein(const uint8_t* a, const uint8_t* b, int64_t length);

/// Different items over N.
double unique_fraction(const Tensor& codes);
/// Share of the samples that do not occur in the reference.
double novelty(const Tensor& codes, const Tensor& reference);

/// Words of k letters, overlapping, pooled over all items of a side: shares p of the samples, q of the reference.
struct KmerComparison {
  double divergence = 0;          ///< Jensen-Shannon divergence in bits, 0 to 1: H(m) - (H(p) + H(q)) / 2, m = (p + q) / 2. Lin 1991
  double correlation = 0;         ///< Pearson's of p and q over the words seen on either side, as in DRAKES; NaN if a side is constant
  double divergence_error = 0, correlation_error = 0;   ///< infinitesimal jackknife over the items of both sides
};
/// Throws Error(kUsage) if k is longer than the sequences or letters^k is above 2^24.
KmerComparison compare_kmers(const Tensor& codes, const Tensor& reference, int64_t letters, int64_t k);

}  // namespace plumb::metrics
