// RAFT: which samples are kept, and that the update is the denoising loss on them.   SPDX-License-Identifier: Apache-2.0
#include "align/raft.h"

#include <algorithm>

#include "align/update_plan.h"
#include "core/error.h"
#include "diffusion/training.h"
#include "oracle.h"
#include "toy.h"

using namespace plumb;
using namespace plumb::align;

namespace {

FinetuneOptions raft_options() {
  FinetuneOptions o = toy_options();
  o.method = "raft";
  o.samples_per_epoch = 32;
  o.raft.best_of = 4;  // 8 kept, 2 updates of 4
  o.train_batch_size = 4;
  o.batch_size = 3;    // cuts an update in two
  return o;
}

void shift(Toy& toy, const Tensor& direction, double size) {
  const at::NoGradGuard no_grad;
  int64_t at = 0;
  for (auto& [name, tensor] : toy.policy.trainable()) {
    Tensor(tensor).add_(direction.narrow(0, at, tensor.numel()).view_as(tensor), size);
    at += tensor.numel();
  }
}

}  // namespace

TEST_CASE("RAFT keeps the best of each class") {
  const Tensor label = at::tensor({0, 0, 0, 0, 1, 1, 1, 1}, at::kLong);
  const Tensor reward = vector_of(io::Json{1, 5, 2, 3, 90, 70, 60, 80});
  CHECK(best_within_classes(label, reward, 2) == std::vector<int64_t>{1, 4});
  CHECK(best_within_classes(label, reward, 4) == std::vector<int64_t>{1, 3, 4, 7});
  CHECK(best_within_classes({}, reward, 2) == std::vector<int64_t>{4, 7});
  // Shares: class 0 has 1/4 and 3/4, class 1 has 1/12, 3/12, ...: the larger class gives more.
  const Tensor uneven = at::tensor({0, 0, 1, 1, 1, 1, 1, 1}, at::kLong);
  CHECK(best_within_classes(uneven, reward, 1) == std::vector<int64_t>{4});
  CHECK(best_within_classes(uneven, reward, 3) == std::vector<int64_t>{1, 4, 7});
  const Tensor equal = at::zeros({4}, at::kDouble);
  CHECK(best_within_classes({}, equal, 2) == std::vector<int64_t>{0, 1});
}

TEST_CASE("RAFT: the log's rewards, and the denoising loss on what is kept") {
  Toy toy(raft_options());
  toy.disturb();
  REQUIRE(toy.method->collect(toy.context, 0));
  CHECK(toy.method->updates_per_epoch() == 2);
  const UpdateLog log = toy.method->accumulate_gradients(toy.context, 0, 1);

  RolloutRequest request;
  for (int64_t i = 0; i < 32; ++i) request.items.push_back(i);
  request.batch_size = 3;
  request.keep_chain = false;
  const Rollout rollout = *roll_out(toy.policy, *toy.codec, request);
  const Tensor reward = score(toy.reward, "toy", rollout);
  const std::vector<int64_t> best = best_within_classes(rollout.condition.label, reward, 8);
  const Tensor index = at::tensor(best, at::kLong);
  CHECK(log.values().at("reward") == doctest::Approx(reward.mean().item<double>()).epsilon(1e-12));
  CHECK(log.values().at("reward_kept") == doctest::Approx(reward.index_select(0, index).mean().item<double>()).epsilon(1e-12));
  CHECK(log.values().at("reward_kept") > log.values().at("reward") + 0.5 * log.values().at("reward_std"));

  const UpdatePlan plan = make_update_plan(8, {0}, 1.0, 4, 1, 1, UpdateOrder::kTrajectories);
  std::vector<int64_t> rows;
  for (const auto& t : plan.transitions(toy.options.seed, 0, 1)) rows.push_back(best[static_cast<size_t>(t.sample)]);
  const Tensor picked = at::tensor(rows, at::kLong);
  const diffusion::TrainingBatch batch =
      diffusion::make_training_batch(toy.codec->encode(rollout.stored.index_select(0, picked)),
                                     rollout.condition.label.index_select(0, picked), 3, toy.schedule, 0.1, toy.options.seed, 4);
  const at::NoGradGuard no_grad;
  const double loss = diffusion::denoising_error(*toy.network, toy.schedule, batch).mean().item<double>();
  CHECK(log.values().at("loss") == doctest::Approx(loss).epsilon(1e-5));
}

TEST_CASE("RAFT: the gradient is the loss's, with and without the KL term") {
  for (const double weight : {0.0, 20.0}) {
    CAPTURE(weight);
    FinetuneOptions o = raft_options();
    o.kl_coef = weight;
    o.kl_form = "plain";
    Toy toy(o);
    REQUIRE(toy.method->collect(toy.context, 0));
    UpdateLog log = toy.method->accumulate_gradients(toy.context, 0, 0);
    if (weight > 0)
      CHECK(log.values().at("kl_plain") == 0.0);  // the adapter starts at zero
    toy.disturb(0.05);
    toy.zero_grad();
    log = toy.method->accumulate_gradients(toy.context, 0, 0);
    CHECK(log.values().contains("kl_plain") == (weight > 0));
    if (weight > 0)
      CHECK(log.values().at("kl_plain") * weight > 0.1 * log.values().at("loss"));
    const Tensor gradient = toy.gradients();
    const double length = gradient.norm().item<double>(), step = 1e-3;
    const auto loss_at = [&](double size) {
      shift(toy, gradient / length, size);
      const double loss = toy.method->accumulate_gradients(toy.context, 0, 0).values().at("loss");
      shift(toy, gradient / length, -size);
      return loss;
    };
    CHECK((loss_at(step) - loss_at(-step)) / (2 * step) / length == doctest::Approx(1.0).epsilon(0.01));
  }
}

TEST_CASE("RAFT: a checkpoint in the middle of an epoch changes nothing") {
  Toy whole(raft_options());
  REQUIRE(whole.method->collect(whole.context, 3));
  nn::Checkpoint checkpoint;
  whole.method->save(checkpoint, true);
  whole.method->accumulate_gradients(whole.context, 3, 1);
  Toy other(raft_options());
  other.method->restore(checkpoint, true);
  const UpdateLog log = other.method->accumulate_gradients(other.context, 3, 1);
  CHECK(at::equal(other.gradients(), whole.gradients()));
  CHECK(log.values().contains("reward_kept"));
}

TEST_CASE("RAFT raises the reward") {
  FinetuneOptions o = raft_options();
  o.batch_size = 4;
  Toy toy(o);
  std::vector<double> rewards;
  for (int64_t epoch = 0; epoch < 12; ++epoch) {
    REQUIRE(toy.method->collect(toy.context, epoch));
    for (int64_t u = 0; u < 2; ++u) {
      toy.zero_grad();
      const UpdateLog log = toy.method->accumulate_gradients(toy.context, epoch, u);
      if (u == 0)
        rewards.push_back(log.values().at("reward"));
      const Tensor gradient = toy.gradients();
      shift(toy, gradient / gradient.norm(), -0.1);
    }
  }
  CHECK(rewards.back() > rewards.front() + 0.02);
}

TEST_CASE("RAFT: options that do not fit are refused") {
  const auto error = [](FinetuneOptions o, const std::vector<std::string>& set) -> std::string {
    try {
      resolve(o, [&](const std::string& name) { return std::find(set.begin(), set.end(), name) != set.end(); });
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  FinetuneOptions o = raft_options();
  o.eta = 0;
  CHECK(error(o, {}) == "");
  CHECK(error(o, {"clip-range"}).find("--clip-range: has no effect with --method raft") != std::string::npos);
  o.samples_per_epoch = 30;
  CHECK(error(o, {}).find("30 is no multiple of --raft.best-of 4") != std::string::npos);
  o.samples_per_epoch = 32;
  o.kl_coef = 1;
  CHECK(error(o, {"kl-coef", "kl-form"}).find("--kl-form: exact is of a chain's steps") != std::string::npos);
  o.method = "ddpo-is";
  o.eta = 1;
  CHECK(error(o, {"raft.best-of"}).find("--raft.best-of: has no effect with --method ddpo-is") != std::string::npos);
}
