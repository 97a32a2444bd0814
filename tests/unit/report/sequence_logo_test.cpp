// SPDX-License-Identifier: Apache-2.0
#include "report/sequence_logo.h"

#include <cmath>

#include <doctest/doctest.h>

#include "core/error.h"
#include "xml.h"

using namespace plumb;
using namespace plumb::report;

namespace {

const std::string kProtein = "ACDEFGHIKLMNPQRSTVWY";

/// Writes codes [n,length] and counts them.
SequenceCounts counts_of(const std::vector<uint8_t>& codes, int64_t length, const std::string& alphabet) {
  const test::Folder folder("logo");
  {
    io::H5Writer writer(folder / "s.h5");
    writer.write("sequences", io::Type::kU8, {static_cast<int64_t>(codes.size()) / length, length}, codes.data());
    writer.commit();
  }
  return count_sequences(io::H5Reader(folder / "s.h5"), {"sequence", {length}, alphabet}, "set <1>");
}

}  // namespace

TEST_SUITE("sequence logo") {
  TEST_CASE("letters, words and bits by hand") {
    const SequenceCounts c = counts_of({0, 0, 0, 1, 0, 2, 0, 3}, 2, "ACGT");  // AA AC AG AT
    CHECK(c.n == 4);
    CHECK(c.letters == std::vector<int64_t>{4, 0, 0, 0, 1, 1, 1, 1});
    CHECK(c.k == 2);
    CHECK(c.words == std::vector<int64_t>{1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    const std::vector<double> bits = information(c);
    CHECK(bits[0] == doctest::Approx(2 - 3 / (2 * std::log(2.0) * 4)).epsilon(1e-12));
    CHECK(bits[1] == 0);  // 2 bits of entropy, and the correction
    const SequenceCounts many = counts_of({0, 0, 0, 0, 1, 0, 1, 1}, 1, "ACGT");
    CHECK(information(many)[0] == doctest::Approx(2 - (-.625 * std::log2(.625) - .375 * std::log2(.375)) - 3 / (16 * std::log(2.0))).epsilon(1e-12));
  }

  TEST_CASE("words run over the whole sequence, three letters at a time") {
    const SequenceCounts c = counts_of({0, 1, 2, 3, 3, 3, 3, 3}, 8, "ACGT");  // ACGTTTTT
    CHECK(c.k == 3);
    CHECK(c.words[0 * 16 + 1 * 4 + 2] == 1);
    CHECK(c.words[63] == 3);
    int64_t all = 0;
    for (const int64_t count : c.words) all += count;
    CHECK(all == 6);
  }

  TEST_CASE("more items than are read at once") {
    std::vector<uint8_t> codes(3 * 5000, 1);
    codes[0] = 0;
    codes[3 * 4999 + 2] = 3;
    const SequenceCounts c = counts_of(codes, 3, "ACGT");
    CHECK(c.letters == std::vector<int64_t>{1, 4999, 0, 0, 0, 5000, 0, 0, 0, 4999, 0, 1});
  }

  TEST_CASE("a letter is as high as its share of the bits, the commonest on top") {
    const std::string svg = sequence_logo(counts_of({0, 0, 0, 1, 0, 2, 0, 3}, 2, "ACGT"), true);
    CHECK(test::xml_problem(svg) == "");
    // 2 - 3 / (8 ln 2) = 1.459 of 2 bits of 96 px: 70.03, down to 116; the second position says nothing.
    CHECK(svg.find("transform=\"matrix(0.39 0 0 0.7003 44.5 46)\"") != std::string::npos);
    CHECK(test::count_of(svg, "matrix(") == 1);
    CHECK(svg.find("set &lt;1&gt;") != std::string::npos);
    const std::string two = sequence_logo(counts_of({0, 0, 0, 1, 0, 0, 0, 1}, 1, "ACGT"), true);
    const size_t first = two.find("class=\"c0\""), second = two.find("class=\"c2\"");  // C, then A, from below
    CHECK(first < second);
    CHECK(second != std::string::npos);
  }

  TEST_CASE("proteins, long sequences, letters of no alphabet") {
    std::vector<uint8_t> codes;
    for (int64_t i = 0; i < 2 * 320; ++i) codes.push_back(static_cast<uint8_t>(i % 20));
    const SequenceCounts c = counts_of(codes, 320, kProtein);
    CHECK(c.k == 3);
    CHECK(c.words.size() == 8000);
    const std::string svg = sequence_logo(c, true);
    CHECK(test::xml_problem(svg) == "");
    CHECK(test::count_of(svg, ">bits<") == 1);
    CHECK(test::count_of(svg, ">300<") == 1);
    CHECK(test::count_of(svg, ">310<") == 0);
    CHECK(logo_caption(c).find("The first 300 of 320 positions.") != std::string::npos);
    CHECK(counts_of({0, 1, 2, 3}, 4, std::string("<&\"'")).n == 1);
    CHECK(test::xml_problem(sequence_logo(counts_of(std::vector<uint8_t>(200, 1), 4, "<&"), true)) == "");
    std::string wide;  // 128 letters: 128^3 words would be above a million
    for (int i = 0; i < 128; ++i) wide += static_cast<char>(i + 1);
    CHECK(counts_of({5, 7, 9}, 3, wide).k == 2);
  }

  TEST_CASE("tables of words: sets of one alphabet side by side") {
    const SequenceCounts a = counts_of({0, 1, 2, 3, 3}, 5, "ACGT"), b = counts_of({3, 3, 3, 3}, 4, "ACGT"), p = counts_of({0, 1, 2}, 3, kProtein);
    const std::vector<Table> tables = word_tables({a, b, p});
    REQUIRE(tables.size() == 4);
    CHECK(tables[0].use == Table::Use::kPage);
    CHECK(tables[0].id == tables[1].id);
    CHECK(tables[2].id == "words-2");
    REQUIRE(tables[1].rows.size() == 4);
    CHECK(tables[1].rows[0][0].raw == "TTT");   // all of b
    CHECK(tables[1].rows[0][1].raw == "0");
    CHECK(tables[1].rows[0][2].raw == "100");
    CHECK(tables[1].rows[1][0].raw == "ACG");
    CHECK(tables[3].rows[0][0].raw == "ACD");
    CHECK(word_tables({}).empty());
  }

  TEST_CASE("codes beyond the alphabet, and files that do not fit") {
    CHECK_THROWS_AS(counts_of({0, 4}, 2, "ACGT"), Error);
    const test::Folder folder("logo-bad");
    const uint8_t codes[] = {0, 1, 2};
    io::H5Writer writer(folder / "s.h5");
    writer.write("sequences", io::Type::kU8, {1, 3}, codes);
    writer.commit();
    CHECK_THROWS_AS(count_sequences(io::H5Reader(folder / "s.h5"), {"sequence", {2}, "ACGT"}, ""), Error);
  }
}
