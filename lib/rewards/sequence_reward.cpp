// SPDX-License-Identifier: Apache-2.0
#include "rewards/sequence_reward.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "io/byte_source.h"

namespace plumb::rewards {
namespace {

constexpr double kTemperature = 0.1;       // of the relaxed one-hot
constexpr size_t kLongestLine = 1 << 20;

char upper(char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); }
char other_case(char c) {
  const auto u = static_cast<unsigned char>(c);
  return static_cast<char>(std::isupper(u) ? std::tolower(u) : std::toupper(u));
}

/// The bases of an IUPAC nucleotide code, "" if it is none.
std::string bases_of(char letter) {
  static const std::pair<char, const char*> codes[] = {{'A', "A"},  {'C', "C"},   {'G', "G"},   {'T', "T"},   {'U', "T"},
                                                       {'R', "AG"}, {'Y', "CT"},  {'S', "CG"},  {'W', "AT"},  {'K', "GT"}, {'M', "AC"},
                                                       {'B', "CGT"}, {'D', "AGT"}, {'H', "ACT"}, {'V', "ACG"}, {'N', "ACGT"}};
  for (const auto& [code, bases] : codes) {
    if (code == upper(letter)) return bases;
  }
  return "";
}

}  // namespace

int64_t Alphabet::code(char letter) const {
  std::string tries{letter, other_case(letter)};
  if (upper(letter) == 'U') tries += "Tt";
  if (upper(letter) == 'T') tries += "Uu";
  for (const char c : tries) {
    const size_t at = letters_.find(c);
    if (at != std::string::npos) return static_cast<int64_t>(at);
  }
  return -1;
}

bool Alphabet::nucleic() const {
  for (const char base : {'A', 'C', 'G', 'T'}) {
    if (code(base) < 0) return false;
  }
  return std::all_of(letters_.begin(), letters_.end(), [](char c) { return c == '-' || c == '.' || !bases_of(c).empty(); });
}

std::vector<int64_t> Alphabet::pattern(char letter) const {
  std::string letters(1, letter);
  if (nucleic()) {
    letters = bases_of(letter);
  } else if (code(letter) < 0) {
    const char c = upper(letter);
    letters = c == 'X' ? letters_ : c == 'B' ? "DN" : c == 'Z' ? "EQ" : c == 'J' ? "IL" : "";
  }
  std::vector<int64_t> codes;
  for (const char c : letters) {
    const int64_t found = code(c);
    if (found < 0) return {};
    codes.push_back(found);
  }
  return codes;
}

std::string Alphabet::encode(const std::string& word) const {
  std::string codes;
  for (const char letter : word) {
    const int64_t found = code(letter);
    if (found < 0) return "";
    codes += static_cast<char>(static_cast<uint8_t>(found));
  }
  return codes;
}

std::string Alphabet::decode(const uint8_t* codes, int64_t count) const {
  std::string word;
  for (int64_t i = 0; i < count; ++i) word += codes[i] < letters_.size() ? letters_[codes[i]] : '?';
  return word;
}

SequenceReward::SequenceReward(const RewardSpec& spec) : alphabet_(spec.space.alphabet), name_(spec.name) {}

Tensor SequenceReward::score(const RewardBatch& batch) {
  check_codes(batch.items, alphabet_.size(), batch.first, name_);
  return of_letters(at::one_hot(batch.items.to(at::kLong), alphabet_.size()).transpose(1, 2).to(at::kDouble).contiguous());
}

Tensor SequenceReward::score_differentiable(const Tensor& x0, const Tensor&) { return of_letters(letter_probabilities(x0)); }

void need_sequences(const RewardSpec& spec) {
  if (spec.space.type == "sequence") return;
  throw Error(Exit::kBadInput, "reward '" + spec.name + "'", "needs sequences, the items are " + spec.space.text(), "choose another reward");
}

void need_nucleic(const RewardSpec& spec) {
  need_sequences(spec);
  if (Alphabet(spec.space.alphabet).nucleic()) return;
  throw Error(Exit::kBadInput, "reward '" + spec.name + "'", "needs DNA or RNA, the alphabet is '" + spec.space.alphabet + "'", "choose another reward");
}

void check_codes(const Tensor& codes, int64_t letters, int64_t first, const std::string& name) {
  const Tensor bad = at::nonzero(codes.to(at::kShort) >= letters);
  if (bad.size(0) == 0) return;
  const int64_t row = bad[0][0].item<int64_t>(), column = bad[0][1].item<int64_t>();
  throw Error(Exit::kBadInput, "reward '" + name + "'",
              cat("item ", first + row, " has code ", static_cast<int>(codes[row][column].item<uint8_t>()), " at position ", column,
                  ", the alphabet has ", letters, " letters"), "see plumb-artefact(5)");
}

Tensor letter_probabilities(const Tensor& x0) {
  const Tensor whole = x0.detach().abs().eq(1).flatten(1).all(1).view({-1, 1, 1});  // [B,1,1]
  return at::where(whole, (x0 + 1) / 2, ((x0 + 1) / (2 * kTemperature)).softmax(1));
}

FileArgument split_file_argument(const RewardSpec& spec, const std::string& usage) {
  std::vector<std::string> parts = split(spec.argument, ',');
  if (parts.empty() || parts[0].empty()) throw Error(Exit::kUsage, "reward '" + spec.name + "'", "needs a file", usage);
  std::error_code ignored;
  size_t used = 1;
  for (size_t n = parts.size(); n > 1; --n) {
    if (std::filesystem::exists(join({parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(n)}, ","), ignored)) {
      used = n;
      break;
    }
  }
  const auto end = parts.begin() + static_cast<std::ptrdiff_t>(used);
  return {join({parts.begin(), end}, ","), {end, parts.end()}};
}

void each_line(const std::string& path, const std::function<void(const std::string&, int64_t)>& f) {
  const auto source = io::open_source(path);
  std::vector<char> block(1 << 16);
  std::string line;
  int64_t number = 0;
  const auto finish = [&] {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    f(line, ++number);
    line.clear();
  };
  while (const size_t got = source->read(block.data(), block.size())) {
    for (const char* at = block.data(), *end = at + got; at < end;) {
      const void* found = std::memchr(at, '\n', static_cast<size_t>(end - at));
      const char* stop = found ? static_cast<const char*>(found) : end;
      line.append(at, stop);
      if (line.size() > kLongestLine) throw Error(Exit::kBadInput, path, cat("line ", number + 1, " is longer than 1 MiB"), "is it a text file?");
      if (found) finish();
      at = found ? stop + 1 : end;
    }
  }
  if (!line.empty()) finish();
}

}  // namespace plumb::rewards
