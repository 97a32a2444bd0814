// What the tests of rewards share.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdlib>
#include <fstream>
#include <string>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>   // at::NoGradGuard; <ATen/ATen.h> has it only since LibTorch 2.12
#include <doctest/doctest.h>

#include "core/error.h"
#include "core/philox.h"
#include "io/manifest.h"
#include "rewards/reward.h"

namespace plumb::rewards::test {

/// Runs f, which must throw plumb::Error, and returns its exit code; the message goes to `message`.
template <typename F>
Exit exit_of(const F& f, std::string* message = nullptr) {
  try {
    f();
  } catch (const Error& error) {
    if (message) *message = error.what();
    return error.exit();
  }
  FAIL("no error was thrown");
  return Exit::kDone;
}

inline std::string source_dir() {
  const char* folder = std::getenv("PLUMB_SOURCE_DIR");
  return folder ? folder : ".";
}

inline io::Json reference(const std::string& name) {
  std::ifstream file(source_dir() + "/tests/numeric/" + name);
  REQUIRE(file.good());
  return io::Json::parse(file);
}

/// Images [n,c,h,w] uint8 of independent uniform values.
inline at::Tensor random_images(int64_t n, int64_t c, int64_t h, int64_t w, uint64_t seed = 5) {
  at::Tensor images = at::empty({n, c, h, w}, at::kByte);
  Philox random(seed, Stream::kSubset);
  uint8_t* pixel = images.data_ptr<uint8_t>();
  for (int64_t i = 0; i < images.numel(); ++i) pixel[i] = static_cast<uint8_t>(random.below(256));
  return images;
}

inline io::Space image_space(int64_t c, int64_t h, int64_t w) { return {"image", {c, h, w}, ""}; }

inline double score_one(const std::string& expression, const at::Tensor& images, const at::Tensor& label = {}) {
  const io::Space space = image_space(images.size(1), images.size(2), images.size(3));
  return make_reward(expression, space, at::kCPU)->score({images, label, 0})[0].item<double>();
}

/// Scores must not depend on how items are batched: each item alone equals the item in the batch.
inline void check_alone_equals_batch(Reward& reward, const at::Tensor& images, const at::Tensor& label, double tolerance) {
  const at::Tensor together = reward.score({images, label, 0});
  REQUIRE((together.sizes() == at::IntArrayRef({images.size(0)})));
  REQUIRE((together.scalar_type() == at::kDouble));
  for (int64_t i = 0; i < images.size(0); ++i) {
    const at::Tensor one = label.defined() ? label.narrow(0, i, 1) : label;
    const double alone = reward.score({images.narrow(0, i, 1), one, i})[0].item<double>();
    CHECK(std::abs(alone - together[i].item<double>()) <= tolerance);
  }
}

/// The gradient of score_differentiable against central differences at twelve coordinates; `relative` to the largest of them.
inline void check_jacobian(Reward& reward, const at::Tensor& x0, const at::Tensor& label, double step, double relative) {
  REQUIRE(reward.differentiable());
  at::Tensor x = x0.clone().set_requires_grad(true);
  reward.score_differentiable(x, label).sum().backward();
  REQUIRE(x.grad().defined());
  const at::NoGradGuard no_grad;
  std::vector<double> analytic, numeric;
  double largest = 0;
  for (int64_t k = 0; k < 12; ++k) {
    const int64_t at = (k * 7919) % x0.numel();
    at::Tensor up = x0.clone(), down = x0.clone();
    up.view(-1)[at] += step;
    down.view(-1)[at] -= step;
    const at::Tensor rise = reward.score_differentiable(up, label).to(at::kDouble) - reward.score_differentiable(down, label).to(at::kDouble);
    numeric.push_back(rise.sum().item<double>() / (2 * step));
    analytic.push_back(x.grad().view(-1)[at].item<double>());
    largest = std::max(largest, std::abs(analytic.back()));
  }
  CHECK(largest > 1e-4);  // else the comparison says nothing
  for (size_t k = 0; k < analytic.size(); ++k) CHECK(std::abs(analytic[k] - numeric[k]) <= relative * largest);
}

}  // namespace plumb::rewards::test
