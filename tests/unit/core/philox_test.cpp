// The generator against published vectors, and the properties that the rest relies on.
// SPDX-License-Identifier: Apache-2.0
#include "core/philox.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace plumb {

TEST_CASE("philox4x32-10: known answers of Random123 (tests/kat_vectors)") {
  using Words = std::array<uint32_t, 4>;
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

// Numbers from a separate implementation of core/philox.h's layout in Python integers and doubles.
TEST_CASE("philox: the draws of released seeds stay what they were") {
  Philox prior(7, Stream::kPrior, 3, 2), again(7, Stream::kPrior, 3, 2);
  const std::vector<uint32_t> first{prior.next(), prior.next(), prior.next(), prior.next(), prior.next()};
  for (const uint32_t draw : first) CHECK(again.next() == draw);
  CHECK(first == std::vector<uint32_t>{860911017u, 4060632320u, 2773529270u, 2122276706u, 2243404021u});
  float normals[3];
  Philox(0, Stream::kTrainNoise).fill_normal(normals, 3);
  CHECK(normals[0] == doctest::Approx(-1.1764355054446582).epsilon(1e-6));
  CHECK(normals[1] == doctest::Approx(0.7224369711401254).epsilon(1e-6));
  CHECK(normals[2] == doctest::Approx(0.24170318763443469).epsilon(1e-6));
}

TEST_CASE("philox: seed, stream, item and step each change every draw") {
  std::set<std::pair<uint32_t, uint32_t>> starts;
  int made = 0;
  const auto note = [&](Philox random) {
    const uint32_t a = random.next(), b = random.next();
    starts.emplace(a, b);
    ++made;
  };
  for (uint64_t seed : {0ull, 1ull, 2ull, 1ull << 32, ~0ull}) {
    for (Stream stream : {Stream::kPrior, Stream::kSamplerStep, Stream::kLabelNoise}) {
      for (uint64_t item : {0ull, 1ull, 1ull << 32, (1ull << 32) + 1}) {
        for (uint32_t step : {0u, 1u, 999u}) note(Philox(seed, stream, item, step));
      }
    }
  }
  CHECK(starts.size() == static_cast<size_t>(made));
}

TEST_CASE("philox: normal moments, and independence of neighbouring items") {
  constexpr int kCount = 200000;
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0, cross = 0, serial = 0, last = 0;
  Philox a(11, Stream::kPrior, 0), b(11, Stream::kPrior, 1);
  for (int i = 0; i < kCount; ++i) {
    const double x = a.normal();
    m1 += x, m2 += x * x, m3 += x * x * x, m4 += x * x * x * x;
    cross += x * b.normal();
    serial += x * last;
    last = x;
  }
  // Five standard errors: the variances of x, x^2, x^3, x^4, x*y are 1, 2, 15, 96, 1.
  const double se = 5 / std::sqrt(static_cast<double>(kCount));
  CHECK(std::abs(m1 / kCount) < se);
  CHECK(std::abs(m2 / kCount - 1) < se * std::sqrt(2.0));
  CHECK(std::abs(m3 / kCount) < se * std::sqrt(15.0));
  CHECK(std::abs(m4 / kCount - 3) < se * std::sqrt(96.0));
  CHECK(std::abs(cross / kCount) < se);
  CHECK(std::abs(serial / kCount) < se);
}

TEST_CASE("philox: uniform and below cover their ranges evenly") {
  Philox random(3, Stream::kLabel);
  std::vector<int> tens(10), sevens(7);
  for (int i = 0; i < 70000; ++i) {
    const double u = random.uniform();
    REQUIRE((u >= 0 && u < 1));
    ++tens[static_cast<size_t>(u * 10)];
    ++sevens[random.below(7)];
  }
  for (const int n : tens) CHECK(std::abs(n - 7000) < 5 * std::sqrt(7000 * .9));
  for (const int n : sevens) CHECK(std::abs(n - 10000) < 5 * std::sqrt(10000 * 6 / 7.));
  CHECK(random.below(1) == 0);
  for (int i = 0; i < 100; ++i) CHECK(random.below((uint64_t{1} << 63) + 1) <= uint64_t{1} << 63);
}

TEST_CASE("permutation: a permutation, even over places, the same for the same seed") {
  std::vector<std::vector<int>> seen(5, std::vector<int>(5));
  for (uint64_t round = 0; round < 10000; ++round) {
    Philox random(1, Stream::kShuffle, round);
    const std::vector<int64_t> order = permutation(5, random);
    std::vector<int64_t> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    REQUIRE(sorted == std::vector<int64_t>{0, 1, 2, 3, 4});
    for (size_t i = 0; i < 5; ++i) ++seen[i][static_cast<size_t>(order[i])];
  }
  for (const auto& place : seen) {
    for (const int n : place) CHECK(std::abs(n - 2000) < 5 * std::sqrt(2000 * .8));
  }
  Philox a(2, Stream::kShuffle), b(2, Stream::kShuffle), none(2, Stream::kShuffle);
  CHECK(permutation(100, a) == permutation(100, b));
  CHECK(permutation(0, none).empty());
}

}  // namespace plumb
