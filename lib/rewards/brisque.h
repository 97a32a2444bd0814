// The features that BRISQUE judges a picture by.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>

namespace plumb::rewards {

constexpr int kBrisqueFeatures = 36;
/// At half of this, one 7x7 window of the local statistics still fits into the picture.
constexpr int64_t kBrisqueSmallestSide = 14;

/// Natural-scene statistics of a picture at full and at half size, 18 numbers each: shape and variance of its mean-subtracted,
/// contrast-normalised (MSCN) values, then shape, mean, left and right variance of their products with the neighbour to the
/// right, below, below right and below left.
/// Source: Mittal, Moorthy, Bovik, "No-Reference Image Quality Assessment in the Spatial Domain", IEEE TIP 21(12), 2012, section
/// III; where it leaves a choice (brightness, border, halving, estimators), PyPI brisque 0.2.0. plumb-rewards(7) says where this
/// differs from that package.
/// pixels: planar [channels,height,width], channels 1 or 3, sides >= kBrisqueSmallestSide. Every result is finite.
std::array<double, kBrisqueFeatures> brisque_features(const uint8_t* pixels, int64_t channels, int64_t height, int64_t width);

}  // namespace plumb::rewards
