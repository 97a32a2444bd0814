// class-logp, class-prob, class-entropy, learned, torchscript.   SPDX-License-Identifier: Apache-2.0
#include "rewards/network_reward.h"

#include <cmath>
#include <map>

#include "diffusion/options.h"
#include "rewards/names.h"
#include "sequences.h"

namespace plumb::rewards {
using namespace test;

namespace {

const io::Space kSpace = image_space(1, 12, 12);

/// Logits of the stored network, computed apart from the rewards.
at::Tensor raw_outputs(const std::string& path, const at::Tensor& images) {
  const io::Manifest manifest = io::Manifest::read(path);
  const auto predictor = nn::read_predictor(io::open_artefact(manifest), manifest.json().at("reward").at("network"));
  const at::NoGradGuard no_grad;
  return predictor->forward(images.to(at::kFloat) / 127.5 - 1.0).to(at::kDouble);
}

at::Tensor scored(const std::string& expression, const at::Tensor& images, const at::Tensor& label = {}) {
  return make_reward(expression, kSpace, at::kCPU)->score({images, label, 10});
}

/// A regressor for image [1,12,12] with a bonus.
std::string write_uncertain(const std::string& path) {
  auto network = nn::make_predictor(small_resnet(1), "test");
  nn::initialise(*network, 3);
  UncertaintyModel model;
  model.settings.type = "bonus";
  model.settings.cap = 10;
  const int64_t features = network->feature_dimension() + 1;
  model.factor = at::ones({features, features}, at::kDouble).tril();
  io::H5Writer writer(path);
  rewards::write_reward(writer, *network, model);
  const io::Json reward{{"type", "regressor"}, {"network", network->config()}, {"target", {{"name", "x"}, {"mean", 1}, {"std", 2}}},
                        {"uncertainty", model.to_json()}};
  io::commit_artefact(writer, io::Manifest({{"format", "plumb/1"}, {"kind", "reward"}, {"space", kSpace.to_json()}, {"reward", reward}}));
  return path;
}

/// A diffusion model of vectors of 4.
std::string write_model(const std::string& path) {
  const io::Space space{"vector", {4}, ""};
  const auto network = nn::make_denoiser(nn::denoiser_preset("auto", space, 0), "test");
  nn::initialise(*network, 3);
  io::H5Writer writer(path);
  nn::write_denoiser(writer, *network);
  io::commit_artefact(writer, io::Manifest({{"format", "plumb/1"}, {"kind", "model"}, {"space", space.to_json()},
                                            {"model", {{"denoiser", network->config()}, {"schedule", diffusion::ScheduleOptions{}.to_json()}}}}));
  return path;
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

}  // namespace

TEST_CASE("class rewards: softmax of the logits, by class, by name and by label") {
  const Folder folder;
  const std::string file = write_classifier(folder / "clf.h5", 2.0);
  const at::Tensor images = random_images(5, 1, 12, 12);
  const at::Tensor log_p = (raw_outputs(file, images) / 2.0).log_softmax(1);
  const at::Tensor label = at::tensor({int64_t{0}, int64_t{1}, int64_t{2}, int64_t{2}, int64_t{0}});
  CHECK(largest_difference(scored("class-logp:" + file + ",1", images), log_p.select(1, 1)) < 1e-5);
  CHECK(largest_difference(scored("class-logp:" + file + ",shoe", images, label), log_p.select(1, 2)) < 1e-5);
  CHECK(largest_difference(scored("class-prob:" + file + ",coat", images), log_p.select(1, 1).exp()) < 1e-5);
  CHECK(largest_difference(scored("class-logp:" + file, images, label), log_p.gather(1, label.unsqueeze(1)).squeeze(1)) < 1e-5);
  const at::Tensor entropy = scored("class-entropy:" + file, images);
  CHECK(largest_difference(entropy, (log_p.exp() * log_p).sum(1)) < 1e-5);
  CHECK(entropy.max().item<double>() < 0);               // sign: minus the entropy
  CHECK(entropy.min().item<double>() >= -std::log(3.0) - 1e-9);
  const at::Tensor total = scored("class-prob:" + file + ",0+class-prob:" + file + ",1+class-prob:" + file + ",2", images);
  CHECK(largest_difference(total, at::ones({5}, at::kDouble)) < 1e-12);
  const at::Tensor either = log_p.select(1, 0).exp() + log_p.select(1, 2).exp();
  CHECK(largest_difference(scored("class-prob:" + file + ",0,shoe", images), either) < 1e-5);
  CHECK(largest_difference(scored("class-logp:" + file + ",shoe,0", images), either.log()) < 1e-5);
  const at::Tensor predicted = log_p.argmax(1), member = (predicted == 0) | (predicted == 2);
  CHECK(at::equal(scored("class-in:" + file + ",0,shoe", images), member.to(at::kDouble)));
  CHECK(at::equal(scored("class-in:" + file + ",coat", images), (predicted == 1).to(at::kDouble)));
  CHECK(at::equal(scored("class-in:" + file, images, label), (predicted == label).to(at::kDouble)));
  const std::string commas = folder / "a,1.h5";
  std::filesystem::copy_file(file, commas);
  CHECK(largest_difference(scored("class-logp:" + commas + ",1", images), log_p.select(1, 1)) < 1e-5);
  CHECK(make_reward("class-logp:" + file + ",2,0", kSpace, at::kCPU)->describe().dump().find(R"("class":["shoe",)") != std::string::npos);
}

TEST_CASE("class rewards: errors") {
  const Folder folder;
  const std::string file = write_classifier(folder / "clf.h5"), regressor = write_regressor(folder / "reg.h5", 0, 1);
  const at::Tensor images = random_images(2, 1, 12, 12);
  std::string message;
  CHECK(exit_of([&] { scored("class-logp:" + file, images); }, &message) == Exit::kBadInput);
  CHECK(message.find("no label") != std::string::npos);
  CHECK(exit_of([&] { scored("class-logp:" + file, images, at::tensor({int64_t{0}, int64_t{3}})); }, &message) == Exit::kBadInput);
  CHECK(message.find("item 11 has label 3") != std::string::npos);
  CHECK(exit_of([&] { scored("class-logp:" + file + ",1,coat", images); }, &message) == Exit::kUsage);
  CHECK(message.find("names class 'coat' twice") != std::string::npos);
  CHECK(exit_of([&] { scored("class-logp:" + file + ",1,,2", images); }, &message) == Exit::kUsage);
  CHECK(exit_of([&] { scored("class-logp:" + file + ",shoo", images); }, &message) == Exit::kUsage);
  CHECK(message.find("'shoe'") != std::string::npos);
  CHECK(exit_of([&] { scored("class-logp:" + file + ",3", images); }) == Exit::kUsage);
  CHECK(exit_of([&] { scored("class-logp:" + regressor + ",1", images); }) == Exit::kBadInput);
  CHECK(exit_of([&] { scored("learned:" + file, images); }, &message) == Exit::kBadInput);
  CHECK(message.find("use class-logp") != std::string::npos);
  CHECK(exit_of([&] { scored("learned", images); }) == Exit::kUsage);
  CHECK(exit_of([&] { scored("class-entropy", images); }) == Exit::kUsage);  // no classifier comes with it for 12x12
  CHECK(exit_of([&] { scored("learned:" + (folder / "none.h5"), images); }) == Exit::kBadInput);
  CHECK(exit_of([&] { make_reward("learned:" + regressor, image_space(1, 28, 28), at::kCPU); }) == Exit::kBadInput);
}

TEST_CASE("class rewards and learned: alone as in a batch of more than one piece") {
  const Folder folder;
  const at::Tensor images = random_images(70, 1, 12, 12), label = at::zeros({70}, at::kLong);
  auto logp = make_reward("class-logp:" + write_classifier(folder / "clf.h5"), kSpace, at::kCPU);
  check_alone_equals_batch(*logp, images, label, 1e-5);
  auto learned = make_reward("learned:" + write_regressor(folder / "reg.h5", 5, 2), kSpace, at::kCPU);
  check_alone_equals_batch(*learned, images, {}, 1e-5);
}

TEST_CASE("learned: output times sd plus mean") {
  const Folder folder;
  const std::string file = write_regressor(folder / "reg.h5", 5, 2);
  const at::Tensor images = random_images(4, 1, 12, 12);
  CHECK(largest_difference(scored("learned:" + file, images), raw_outputs(file, images).squeeze(1) * 2 + 5) < 1e-5);
}

TEST_CASE("learned rewards: Jacobians by central differences, and the two forms agree") {
  const Folder folder;
  const std::string classifier = write_classifier(folder / "clf.h5", 1.5), regressor = write_regressor(folder / "reg.h5", 1, 3);
  const at::Tensor images = random_images(2, 1, 12, 12), label = at::tensor({int64_t{2}, int64_t{0}});
  const at::Tensor x0 = (images.to(at::kDouble) / 127.5 - 1.0) * 0.9;
  for (const std::string& text : {"class-logp:" + classifier, "class-prob:" + classifier + ",1", "class-entropy:" + classifier, "learned:" + regressor}) {
    CAPTURE(text);
    auto reward = make_reward(text, kSpace, at::kCPU);
    check_jacobian(*reward, x0.to(at::kFloat), label, 0.02, 0.02);  // the network is float32
    const at::Tensor direct = reward->score_differentiable(images.to(at::kFloat) / 127.5 - 1.0, label);
    CHECK(largest_difference(direct.detach().to(at::kDouble), reward->score({images, label, 0})) < 1e-5);
  }
}

TEST_CASE("a network that learned from noised items is shown them as they are, beyond the range of clean ones too") {
  const Folder folder;
  const io::Json clean{{"type", "regressor"}, {"target", {{"name", "x"}, {"mean", 1}, {"std", 3}}}};
  io::Json noised = clean;
  noised["noised"] = {{"timesteps", 1000}, {"steps", nullptr}, {"model", ""}};
  const at::Tensor far = at::full({1, 1, 12, 12}, 1.5).requires_grad_(true), label = at::tensor({int64_t{0}});
  for (const bool as_it_is : {false, true}) {
    CAPTURE(as_it_is);
    auto reward = make_reward("learned:" + test::write_reward(folder / (as_it_is ? "n.h5" : "c.h5"), small_resnet(1), as_it_is ? noised : clean), kSpace, at::kCPU);
    const at::Tensor value = reward->score_differentiable(far, label);
    const at::Tensor at_edge = reward->score_differentiable(at::ones({1, 1, 12, 12}), label);
    far.mutable_grad() = at::Tensor();
    value.sum().backward();
    const double slope = far.grad().abs().sum().item<double>();
    CHECK((slope > 0) == as_it_is);
    CHECK((std::abs(value.item<double>() - at_edge.item<double>()) > 1e-6) == as_it_is);
  }
}

TEST_CASE("each reward of the registry: a gradient that is that of central differences and not zero, or none by name") {
  const Folder folder;
  const std::string classifier = write_classifier(folder / "clf.h5", 1.5), regressor = write_regressor(folder / "reg.h5", 1, 3);
  const std::string uncertain = write_uncertain(folder / "u.h5");
  const std::map<std::string, std::string> argument = {{"class-entropy", ":" + classifier},
                                                       {"class-in", ":" + classifier + ",1"},
                                                       {"class-logp", ":" + classifier},
                                                       {"class-prob", ":" + classifier + ",1"},
                                                       {"conservative", ":" + uncertain},
                                                       {"exec", ":cat"},
                                                       {"kmer", ":AC"},
                                                       {"learned", ":" + regressor},
                                                       {"likelihood", ":" + write_model(folder / "m.h5")},
                                                       {"off-support", ":" + write_support(folder / "a.npz")},
                                                       {"pwm", ":" + write_matrices(folder / "m.jaspar") + ",MA0001.1"},
                                                       {"table", ":" + write_table(folder / "t.tsv")},
                                                       {"torchscript", ":" + source_dir() + "/tests/unit/rewards/data/mean_square.pt"},
                                                       {"uncertainty", ":" + uncertain}};
  const std::map<std::string, io::Space> space = {{"brisque", image_space(1, 14, 14)},  // it refuses smaller ones
                                                  {"gc", sequence_space(12)}, {"kmer", sequence_space(12)},
                                                  {"landscape", {"vector", {2}, ""}}, {"likelihood", {"vector", {4}, ""}}, {"off-support", {"vector", {4}, ""}},
                                                  {"pwm", sequence_space(12)}, {"table", sequence_space(2)}};
  const at::Tensor label = at::tensor({int64_t{2}, int64_t{0}});
  const at::Tensor x0 = (random_images(2, 1, 12, 12).to(at::kFloat) / 127.5 - 1.0) * 0.9;
  std::vector<std::string> smooth;
  for (const std::string& name : reward_names()) {
    CAPTURE(name);
    const auto own = argument.find(name);
    const std::string text = name + (own == argument.end() ? "" : own->second);
    const io::Space of = space.contains(name) ? space.at(name) : kSpace;
    auto reward = make_reward(text, of, at::kCPU);
    if (!reward->differentiable()) {
      CHECK(reward->without_gradient() == std::vector<std::string>{text});
      CHECK(exit_of([&] { reward->score_differentiable(x0, label); }) == Exit::kUsage);
      continue;
    }
    CHECK(reward->without_gradient().empty());
    if (of.type == "vector") {
      const at::Tensor points = at::tensor({0.5, -0.7, 1.1, 0.9, -0.4, 0.8, 0.3, -0.2}, at::kDouble).view({-1, of.shape[0]});
      check_jacobian(*reward, points, label, 1e-6, 1e-6);
      continue;
    } else if (of.type == "sequence") {
      check_jacobian(*reward, soft_sequences(2, 4, of.shape[0]), label, 1e-6, 1e-5);
    } else if (name.starts_with("jpeg")) {  // the gradient is that of a stand-in: jpeg_reward_test.cpp
      at::Tensor x = x0.clone().set_requires_grad(true);
      reward->score_differentiable(x, label).sum().backward();
      CHECK(x.grad().abs().max().item<double>() > 0);
      continue;
    } else {
      check_jacobian(*reward, x0, label, 0.02, 0.02);  // the networks are float32
    }
    smooth.push_back(text);
  }
  CHECK(smooth.size() == 11);
  // Sums, products, quotients and signs of them.
  const std::string text = "-" + smooth[1] + " * 2 + brightness * learned:" + regressor + " / (3 - class-prob:" + classifier + ",1)";
  check_jacobian(*make_reward(text, kSpace, at::kCPU), x0, label, 0.02, 0.02);
  auto mixed = make_reward("brightness + jpeg-compressibility * 2 - exec:cat", kSpace, at::kCPU);
  CHECK_FALSE(mixed->differentiable());
  CHECK(mixed->without_gradient() == std::vector<std::string>{"exec:cat"});
}

TEST_CASE("torchscript: images in [0,1]; batches; gradient") {
  const std::string file = source_dir() + "/tests/unit/rewards/data/mean_square.pt";
  const at::Tensor images = at::full({2, 1, 12, 12}, 51, at::kByte);
  CHECK(scored("torchscript:" + file, images)[1].item<double>() == doctest::Approx(0.04).epsilon(1e-6));
  auto reward = make_reward("torchscript:" + file, kSpace, at::kCPU);
  check_alone_equals_batch(*reward, random_images(70, 1, 12, 12), {}, 1e-6);
  at::Tensor x0 = at::full({1, 1, 12, 12}, -0.6).set_requires_grad(true);  // 0.2 in [0,1]
  reward->score_differentiable(x0, {}).sum().backward();
  CHECK(x0.grad().sum().item<double>() == doctest::Approx(0.2).epsilon(1e-5));  // d mean(u^2) = 2u/D du, u = (x0+1)/2
  CHECK(exit_of([&] { scored("torchscript", images); }) == Exit::kUsage);
  CHECK(exit_of([&] { scored("torchscript:" + source_dir() + "/LICENSE", images); }) == Exit::kBadInput);
}

}  // namespace plumb::rewards
