// Features made by a formula, the same as in tests/numeric/make_metrics_reference.py.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdlib>
#include <fstream>
#include <string>

#include <ATen/ATen.h>

#include "io/manifest.h"

namespace plumb::metrics::test {

using at::Tensor;

inline uint64_t splitmix64(uint64_t x) {  // Steele et al. 2014
  uint64_t z = x + 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

/// [n,d] float64 in [0,1): element (i,j) from the counter seed * 2^40 + i * d + j.
inline Tensor uniform(uint64_t seed, int64_t n, int64_t d) {
  Tensor out = at::empty({n, d}, at::kDouble);
  double* p = out.data_ptr<double>();
  for (int64_t i = 0; i < n * d; ++i) {
    p[i] = static_cast<double>(splitmix64((seed << 40) + static_cast<uint64_t>(i)) >> 40) / 16777216.0;
  }
  return out;
}

/// [n,d] float32: columns of unequal scale, neighbours correlated, one common factor.
inline Tensor features(uint64_t seed, int64_t n, int64_t d, double shift = 0) {
  const Tensor own = uniform(seed, n, d), common = uniform(seed + 1, n, 1);
  const Tensor scale = 0.25 + at::arange(d, at::kDouble).remainder(7) * 0.125;
  return (scale * (own + 0.5 * own.roll(1, 1) - 0.75) + 0.25 * common + shift).to(at::kFloat);
}

/// A random rotation [d,d] float64.
inline Tensor rotation(uint64_t seed, int64_t d) { return std::get<0>(at::linalg_qr(uniform(seed, d, d) - 0.5)); }

inline const io::Json& reference() {
  static const io::Json json = [] {
    const char* source = std::getenv("PLUMB_SOURCE_DIR");
    std::ifstream file(std::string(source ? source : ".") + "/tests/numeric/metrics_reference.json");
    return io::Json::parse(file);
  }();
  return json;
}

inline double relative(double value, double expected) { return std::abs(value - expected) / std::abs(expected); }

}  // namespace plumb::metrics::test
