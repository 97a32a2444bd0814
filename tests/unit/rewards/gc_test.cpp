// gc, and what rewards of sequences share.   SPDX-License-Identifier: Apache-2.0
#include "rewards/sequence_reward.h"

#include <cmath>

#include "sequences.h"

namespace plumb::rewards {
using namespace test;

TEST_CASE("gc: by hand and as Biopython") {
  CHECK(score_word("gc", "ACGT") == 0.5);
  CHECK(score_word("gc", "AATA") == 0.0);
  CHECK(score_word("gc", "GCC") == 1.0);
  CHECK(score_word("gc", "UGCU", "UGCA") == 0.5);
  const io::Json c = reference("sequence_reference.json");
  const at::Tensor values = scored("gc", c.at("pwm").at("sequences").get<std::vector<std::string>>());
  for (int64_t i = 0; i < values.size(0); ++i) CHECK(values[i].item<double>() == doctest::Approx(c.at("gc")[static_cast<size_t>(i)].get<double>()).epsilon(1e-12));
}

TEST_CASE("gc: alone as in a batch, the two forms agree, gradient") {
  auto reward = make_reward("gc", sequence_space(12), at::kCPU);
  const at::Tensor codes = random_codes(7, 12);
  check_alone_equals_batch(*reward, codes, {}, 0.0);
  const at::Tensor relaxed = reward->score_differentiable(model_space(codes) * 2, {});
  CHECK((relaxed - reward->score({codes, {}, 0})).abs().max().item<double>() < 1e-7);  // exp(-20) of each other letter where letters are at -2 and +2
  check_jacobian(*reward, soft_sequences(2, 4, 12), {}, 1e-5, 1e-6);
}

TEST_CASE("letter probabilities: simplex_softmax_input, from model space in [-1,1]") {
  const io::Json file = reference("offline-design.json");
  for (const io::Json& c : file.at("cases")) {
    if (c.at("name") != "simplex_softmax_input") continue;
    const auto x = c.at("inputs").at("x").get<std::vector<double>>(), want = c.at("expected").at("p").get<std::vector<double>>();
    const at::Tensor p = letter_probabilities(at::tensor(x, at::kDouble).view({1, 4, 1}) * 2 - 1);
    const at::Tensor finished = letter_probabilities(model_space(codes_of({"G"})));
    CHECK(at::equal(finished, at::tensor({0.0, 0.0, 1.0, 0.0}, at::kDouble).view({1, 4, 1})));
    const at::Tensor nearly = letter_probabilities(model_space(codes_of({"G"})) * (1 - 1e-9));
    CHECK(nearly[0][2][0].item<double>() == doctest::Approx(1 / (1 + 3 * std::exp(-10.0))).epsilon(1e-6));
    // Whole letters have the gradient of shares, items by themselves: 1 / 2 for each of model space, or nearly nothing.
    at::Tensor both = at::cat({model_space(codes_of({"G"})), model_space(codes_of({"G"})) * (1 - 1e-9)}).set_requires_grad(true);
    letter_probabilities(both).select(1, 2).sum().backward();
    CHECK(both.grad()[0][2][0].item<double>() == 0.5);
    CHECK(both.grad()[1][2][0].item<double>() < 1e-3);
    for (int64_t k = 0; k < 4; ++k) CHECK(std::abs(p[0][k][0].item<double>() - want[static_cast<size_t>(k)]) < c.at("atol").get<double>());
    return;
  }
  FAIL("the case is not there");
}

TEST_CASE("alphabets: case, U and T, IUPAC codes, amino acids") {
  const Alphabet dna("ACGT"), rna("acgu"), protein("ACDEFGHIKLMNPQRSTVWY"), both("Aa");
  CHECK(dna.code('g') == 2);
  CHECK(dna.code('U') == 3);
  CHECK(rna.code('T') == 3);
  CHECK(both.code('a') == 1);
  CHECK(dna.code('N') == -1);
  CHECK(dna.nucleic());
  CHECK(rna.nucleic());
  CHECK(Alphabet("ACGTN-").nucleic());
  CHECK_FALSE(protein.nucleic());
  CHECK_FALSE(Alphabet("ACG").nucleic());
  CHECK(dna.pattern('Y') == std::vector<int64_t>{1, 3});
  CHECK(dna.pattern('n') == std::vector<int64_t>{0, 1, 2, 3});
  CHECK(rna.pattern('W') == std::vector<int64_t>{0, 3});
  CHECK(protein.pattern('N') == std::vector<int64_t>{11});
  CHECK(protein.pattern('B') == std::vector<int64_t>{2, 11});
  CHECK(protein.pattern('X').size() == 20);
  CHECK(dna.pattern('E').empty());
  CHECK(dna.encode("acgu") == std::string("\0\1\2\3", 4));
  CHECK(dna.encode("AN").empty());
  CHECK(dna.decode(codes_of({"GATTACA"}).const_data_ptr<uint8_t>(), 7) == "GATTACA");
}

TEST_CASE("rewards of sequences: other items and codes beyond the alphabet are refused") {
  std::string message;
  for (const char* text : {"gc", "kmer:AC", "pwm:x", "table:x"}) {
    CHECK(exit_of([&] { make_reward(text, image_space(1, 4, 4), at::kCPU); }, &message) == Exit::kBadInput);
    CHECK(message.find("needs sequences, the items are image [1,4,4]") != std::string::npos);
  }
  CHECK(exit_of([&] { score_word("gc", "AEF", "ACDEFGT"); }, &message) == Exit::kBadInput);
  CHECK(message.find("needs DNA or RNA") != std::string::npos);
  CHECK(exit_of([&] { score_word("gc:x", "ACG"); }) == Exit::kUsage);
  at::Tensor codes = codes_of({"ACG", "ACG"});
  codes[1][2] = 4;
  CHECK(exit_of([&] { make_reward("gc", sequence_space(3), at::kCPU)->score({codes, {}, 5}); }, &message) == Exit::kBadInput);
  CHECK(message.find("item 6 has code 4 at position 2") != std::string::npos);
}

}  // namespace plumb::rewards
