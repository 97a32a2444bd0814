// SPDX-License-Identifier: Apache-2.0
#include "helpers.h"

namespace plumb::rewards {
using namespace test;

TEST_CASE("brightness: by hand") {
  at::Tensor image = at::zeros({1, 1, 2, 2}, at::kByte);
  CHECK(score_one("brightness", image) == 0.0);
  image[0][0][0][0] = 255;
  image[0][0][1][1] = 51;
  CHECK(score_one("brightness", image) == doctest::Approx(306.0 / 4 / 255).epsilon(1e-15));
  CHECK(score_one("brightness", at::full({1, 3, 4, 4}, 255, at::kByte)) == 1.0);
}

TEST_CASE("brightness: alone as in a batch, and the two forms agree") {
  const at::Tensor images = random_images(5, 3, 6, 7);
  auto reward = make_reward("brightness", image_space(3, 6, 7), at::kCPU);
  check_alone_equals_batch(*reward, images, {}, 0.0);
  const at::Tensor x0 = images.to(at::kDouble) / 127.5 - 1.0;
  const at::Tensor differentiable = reward->score_differentiable(x0, {});
  CHECK((differentiable - reward->score({images, {}, 0})).abs().max().item<double>() < 1e-14);
}

TEST_CASE("brightness: gradient is 1/(2D) inside [-1,1], 0 outside") {
  auto reward = make_reward("brightness*3", image_space(1, 4, 5), at::kCPU);
  at::Tensor x0 = random_images(2, 1, 4, 5).to(at::kDouble) / 140.0 - 0.9;
  check_jacobian(*reward, x0, {}, 1e-4, 1e-8);
  at::Tensor outside = at::full({1, 1, 4, 5}, 1.5, at::kDouble).set_requires_grad(true);
  reward->score_differentiable(outside, {}).sum().backward();
  CHECK(outside.grad().abs().max().item<double>() == 0.0);
}

}  // namespace plumb::rewards
