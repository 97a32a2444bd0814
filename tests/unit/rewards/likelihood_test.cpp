// The reward `likelihood`: what it reads, and that it is the bound of likelihood.h.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/likelihood.h"
#include "sequences.h"

using namespace plumb;
using namespace plumb::rewards;
using namespace plumb::rewards::test;

namespace {

std::string write_model(const std::string& path, const io::Space& space) {
  const auto network = nn::make_denoiser(nn::denoiser_preset("auto", space, 0), "test");
  nn::initialise(*network, 3);
  io::H5Writer writer(path);
  nn::write_denoiser(writer, *network);
  io::commit_artefact(writer, io::Manifest({{"format", "plumb/1"}, {"kind", "model"}, {"space", space.to_json()},
                                            {"model", {{"denoiser", network->config()}, {"schedule", diffusion::ScheduleOptions{}.to_json()}}}}));
  return path;
}

}  // namespace

TEST_CASE("likelihood: the bound of the model, item by item") {
  const Folder folder;
  const io::Space space = sequence_space(8);
  const std::string model = write_model(folder / "m.h5", space);
  const at::Tensor codes = random_codes(70, 8);
  const auto reward = make_reward("likelihood:" + model + ",steps=5", space, at::kCPU);
  const at::Tensor together = reward->score({codes, {}, 0});
  REQUIRE(together.sizes() == at::IntArrayRef({70}));
  CHECK(at::allclose(reward->score({codes.slice(0, 66, 70), {}, 66}), together.slice(0, 66, 70), 1e-5));
  nn::Model loaded = nn::load_model(io::Manifest::read(model), at::kCPU);
  const at::NoGradGuard no_grad;
  const at::Tensor direct = diffusion::variational_bound(*loaded.denoiser, diffusion::NoiseSchedule(diffusion::ScheduleOptions{}),
                                                         nn::make_codec(space, "test")->encode(codes.slice(0, 0, 64)), {}, diffusion::Decoder::kLetters, 5, 0);
  CHECK(at::equal(direct, together.slice(0, 0, 64)));
  CHECK_FALSE(at::equal(make_reward("likelihood:" + model + ",steps=5,seed=1", space, at::kCPU)->score({codes, {}, 0}), together));
  CHECK_FALSE(reward->differentiable());
}

TEST_CASE("likelihood: what it refuses") {
  const Folder folder;
  const io::Space space = sequence_space(8);
  const std::string model = write_model(folder / "m.h5", space);
  CHECK_THROWS_WITH_AS(make_reward("likelihood", space, at::kCPU), doctest::Contains("likelihood:MODEL.h5"), Error);
  CHECK_THROWS_WITH_AS(make_reward("likelihood:" + model + ",step=5", space, at::kCPU), doctest::Contains("'step=5' is not understood"), Error);
  CHECK_THROWS_WITH_AS(make_reward("likelihood:" + model + ",steps=0", space, at::kCPU), doctest::Contains("out of range"), Error);
  CHECK_THROWS_WITH_AS(make_reward("likelihood:" + model, sequence_space(9), at::kCPU), doctest::Contains("the items are"), Error);
}
