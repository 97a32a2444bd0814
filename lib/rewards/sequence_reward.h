// What rewards of sequences share: letters, letter probabilities in model space, arguments that start with a file.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "rewards/reward.h"

namespace plumb::rewards {

/// The letters of a space and their codes. Case does not matter unless the alphabet has a letter in both, and U stands for T and T for U.
class Alphabet {
 public:
  explicit Alphabet(std::string letters) : letters_(std::move(letters)) {}
  int64_t size() const { return static_cast<int64_t>(letters_.size()); }
  const std::string& letters() const { return letters_; }
  int64_t code(char letter) const;                        ///< -1 if there is no such letter
  /// The codes that a letter of a pattern stands for, empty if none. DNA and RNA: IUPAC nucleotide codes (Cornish-Bowden 1985), N is any base.
  /// Other alphabets: the letter itself, else X any letter, B D or N, Z E or Q, J I or L.
  std::vector<int64_t> pattern(char letter) const;
  bool nucleic() const;                                   ///< A, C, G and T or U, and nothing but IUPAC nucleotide codes and gaps
  /// `word` as codes, one byte each; "" if a letter is not in the alphabet.
  std::string encode(const std::string& word) const;
  std::string decode(const uint8_t* codes, int64_t count) const;   ///< '?' for a code beyond the alphabet

 private:
  std::string letters_;
};

/// A reward that is a formula of letter probabilities. One formula serves finished items, where the probabilities are 0 and 1, and the
/// relaxed ones of direct backpropagation.
class SequenceReward : public Reward {
 public:
  explicit SequenceReward(const RewardSpec& spec);
  Tensor score(const RewardBatch& batch) override;
  bool differentiable() const override { return true; }
  Tensor score_differentiable(const Tensor& x0, const Tensor& label) override;

 protected:
  /// p [B,K,L], each column a distribution over the K letters -> [B] of the same type. Elementwise or exact in p = 0 and 1, so that values
  /// do not depend on the batch.
  virtual Tensor of_letters(const Tensor& p) const = 0;
  Alphabet alphabet_;

 private:
  std::string name_;
};

/// Throws Error(kBadInput) naming the reward unless the items are sequences.
void need_sequences(const RewardSpec& spec);
/// The same unless they are DNA or RNA.
void need_nucleic(const RewardSpec& spec);
/// Throws Error(kBadInput) naming the item and position unless all codes [B,L] are below `letters`.
void check_codes(const Tensor& codes, int64_t letters, int64_t first, const std::string& name);

/// Model space [B,K,L] -> letter probabilities softmax(u / 0.1) over K with u = (x0 + 1) / 2, since the softmax is that of points of the
/// simplex and letters here are at -1 and +1. An item that is all whole letters, each number -1 or +1 as masked chains end, is what it is, u: the
/// softmax there would be flat, 2000 times less steep than u, and the reward's gradient lost. Source of the softmax: the code of Uehara et al. 2024, "Bridging
/// model-based optimization and generative modeling via conservative fine-tuning of diffusion models".
Tensor letter_probabilities(const Tensor& x0);

/// "FILE[,TEXT]...": the file is the longest part before a comma that is a file, since names may hold commas.
struct FileArgument {
  std::string file;
  std::vector<std::string> rest;
};
/// Throws Error(kUsage) with `usage` if no file is named.
FileArgument split_file_argument(const RewardSpec& spec, const std::string& usage);

/// Calls f(line, number from 1) for each line of a text file, plain or gzipped, without its line end. Throws Error(kBadInput) for a line
/// above 1 MiB.
void each_line(const std::string& path, const std::function<void(const std::string& line, int64_t number)>& f);

}  // namespace plumb::rewards
