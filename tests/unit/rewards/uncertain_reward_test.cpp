// uncertainty: and conservative: from artefacts of all three types: values, settings, gradients, batches.   SPDX-License-Identifier: Apache-2.0
#include "rewards/uncertain_reward.h"

#include <cmath>

#include "fitted.h"
#include "rewards/network_reward.h"

namespace plumb::rewards {
using namespace test;

namespace {

at::Tensor scores(const std::string& expression, const at::Tensor& items, const io::Space& space = plane()) {
  return make_reward(expression, space, at::kCPU)->score({items, {}, 0});
}

/// The form with a file's name for each %.
std::string with_file(const std::string& form, const std::string& file) {
  std::string text;
  for (const char c : form) text += c == '%' ? file : std::string(1, c);
  return text;
}

const at::Tensor kItems = normal_values(70, 2, 9).to(at::kFloat) * 2;

}  // namespace

TEST_CASE("uncertainty, conservative: learned less conservative is g, the artefact says what the fit said") {
  for (const std::string type : {"bonus", "gp", "bootstrap"}) {
    CAPTURE(type);
    RewardTrainingOptions options = quick_fit(type);
    options.uncertainty.scale = 1.5;
    options.uncertainty.prior_scale = 1;
    Fit run(Points(120), options), twin(Points(120), options);
    const std::string file = run.write(plane());
    const FittedReward fitted = twin.finish();
    const Estimate estimate = estimate_at(fitted, kItems);
    const at::Tensor rhat = scores("learned:" + file, kItems), g = scores("uncertainty:" + file, kItems), safe = scores("conservative:" + file, kItems);
    CHECK(g.min().item<double>() > 0);
    CHECK(g.std().item<double>() > 1e-3);
    CHECK(largest_difference(rhat, estimate.mean) < 1e-5);
    CHECK(largest_difference(g, estimate.uncertainty) < 1e-5);
    CHECK(largest_difference(rhat - g, safe) < 1e-5);
    CHECK(largest_difference(scores("conservative:" + file + ",cap=0.01", kItems), rhat - g.clamp_max(0.01)) < 1e-5);
    const std::string factor = type == "bootstrap" ? ",kappa=" : ",scale=";
    const double once = type == "bootstrap" ? 1 : 1.5;
    CHECK(largest_difference(scores("uncertainty:" + file + factor + "3", kItems), g * (3 / once)) < 1e-5);
    CHECK(largest_difference(scores("conservative:" + file + factor + "0", kItems), rhat) < 1e-5);
    CHECK(make_reward("conservative:" + file, plane(), at::kCPU)->is_conservative());
    CHECK(!make_reward("uncertainty:" + file, plane(), at::kCPU)->is_conservative());
    for (const char* form : {"0.5 * conservative:%", "conservative:% + learned:%", "conservative:% - 2 * uncertainty:%", "1 - (-1) * conservative:%"}) {
      CHECK(make_reward(with_file(form, file), plane(), at::kCPU)->is_conservative());
    }
    for (const char* form : {"-1 * conservative:%", "learned:% - conservative:%", "learned:% + 0 * conservative:%", "learned:% / conservative:%",
                             "learned:% * conservative:%"}) {
      CHECK(!make_reward(with_file(form, file), plane(), at::kCPU)->is_conservative());
    }
    CHECK(!make_reward("learned:" + file, plane(), at::kCPU)->is_conservative());
  }
}

TEST_CASE("uncertainty, conservative: penalties of an ensemble are settings") {
  Fit run(Points(90), quick_fit("bootstrap"));
  const std::string file = run.write(plane());
  const RewardNetwork network = load_reward_network(io::Manifest::read(file), at::kCPU);
  const at::Tensor lowest = scores("conservative:" + file + ",penalty=min", kItems), soft = scores("conservative:" + file + ",penalty=softmin,tau=0.05", kItems);
  CHECK((lowest <= soft + 1e-6).all().item<bool>());
  CHECK((soft <= scores("learned:" + file, kItems) + 1e-6).all().item<bool>());
  CHECK(largest_difference(lowest, scores("conservative:" + file + ",penalty=softmin,tau=1e-6", kItems)) < 1e-4);
}

TEST_CASE("uncertainty, conservative: gradients in the plane, and items alone or together") {
  for (const std::string type : {"bonus", "gp", "bootstrap"}) {
    CAPTURE(type);
    Fit run(Points(120).items, Points(120).target, plane(), {{"type", "mlp"}, {"config", {{"elements", 2}, {"hidden", {16, 8}}}}}, quick_fit(type));
    const std::string file = run.write(plane());
    for (const std::string name : {"uncertainty:", "conservative:"}) {
      const auto reward = make_reward(name + file, plane(), at::kCPU);
      check_jacobian(*reward, kItems.narrow(0, 0, 8) * 0.5 + 1, {}, 1e-2, 0.05);   // float32 network
      check_alone_equals_batch(*reward, kItems, {}, 1e-5);
      CHECK((reward->score_differentiable(kItems, {}) - reward->score({kItems, {}, 0})).abs().max().item<double>() < 1e-5);
    }
  }
}

TEST_CASE("uncertainty, conservative: sequences go through their letter probabilities") {
  const io::Space space{"sequence", {8}, "ACGT"};
  const at::Tensor codes = (normal_values(80, 8, 2).abs() * 1.5).clamp(0, 3).to(at::kByte);
  const at::Tensor target = (codes == 1).to(at::kDouble).sum(1) + normal_values(80, 1, 3).squeeze(1) * 0.1;
  for (const std::string type : {"bonus", "gp"}) {
    CAPTURE(type);
    Fit run(codes, target, space, {{"type", "mlp"}, {"config", {{"elements", 32}, {"hidden", {16}}}}}, quick_fit(type));
    const std::string file = run.write(space);
    const auto reward = make_reward("conservative:" + file, space, at::kCPU);
    const at::Tensor one_hot = at::one_hot(codes.to(at::kLong), 4).transpose(1, 2).contiguous().to(at::kFloat) * 2 - 1;
    CHECK((reward->score_differentiable(one_hot, {}) - reward->score({codes, {}, 0})).abs().max().item<double>() < 2e-2);   // near one-hot
    check_jacobian(*reward, one_hot.narrow(0, 0, 4) * 0.05, {}, 1e-3, 0.05);
  }
}

TEST_CASE("uncertainty, conservative: what is refused") {
  Fit bonus(Points(60), quick_fit("bonus")), bootstrap(Points(60), quick_fit("bootstrap")), none(Points(60), quick_fit("none"));
  const std::string b = bonus.write(plane()), e = bootstrap.write(plane()), n = none.write(plane());
  const auto refused = [](const std::string& expression) { return exit_of([&] { make_reward(expression, plane(), at::kCPU); }); };
  CHECK(refused("conservative") == Exit::kUsage);
  CHECK(refused("uncertainty:" + n) == Exit::kBadInput);         // says nothing
  CHECK(refused("conservative:" + b + ",kappa=1") == Exit::kUsage);
  CHECK(refused("conservative:" + b + ",penalty=min") == Exit::kUsage);
  CHECK(refused("conservative:" + b + ",scale=-1") == Exit::kUsage);
  CHECK(refused("conservative:" + b + ",scale=x") == Exit::kUsage);
  CHECK(refused("conservative:" + b + ",scale") == Exit::kUsage);
  CHECK(refused("uncertainty:" + b + ",cap=1") == Exit::kUsage);
  CHECK(refused("conservative:" + e + ",scale=1") == Exit::kUsage);
  CHECK(refused("conservative:" + e + ",penalty=max") == Exit::kUsage);
  CHECK(refused("conservative:" + e + ",penalty=min,kappa=2") == Exit::kUsage);
  CHECK(refused("conservative:" + e + ",tau=1") == Exit::kUsage);
  CHECK(refused("learned:" + b + ",scale=1") == Exit::kUsage);
  io::Json manifest = io::Manifest::read(b).json();                // artefacts that contradict themselves
  const auto damaged = [&](const std::string& path, const io::Json& uncertainty) {
    io::H5Writer writer(bonus.folder / path);
    const io::H5Reader file(b);
    for (const std::string& name : file.list("/")) nn::write_tensor(writer, name, nn::read_all(file, name));
    manifest["reward"]["uncertainty"] = uncertainty;
    io::commit_artefact(writer, io::Manifest(manifest));
    return "conservative:" + (bonus.folder / path);
  };
  CHECK(refused(damaged("d1.h5", {{"type", "bonus"}, {"lambda", 0.1}, {"covariance", "centred"}, {"scale", 1}, {"cap", 1}})) == Exit::kBadInput);   // a row more
  CHECK(refused(damaged("d2.h5", {{"type", "bonus"}, {"cap", 1}})) == Exit::kBadInput);
  CHECK(refused(damaged("d3.h5", {{"type", "what"}, {"cap", 1}})) == Exit::kBadInput);
  CHECK(refused(damaged("d4.h5", {{"type", "gp"}, {"length", 1}, {"noise", 0.1}, {"scale", 1}, {"cap", 1}})) == Exit::kBadInput);
  CHECK(refused(damaged("d5.h5", {{"type", "bootstrap"}, {"members", 3}, {"prior_scale", 0}, {"penalty", "min"}, {"kappa", 1}, {"tau", 1}, {"cap", 1}})) == Exit::kBadInput);
}

}  // namespace plumb::rewards
