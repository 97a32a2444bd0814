// SPDX-License-Identifier: Apache-2.0
#include "rewards/jpeg_rate.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <ATen/ATen.h>

namespace plumb::rewards {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kBitsPerSize = 2.5;

// ITU T.81 (1992), tables K.1 and K.2, by rows.
constexpr std::array<int, 64> kLuminance = {
    16, 11, 10, 16, 24,  40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,  14, 13, 16, 24, 40,  57,  69,  56,  14, 17, 22, 29, 51,  87,  80, 62,
    18, 22, 37, 56, 68,  109, 103, 77,  24, 35, 55, 64, 81,  104, 113, 92,  49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99};
constexpr std::array<int, 64> kChrominance = {
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99};

/// The table at a quality of 1 to 100 [8,8], by the rule of libjpeg (jpeg_quality_scaling).
Tensor steps(const std::array<int, 64>& table, int quality, const Tensor& like) {
  const int scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
  Tensor out = at::empty({8, 8}, at::kDouble);
  for (size_t i = 0; i < 64; ++i) out.mutable_data_ptr<double>()[i] = std::clamp((table[i] * scale + 50) / 100, 1, 255);
  return out.to(like.options());
}

/// The orthonormal DCT-II as a matrix [8,8], frequencies by rows.
Tensor dct(const Tensor& like) {
  Tensor out = at::empty({8, 8}, at::kDouble);
  for (int k = 0; k < 8; ++k) {
    for (int x = 0; x < 8; ++x) {
      out.mutable_data_ptr<double>()[8 * k + x] = (k == 0 ? std::sqrt(0.125) : 0.5) * std::cos((2 * x + 1) * k * kPi / 16);
    }
  }
  return out.to(like.options());
}

/// [B,H,W] with its last row and column repeated up to multiples of `size`.
Tensor padded(const Tensor& plane, int64_t size) {
  const auto index = [&](int64_t n) {
    return at::arange((n + size - 1) / size * size, plane.options().dtype(at::kLong)).clamp_max(n - 1);
  };
  return plane.index_select(1, index(plane.size(1))).index_select(2, index(plane.size(2)));
}

/// Sum of size categories of one component [B,H,W], levels shifted to around 0.
Tensor sizes(const Tensor& plane, const Tensor& step) {
  const Tensor whole = padded(plane, 8), basis = dct(plane);
  const int64_t b = whole.size(0), rows = whole.size(1) / 8, columns = whole.size(2) / 8;
  const Tensor blocks = whole.reshape({b, rows, 8, columns, 8}).permute({0, 1, 3, 2, 4}).reshape({b, rows * columns, 8, 8});
  const Tensor q = (at::matmul(at::matmul(basis, blocks), basis.t()) / step).flatten(2);  // [B,blocks,64]
  const Tensor dc = q.select(2, 0);
  const Tensor difference = at::cat({dc.narrow(1, 0, 1), dc.diff(1, 1)}, 1);
  const auto size = [](const Tensor& v) { return at::log2(1 + v.abs()); };
  return size(q.narrow(2, 1, 63)).flatten(1).sum(1) + size(difference).sum(1);
}

}  // namespace

Tensor jpeg_rate(const Tensor& pixels, int quality) {
  const Tensor luminance = steps(kLuminance, quality, pixels);
  if (pixels.size(1) == 1) return sizes(pixels.select(1, 0) - 128, luminance) * (kBitsPerSize / 8);
  const Tensor r = pixels.select(1, 0), g = pixels.select(1, 1), b = pixels.select(1, 2);  // JFIF 1.02: BT.601 at full range
  const Tensor y = 0.299 * r + 0.587 * g + 0.114 * b;
  const auto chroma = [&](const Tensor& c, double scale) {
    return sizes(at::avg_pool2d(padded((c - y) * scale, 2).unsqueeze(1), {2, 2}).squeeze(1), steps(kChrominance, quality, pixels));
  };
  return (sizes(y - 128, luminance) + chroma(b, 0.5 / (1 - 0.114)) + chroma(r, 0.5 / (1 - 0.299))) * (kBitsPerSize / 8);
}

}  // namespace plumb::rewards
