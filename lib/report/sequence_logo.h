// What sequences have in common: a logo of each position's letters, and the words they are made of.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "io/h5.h"
#include "io/space.h"
#include "report/table.h"

namespace plumb::report {

/// Letters and words of a set of sequences, counted.
struct SequenceCounts {
  std::string name, alphabet;
  int64_t n = 0, length = 0;        ///< sequences, letters of each
  std::vector<int64_t> letters;     ///< [length * alphabet.size()], position by position
  int64_t k = 0;                    ///< letters of a word: 3, less if the sequences are shorter or there were more than a million words
  std::vector<int64_t> words;       ///< [alphabet.size()^k], overlapping; the first letter is the most significant
};

/// Reads all items of a sequence space, a piece at a time. Throws Error(kBadInput) for a code beyond the alphabet, or a dataset that does
/// not fit the space.
SequenceCounts count_sequences(const io::H5Reader& file, const io::Space& space, const std::string& name);

/// Bits at each position: log2 K - (H + e), at least 0, where H is the entropy of its letters and e = (K-1) / (2 ln2 n) corrects that few
/// sequences look alike by chance. Source: Schneider et al. 1986, "Information content of binding sites on nucleotide sequences".
std::vector<double> information(const SequenceCounts& counts);

/// The logo: letters stacked at each position, each as high as its share of the position's bits, the commonest on top; rows of at most 50
/// positions, and no more than the first kLogoPositions. Letters are drawn as paths, so that no font is needed. Source: Schneider and
/// Stephens 1990, "Sequence logos: a new way to display consensus sequences"; colours of DNA and amino acids after WebLogo, Crooks et al. 2004.
constexpr int64_t kLogoPositions = 300;
std::string sequence_logo(const SequenceCounts& counts, bool standalone);
/// How to read it, in one or two sentences.
std::string logo_caption(const SequenceCounts& counts);

/// Shares of words in each set, in percent, those of the largest share first: the 16 first for the page, all that occur for the file.
/// Sets of one alphabet and word length share a pair of tables.
std::vector<Table> word_tables(const std::vector<SequenceCounts>& sets);

}  // namespace plumb::report
