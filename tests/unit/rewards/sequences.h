// Sequences for the tests of their rewards.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <fstream>
#include <string>
#include <vector>

#include "artefacts.h"

namespace plumb::rewards::test {

inline io::Space sequence_space(int64_t length, const std::string& alphabet = "ACGT") { return {"sequence", {length}, alphabet}; }

/// Words of one length as codes [B,L] uint8.
inline at::Tensor codes_of(const std::vector<std::string>& words, const std::string& alphabet = "ACGT") {
  const auto length = static_cast<int64_t>(words.at(0).size());
  at::Tensor codes = at::empty({static_cast<int64_t>(words.size()), length}, at::kByte);
  uint8_t* code = codes.data_ptr<uint8_t>();
  for (const std::string& word : words) {
    for (const char letter : word) *code++ = static_cast<uint8_t>(alphabet.find(letter));
  }
  return codes;
}

inline at::Tensor random_codes(int64_t n, int64_t length, int64_t letters = 4, uint64_t seed = 9) {
  at::Tensor codes = at::empty({n, length}, at::kByte);
  Philox random(seed, Stream::kSubset);
  for (int64_t i = 0; i < codes.numel(); ++i) codes.data_ptr<uint8_t>()[i] = static_cast<uint8_t>(random.below(static_cast<uint64_t>(letters)));
  return codes;
}

inline at::Tensor scored(const std::string& expression, const std::vector<std::string>& words, const std::string& alphabet = "ACGT") {
  const io::Space space = sequence_space(static_cast<int64_t>(words.at(0).size()), alphabet);
  return make_reward(expression, space, at::kCPU)->score({codes_of(words, alphabet), {}, 10});
}
inline double score_word(const std::string& expression, const std::string& word, const std::string& alphabet = "ACGT") {
  return scored(expression, {word}, alphabet)[0].item<double>();
}

/// Model space [B,K,L] of codes: +1 for the letter, -1 for the others.
inline at::Tensor model_space(const at::Tensor& codes, int64_t letters = 4) {
  return at::one_hot(codes.to(at::kLong), letters).transpose(1, 2).to(at::kDouble) * 2 - 1;
}

/// Model space where letters compete, so that the relaxed one-hot is not saturated: [n,K,L] in [-0.15,0.15].
inline at::Tensor soft_sequences(int64_t n, int64_t letters, int64_t length) {
  return (random_images(n, 1, letters, length).squeeze(1).to(at::kDouble) / 255 - 0.5) * 0.3;
}

inline std::string write_text(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  return path;
}

/// JASPAR's two formats, six columns; MA0002 has two versions.
inline std::string write_matrices(const std::string& path) {
  return write_text(path,
                    ">MA0001.1\tFIRST\nA [ 3 0 25 30 1 6.5 ]\nC [20 1 0 0 2 9 ]\nG [ 5 0 6 2 28 8.5 ]\nT [ 4 31 1 0 1 8 ]\n\n"
                    ">MA0002.1 SECOND\nA [10 0 0]\nC [0 10 0]\nG [0 0 10]\nT [0 0 0]\n"
                    ">MA0002.2 SECOND\nT [0 0 0]\nG [0 0 10]\nC [0 10 0]\nA [20 10 10]\n");
}

/// A table of all two-letter words in the layout of protein binding microarrays: the word, its other strand, and values 0, 1, ... 9.
inline std::string write_table(const std::string& path) {
  std::string text = "2-mer\t2-mer\tE-score\tMedian\n";
  int value = 0;
  for (const char* row : {"AA\tTT", "AC\tGT", "AG\tCT", "AT\tAT", "CA\tTG", "CC\tGG", "CG\tCG", "GA\tTC", "GC\tGC", "TA\tTA"}) {
    text += std::string(row) + "\t" + std::to_string(value) + "\t" + std::to_string(100 - value) + "\n";
    ++value;
  }
  return write_text(path, text);
}

}  // namespace plumb::rewards::test
