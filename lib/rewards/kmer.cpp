// kmer: how often a word occurs in a sequence, overlapping occurrences included.   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "rewards/sequence_reward.h"

namespace plumb::rewards {
namespace {

/// Sum over the L - k + 1 places of the product over the word's letters of the probability of that letter: the count where the
/// probabilities are 0 and 1, else its mean under independent letters. With `density` divided by the number of places.
class WordCount : public SequenceReward {
 public:
  WordCount(const RewardSpec& spec, std::string word, bool density)
      : SequenceReward(spec), word_(std::move(word)), density_(density), places_(spec.space.shape.at(0) - static_cast<int64_t>(word_.size()) + 1) {
    for (const char letter : word_) {
      codes_.push_back(alphabet_.pattern(letter));
      if (codes_.back().empty()) {
        throw Error(Exit::kUsage, "reward 'kmer:" + word_ + "'", std::string("'") + letter + "' stands for no letter of the alphabet '" +
                    alphabet_.letters() + "'", "see plumb-rewards(7)");
      }
    }
    if (places_ < 1) {
      throw Error(Exit::kBadInput, "reward 'kmer:" + word_ + "'", "the word is longer than the sequences, " + spec.space.text());
    }
  }
  io::Json describe() const override { return {{"name", "kmer"}, {"word", word_}, {"density", density_}}; }

 protected:
  Tensor of_letters(const Tensor& p) const override {
    Tensor here;  // [B,places]
    for (size_t j = 0; j < codes_.size(); ++j) {
      const Tensor at_places = p.narrow(2, static_cast<int64_t>(j), places_);
      Tensor allowed = at_places.select(1, codes_[j][0]);
      for (size_t c = 1; c < codes_[j].size(); ++c) allowed = allowed + at_places.select(1, codes_[j][c]);
      here = here.defined() ? here * allowed : allowed;
    }
    const Tensor count = here.sum(1);
    return density_ ? count / static_cast<double>(places_) : count;
  }

 private:
  std::string word_;
  bool density_;
  int64_t places_;
  std::vector<std::vector<int64_t>> codes_;  // of each letter of the word
};

}  // namespace

std::unique_ptr<Reward> make_kmer(const RewardSpec& spec) {
  need_sequences(spec);
  std::vector<std::string> parts = split(spec.argument, ',');
  if (parts.empty() || parts[0].empty()) throw Error(Exit::kUsage, "reward 'kmer'", "needs a word", "kmer:TATAAA or kmer:TATAWA,density");
  if (parts.size() > 2 || (parts.size() == 2 && parts[1] != "density")) {
    throw Error(Exit::kUsage, "reward 'kmer:" + spec.argument + "'", "after the word there is only 'density'", "kmer:WORD[,density]");
  }
  return std::make_unique<WordCount>(spec, parts[0], parts.size() == 2);
}

}  // namespace plumb::rewards
