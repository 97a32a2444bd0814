// SPDX-License-Identifier: Apache-2.0
#include "rewards/jpeg_rate.h"

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

TEST_CASE("jpeg rewards: the stand-in for the gradient equals its formula") {
  const io::Json file = reference("jpeg_rate_reference.json");
  REQUIRE(file["images"].size() == 16);
  for (const io::Json& row : file["images"]) {
    CAPTURE(row.dump());
    const auto shape = row["shape"].get<std::vector<int64_t>>();
    const at::Tensor pixels = drawn(row["kind"], shape[0], shape[1], shape[2]).to(at::kDouble);
    CHECK(jpeg_rate(pixels, 95).item<double>() == doctest::Approx(row["rate"].get<double>()).epsilon(1e-9));
  }
}

TEST_CASE("jpeg rewards: the stand-in follows the size from flat to noisy pictures") {
  for (const int64_t c : {1, 3}) {
    const at::Tensor noise = random_images(1, c, 32, 32).to(at::kDouble), flat = at::full_like(noise, 120);
    std::vector<double> rates, sizes;
    for (int i = 0; i <= 20; ++i) {
      const at::Tensor pixels = (flat + (i / 20.0) * (noise - flat)).round();
      rates.push_back(jpeg_rate(pixels, 95).item<double>());
      sizes.push_back(1000 * score_one("jpeg-incompressibility", pixels.to(at::kByte)));
    }
    const at::Tensor both = at::stack({at::tensor(rates, at::kDouble), at::tensor(sizes, at::kDouble)});
    CHECK(at::corrcoef(both)[0][1].item<double>() > 0.995);
    CHECK(rates.back() - rates[5] == doctest::Approx(sizes.back() - sizes[5]).epsilon(0.25));
  }
}

TEST_CASE("jpeg rewards: value of the picture as stored, gradient of the stand-in, opposite signs") {
  for (const int64_t c : {1, 3}) {
    const at::Tensor images = random_images(3, c, 20, 12);
    auto larger = make_reward("jpeg-incompressibility", image_space(c, 20, 12), at::kCPU);
    auto smaller = make_reward("jpeg-compressibility", image_space(c, 20, 12), at::kCPU);
    CHECK(larger->differentiable());
    at::Tensor x0 = (images.to(at::kDouble) / 127.5 - 1.0) * 0.9;
    const at::Tensor stored = ((x0 + 1) * 127.5).round().to(at::kByte);
    x0.set_requires_grad(true);
    const at::Tensor value = larger->score_differentiable(x0, {});
    CHECK((value - larger->score({stored, {}, 0})).abs().max().item<double>() < 1e-12);
    value.sum().backward();
    const at::Tensor gradient = x0.grad().clone();
    const at::Tensor direction = random_images(3, c, 20, 12, 9).to(at::kDouble) / 255 - 0.5;
    const double h = 1e-6;
    const auto rate = [&](double size) {
      return jpeg_rate((x0.detach() + size * direction + 1) * 127.5, 95).sum().item<double>() / 1000;
    };
    CHECK((gradient * direction).sum().item<double>() == doctest::Approx((rate(h) - rate(-h)) / (2 * h)).epsilon(1e-4));
    x0.mutable_grad() = at::Tensor();
    smaller->score_differentiable(x0, {}).sum().backward();
    CHECK(at::equal(x0.grad(), -gradient));
  }
}

TEST_CASE("jpeg rewards: alone as in a batch, only images of 1 or 3 channels") {
  auto reward = make_reward("jpeg-compressibility", image_space(3, 16, 16), at::kCPU);
  check_alone_equals_batch(*reward, random_images(7, 3, 16, 16), {}, 0.0);
  CHECK(exit_of([] { make_reward("jpeg-compressibility", image_space(2, 16, 16), at::kCPU); }) == Exit::kBadInput);
}

}  // namespace plumb::rewards
