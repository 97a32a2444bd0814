// SPDX-License-Identifier: Apache-2.0
#include "sequences.h"

namespace plumb::rewards {
using namespace test;

TEST_CASE("kmer: counts by hand, overlaps, IUPAC letters, density") {
  CHECK(score_word("kmer:AA", "AAAAC") == 3.0);
  CHECK(score_word("kmer:AC", "AAAAC") == 1.0);
  CHECK(score_word("kmer:CA", "AAAAC") == 0.0);
  CHECK(score_word("kmer:WS", "AGTCAA") == 2.0);   // AG, TC
  CHECK(score_word("kmer:N", "AGTCAA") == 6.0);
  CHECK(score_word("kmer:aa,density", "AAAAC") == 0.75);
  CHECK(score_word("kmer:TATA", "UAUAUA", "ACGU") == 2.0);
  CHECK(score_word("kmer:XD", "ADDCD", "ACDE") == 3.0);
  CHECK(score_word("kmer:ACGTA", "ACGTA") == 1.0);  // the whole item
}

TEST_CASE("kmer: alone as in a batch, the two forms agree, the mean under independent letters, gradient") {
  auto reward = make_reward("kmer:RNC", sequence_space(15), at::kCPU);
  const at::Tensor codes = random_codes(40, 15);
  check_alone_equals_batch(*reward, codes, {}, 0.0);
  CHECK((reward->score_differentiable(model_space(codes) * 2, {}) - reward->score({codes, {}, 0})).abs().max().item<double>() < 1e-6);
  const at::Tensor level = reward->score_differentiable(at::zeros({1, 4, 15}, at::kDouble), {});
  CHECK(level[0].item<double>() == doctest::Approx(13 * 0.5 * 1 * 0.25).epsilon(1e-12));
  check_jacobian(*reward, soft_sequences(2, 4, 15), {}, 1e-5, 1e-6);
}

TEST_CASE("kmer: errors") {
  std::string message;
  CHECK(exit_of([&] { score_word("kmer", "ACGT"); }) == Exit::kUsage);
  CHECK(exit_of([&] { score_word("kmer:AC,share", "ACGT"); }) == Exit::kUsage);
  CHECK(exit_of([&] { score_word("kmer:AE", "ACGT"); }, &message) == Exit::kUsage);
  CHECK(message.find("'E' stands for no letter of the alphabet 'ACGT'") != std::string::npos);
  CHECK(exit_of([&] { score_word("kmer:ACGTA", "ACGT"); }, &message) == Exit::kBadInput);
  CHECK(message.find("longer than the sequences") != std::string::npos);
}

}  // namespace plumb::rewards
