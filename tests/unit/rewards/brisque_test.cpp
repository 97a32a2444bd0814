// SPDX-License-Identifier: Apache-2.0
#include "rewards/brisque.h"

#include <cmath>

#include "helpers.h"

namespace plumb::rewards {
using namespace test;

namespace {

/// The pictures of tests/numeric/make_brisque_reference.py.
at::Tensor drawn(const std::string& kind, int64_t c, int64_t h, int64_t w) {
  at::Tensor image = at::empty({1, c, h, w}, at::kByte);
  auto pixel = image.accessor<uint8_t, 4>();
  for (int64_t k = 0; k < c; ++k) {
    for (int64_t y = 0; y < h; ++y) {
      for (int64_t x = 0; x < w; ++x) {
        auto noise = static_cast<uint32_t>(x * 374761393 + y * 668265263 + k * 1274126177);
        noise = (noise ^ noise >> 13) * 1274126177U;
        noise ^= noise >> 16;
        const int64_t bowl = (3 * x * x + 2 * y * y + (k + 1) * x * y) / 16;
        int64_t value = noise % 256;  // uniform
        if (kind == "noise") value = noise % 64 + (noise >> 8) % 64 + (noise >> 16) % 64 + (noise >> 24) % 64;
        if (kind == "bowl") value = bowl % 256;
        if (kind == "mix") value = bowl % 200 + noise % 24;
        if (kind == "disc") {
          const int64_t distance = (2 * x - w) * (2 * x - w) + (2 * y - h) * (2 * y - h);
          value = (distance < w * h / 2 ? 200 - 20 * k : 60 + 30 * k) + noise % 5;
        }
        pixel[0][k][y][x] = static_cast<uint8_t>(value);
      }
    }
  }
  return image;
}

std::array<double, kBrisqueFeatures> features_of(const at::Tensor& image) {
  return brisque_features(image.const_data_ptr<uint8_t>(), image.size(1), image.size(2), image.size(3));
}

}  // namespace

TEST_CASE("brisque: features and score equal the package's") {
  const io::Json package = reference("brisque_reference.json");
  REQUIRE(package["pictures"].size() == 8);
  for (const io::Json& row : package["pictures"]) {
    const auto shape = row["shape"].get<std::vector<int64_t>>();
    const at::Tensor image = drawn(row["kind"], shape[0], shape[1], shape[2]);
    CAPTURE(row["kind"].dump() + row["shape"].dump());
    const auto features = features_of(image);
    for (size_t f = 0; f < features.size(); ++f) {
      CAPTURE(f);
      // its root finder stops at 1e-8; 1e-11 is what it reaches here
      const double wanted = row["features"][f];
      CHECK(std::abs(features[f] - wanted) <= 1e-9 * std::abs(wanted));
    }
    CHECK(score_one("brisque", image) == doctest::Approx(-row["score"].get<double>()).epsilon(1e-10));
  }
}

TEST_CASE("brisque: a picture of one shade has a value") {
  // Black: empty distributions, of the least shape. The value is that of the package's SVM for these features.
  const at::Tensor black = at::zeros({1, 3, 64, 64}, at::kByte);
  const auto features = features_of(black);
  for (size_t f = 0; f < features.size(); ++f) {
    const size_t in_scale = f % 18;
    CHECK(features[f] == (in_scale == 0 || in_scale % 4 == 2 ? 0.2 : 0.0));
  }
  const double score = reference("brisque_reference.json")["score_of_black"];
  CHECK(score_one("brisque", black) == doctest::Approx(-score).epsilon(1e-10));
  // Brighter: the border alone differs from what is around it, to one side, and rounding adds nothing to the other.
  for (const int64_t shade : {1, 100, 254, 255}) {
    for (const int64_t channels : {1, 3}) {
      CAPTURE(shade);
      const at::Tensor flat = at::full({1, channels, 64, 64}, shade, at::kByte);
      const auto of_flat = features_of(flat);
      for (const size_t left : {4, 8, 12, 16, 22, 26, 30, 34}) CHECK(of_flat[left] == 0.0);
      CHECK(of_flat[1] > 0.001);
      const double value = score_one("brisque", flat);
      CHECK(value < -100);
      CHECK(value > -125);
    }
  }
}

TEST_CASE("brisque: an evenly sloping picture has contrast at its border only") {
  at::Tensor slope = at::empty({1, 1, 40, 40}, at::kByte);
  auto pixel = slope.accessor<uint8_t, 4>();
  for (int64_t y = 0; y < 40; ++y) {
    for (int64_t x = 0; x < 40; ++x) pixel[0][0][y][x] = static_cast<uint8_t>(20 + 3 * x + 2 * y);
  }
  // Only the 3 rows and columns at each side, and there brighter than the black beyond: no product is negative.
  const auto features = features_of(slope);
  for (const size_t left : {4, 8, 12, 16}) CHECK(features[left] == 0.0);
}

TEST_CASE("brisque: distortion lowers it, grey equals its colours, mirrors agree") {
  const at::Tensor clean = drawn("mix", 3, 64, 64);
  const at::Tensor blurred = at::avg_pool2d(clean.to(at::kDouble), {5, 5}, {1, 1}, {2, 2}, false, false).round().to(at::kByte);
  CHECK(score_one("brisque", blurred) < score_one("brisque", clean) - 10);
  const at::Tensor grey = drawn("mix", 1, 64, 64);
  CHECK(score_one("brisque", grey) == score_one("brisque", grey.expand({1, 3, 64, 64})));
  CHECK(score_one("brisque", clean.flip({2, 3})) == doctest::Approx(score_one("brisque", clean)).epsilon(1e-9));
}

TEST_CASE("brisque: alone as in a batch, with a flat picture in it; no gradient; what it does not take") {
  at::Tensor images = random_images(7, 3, 20, 30);
  images[3].fill_(255);
  auto reward = make_reward("brisque", image_space(3, 20, 30), at::kCPU);
  check_alone_equals_batch(*reward, images, {}, 0.0);
  CHECK(reward->score({images, {}, 0}).isfinite().all().item<bool>());
  CHECK(!reward->differentiable());
  std::string message;
  CHECK(exit_of([] { make_reward("brisque", image_space(1, 13, 64), at::kCPU); }, &message) == Exit::kBadInput);
  CHECK(message.find("14x14") != std::string::npos);
  CHECK(exit_of([] { make_reward("brisque", image_space(2, 64, 64), at::kCPU); }) == Exit::kBadInput);
  CHECK(exit_of([] { make_reward("brisque:x", image_space(1, 64, 64), at::kCPU); }) == Exit::kUsage);
}

TEST_CASE("brisque: describe carries the digest of the weights") {
  const io::Json told = make_reward("brisque", image_space(1, 64, 64), at::kCPU)->describe();
  CAPTURE(told.dump());
  CHECK(told.dump().find("41388a2c7f0f2fbb14a6037901bf03058ce8ed059d6c660f403ee62f7758f159") != std::string::npos);
}

}  // namespace plumb::rewards
