// SPDX-License-Identifier: Apache-2.0
#include "helpers.h"

namespace plumb::rewards {
using namespace test;

namespace {

/// The pictures of tests/numeric/jpeg_sizes.json: integer formulas, so that both sides draw the same bytes.
at::Tensor drawn(const std::string& kind, int64_t c, int64_t h, int64_t w) {
  at::Tensor image = at::empty({1, c, h, w}, at::kByte);
  auto pixel = image.accessor<uint8_t, 4>();
  for (int64_t k = 0; k < c; ++k) {
    for (int64_t y = 0; y < h; ++y) {
      for (int64_t x = 0; x < w; ++x) {
        int64_t value = 100 + 50 * k;  // flat
        if (kind == "ramp") value = (x * 7 + y * 3 + k * 40) % 256;
        if (kind == "hash") value = (x * 73 + y * 151 + k * 97 + x * y * 31) % 256;
        if (kind == "disc") {
          const int64_t distance = (2 * x - w) * (2 * x - w) + (2 * y - h) * (2 * y - h);
          value = distance < w * h / 2 ? 220 - 30 * k : 10 + 20 * k;
        }
        pixel[0][k][y][x] = static_cast<uint8_t>(value);
      }
    }
  }
  return image;
}

}  // namespace

TEST_CASE("jpeg rewards: bytes equal Pillow's") {
  const io::Json pillow = reference("jpeg_sizes.json");
  REQUIRE(pillow["images"].size() == 16);
  for (const io::Json& row : pillow["images"]) {
    CAPTURE(row.dump());
    const auto shape = row["shape"].get<std::vector<int64_t>>();
    const at::Tensor image = drawn(row["kind"], shape[0], shape[1], shape[2]);
    const double kb = row["bytes"].get<double>() / 1000;
    CHECK(score_one("jpeg-incompressibility", image) == kb);
    CHECK(score_one("jpeg-compressibility", image) == -kb);
  }
}

TEST_CASE("jpeg rewards: a flat picture compresses better than noise") {
  const at::Tensor flat = drawn("flat", 1, 28, 28), noise = random_images(1, 1, 28, 28);
  CHECK(score_one("jpeg-compressibility", flat) > score_one("jpeg-compressibility", noise));
  CHECK(score_one("jpeg-incompressibility", flat) < score_one("jpeg-incompressibility", noise));
}

TEST_CASE("jpeg rewards: alone as in a batch, no gradient, only images of 1 or 3 channels") {
  auto reward = make_reward("jpeg-compressibility", image_space(3, 16, 16), at::kCPU);
  check_alone_equals_batch(*reward, random_images(7, 3, 16, 16), {}, 0.0);
  CHECK(!reward->differentiable());
  std::string message;
  CHECK(exit_of([&] { reward->score_differentiable(at::zeros({1, 3, 16, 16}), {}); }, &message) == Exit::kUsage);
  CHECK(message.find("jpeg-compressibility") != std::string::npos);
  CHECK(exit_of([] { make_reward("jpeg-compressibility", image_space(2, 16, 16), at::kCPU); }) == Exit::kBadInput);
}

}  // namespace plumb::rewards
