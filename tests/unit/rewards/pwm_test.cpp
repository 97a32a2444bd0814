// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "core/text.h"
#include "sequences.h"

namespace plumb::rewards {
using namespace test;

namespace {

/// log2 odds of n of 10 counts with pseudocount 0.8 and a background of 1/4.
double odds(double n, double total = 10) { return std::log2((n + 0.2) / (total + 0.8) / 0.25); }

}  // namespace

TEST_CASE("pwm: as Biopython, best over positions and both strands") {
  const Folder folder;
  const std::string file = write_matrices(folder / "m.jaspar");
  const io::Json r = reference("sequence_reference.json").at("pwm");
  for (const io::Json& c : r.at("cases")) {
    const at::Tensor values = scored(cat("pwm:", file, ",MA0001.1,pseudocount=", c.at("pseudocount").get<double>(), ",gc=", c.at("gc").get<double>()),
                                     r.at("sequences").get<std::vector<std::string>>());
    for (int64_t i = 0; i < values.size(0); ++i) {
      const double want = c.at("values")[static_cast<size_t>(i)].get<double>();
      CHECK(std::abs(values[i].item<double>() - want) < 2e-6);  // Biopython searches in float32
    }
  }
}

TEST_CASE("pwm: by hand; both strands; the ends") {
  const Folder folder;
  const std::string pwm = "pwm:" + write_matrices(folder / "m.jaspar") + ",MA0002.1";
  CHECK(score_word(pwm, "TTACGTT") == doctest::Approx(3 * odds(10)).epsilon(1e-12));
  CHECK(score_word(pwm, "TTCGTTT") == doctest::Approx(3 * odds(10)).epsilon(1e-12));  // ACG read on the other strand
  CHECK(score_word(pwm, "CGT") == doctest::Approx(3 * odds(10)).epsilon(1e-12));
  CHECK(score_word(pwm, "TTT") == doctest::Approx(odds(10) + 2 * odds(0)).epsilon(1e-12));  // other strand: AAA
  CHECK(score_word(pwm, "CGAAAA") < 2 * odds(10));
  CHECK(score_word(pwm + ",overlap=2", "CGAAAA") == doctest::Approx(2 * odds(10)).epsilon(1e-12));  // A lies before the start
  CHECK(score_word(pwm + ",overlap=2", "CG") == doctest::Approx(2 * odds(10)).epsilon(1e-12));      // shorter than the matrix
  CHECK(score_word(pwm, "NNACGNN", "ACGTN") == doctest::Approx(3 * odds(10)).epsilon(1e-12));
  CHECK(score_word(pwm, "NNNNNNN", "ACGTN") == 0.0);  // an unknown letter is as the background
  CHECK(score_word(pwm, "UUACGUU", "UGCA") == doctest::Approx(3 * odds(10)).epsilon(1e-12));
}

TEST_CASE("pwm: which matrix, and both formats") {
  const Folder folder;
  const std::string file = write_matrices(folder / "a,b.jaspar"), pwm = "pwm:" + file;
  CHECK(score_word(pwm + ",MA0002.2", "ACG") == doctest::Approx(odds(20, 20) + std::log2(10.2 / 20.8 / 0.25) * 2).epsilon(1e-12));
  CHECK(score_word(pwm + ",FIRST", "CTAAGC") == score_word(pwm + ",MA0001", "CTAAGC"));
  const std::string bare = write_text(folder / "m.pfm", "10 0 0\n0 10 0\n0 0 10\n0 0 0\n");
  CHECK(score_word("pwm:" + bare, "ACG") == score_word(pwm + ",MA0002.1", "ACG"));
  std::string message;
  CHECK(exit_of([&] { score_word(pwm, "ACG"); }, &message) == Exit::kUsage);
  CHECK(message.find("holds 3 matrices") != std::string::npos);
  CHECK(exit_of([&] { score_word(pwm + ",SECOND", "ACG"); }, &message) == Exit::kUsage);
  CHECK(message.find("fits several") != std::string::npos);
  CHECK(exit_of([&] { score_word(pwm + ",MA0002.3", "ACG"); }, &message) == Exit::kUsage);
  CHECK(message.find("did you mean 'MA0002.") != std::string::npos);
  CHECK(make_reward(pwm + ",MA0001.1", sequence_space(9), at::kCPU)->describe().dump().find(R"("id":"MA0001.1","matrix":"FIRST","width":6)") != std::string::npos);
}

TEST_CASE("pwm: alone as in a batch, the two forms agree, gradient, ties") {
  const Folder folder;
  const std::string file = write_matrices(folder / "m.jaspar");
  auto reward = make_reward("pwm:" + file + ",MA0001.1,overlap=4", sequence_space(17), at::kCPU);
  const at::Tensor codes = random_codes(30, 17);
  check_alone_equals_batch(*reward, codes, {}, 0.0);
  CHECK((reward->score_differentiable(model_space(codes) * 2, {}) - reward->score({codes, {}, 0})).abs().max().item<double>() < 1e-6);
  check_jacobian(*reward, soft_sequences(2, 4, 17), {}, 1e-6, 1e-5);
  // A level sequence: all sites of a strand tie, and each gets its share of the gradient.
  auto whole = make_reward("pwm:" + file + ",MA0001.1", sequence_space(17), at::kCPU);
  at::Tensor x0 = at::zeros({1, 4, 17}, at::kDouble).set_requires_grad(true);
  whole->score_differentiable(x0, {}).sum().backward();
  CHECK((x0.grad().abs().sum(1) > 0).sum().item<int64_t>() == 17);
}

TEST_CASE("pwm: files and arguments that are wrong") {
  const Folder folder;
  std::string message;
  const auto says = [&](const std::string& text, const char* part) {
    const std::string file = write_text(folder / "bad.pfm", text);
    CHECK(exit_of([&] { score_word("pwm:" + file, "ACGT"); }, &message) == Exit::kBadInput);
    CAPTURE(message);
    CHECK(message.find(part) != std::string::npos);
  };
  says("", "is empty");
  says("\n", "holds no matrix");
  says("1 2\n3 4\n5 6\n", "3 lines of counts");
  says("1 2\n3 4\n5 6\n7 8\n9 1\n", "fifth line");
  says("1 2\n3 4 5\n5 6\n7 8\n", "lines of 2 and 3 columns");
  says("1 2\n3 x\n5 6\n7 8\n", "'x' is no count");
  says("1 2\n3 -4\n5 6\n7 8\n", "'-4' is no count");
  says("A [1 2]\nA [3 4]\nC [1 1]\nG [1 1]\n", "twice");
  says("E [1 2]\nA [3 4]\nC [1 1]\nG [1 1]\n", "is of 'E'");
  says("0.25 0.25\n0.25 0.25\n0.25 0.25\n0.25 0.25\n", "probabilities, not counts");
  const std::string file = write_matrices(folder / "m.jaspar"), pwm = "pwm:" + file + ",MA0002.1";
  CHECK(exit_of([&] { score_word(pwm, "AC"); }, &message) == Exit::kBadInput);
  CHECK(message.find("needs 3 letters") != std::string::npos);
  for (const char* wrong : {",overlap=0", ",overlap=4", ",gc=1", ",gc=x", ",pseudocount=-1", ",pseudocount=0", ",MA0001.1", ",strand=1"}) {
    CAPTURE(wrong);
    CHECK(exit_of([&] { score_word(pwm + wrong, "ACGT"); }) == Exit::kUsage);
  }
  CHECK(exit_of([&] { score_word("pwm", "ACGT"); }) == Exit::kUsage);
  CHECK(exit_of([&] { score_word("pwm:" + (folder / "none"), "ACGT"); }) == Exit::kBadInput);
}

}  // namespace plumb::rewards
