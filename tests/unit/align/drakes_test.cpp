// DRAKES: what its chains and losses are, and how near training comes to the exact tilt of a space that is known whole.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdio>
#include <numeric>

#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include "align/trainer.h"
#include "core/error.h"
#include "diffusion/masked.h"
#include "diffusion/masked_process.h"
#include "nn/adamw.h"
#include "nn/data.h"
#include "toy.h"
#include "unit/diffusion/masked_markov.h"

using namespace plumb;
using namespace plumb::align;
using namespace plumb::diffusion::testing;

namespace {

/// The exact network plus a correction of its logits, zero at first: an MLP of the whole state.
class CorrectedDenoiser : public nn::Denoiser {
 public:
  explicit CorrectedDenoiser(int64_t length, int64_t width = 64) : length_(length) {
    in_ = nn::normal_noise(1, 99, {0}, 0, {5 * length, width}, at::kCPU)[0] / std::sqrt(2.0 * static_cast<double>(length));
    out_ = at::zeros({width, 4 * length});
    bias_ = at::zeros({width});
    register_parameter("in", in_);
    register_parameter("out", out_);
    register_parameter("bias", bias_);
    set_requires_grad(true);
  }
  Tensor forward(const Tensor& state, const Tensor&, const nn::Condition&) override {
    const Tensor hidden = at::silu(at::addmm(bias_, state.flatten(1), in_));
    return markov_log_posterior(state) + at::matmul(hidden, out_).view({state.size(0), 4, length_});
  }
  io::Json config() const override { return {{"type", "corrected"}}; }

 private:
  int64_t length_;
  Tensor in_, out_, bias_;
};

class TrimerReward final : public rewards::Reward {
 public:
  Tensor score(const rewards::RewardBatch& batch) override {
    return trimer_reward(one_hot_letters(batch.items.to(at::kLong))).to(at::kDouble);
  }
  bool differentiable() const override { return true; }
  Tensor score_differentiable(const Tensor& x0, const Tensor&) override {
    CHECK(x0.abs().eq(1).all().item<bool>());  // whole letters, whatever the draws were
    return trimer_reward((x0 + 1) / 2);
  }
  io::Json describe() const override { return {{"name", "trimer"}}; }
};

FinetuneOptions drakes_options() {
  FinetuneOptions o;
  o.method = "drakes";
  o.reward = "trimer";
  o.samples_per_epoch = o.batch_size = o.train_batch_size = 64;
  o.sampler_steps = 16;
  o.drakes.alpha = 1.0;
  o.lr = 0.01;
  o.monitor_every = 0;
  return o;
}

struct MaskedToy {
  FinetuneOptions options;
  CorrectedDenoiser network{8};
  MarkovDenoiser base;
  std::unique_ptr<nn::Codec> codec = nn::make_codec(io::Space{"sequence", {8}, "ACGT"}, "toy");
  Policy policy;
  TrimerReward reward;
  TuningContext context;
  std::unique_ptr<Method> method;

  explicit MaskedToy(const FinetuneOptions& o)
      : options(o),
        policy(network, &base, std::make_unique<diffusion::MaskedProcess>(o.sampler_steps, std::vector<int64_t>{4, 8}, "toy"), {4, 8},
               PolicyOptions{.num_inference_steps = o.sampler_steps, .needs_density = false, .classes = {}}, at::kCPU),
        context{policy, &reward, *codec, options},
        method(make_method(context)) {}

  Tensor gradients() {
    std::vector<Tensor> all;
    for (const auto& [name, tensor] : policy.trainable())
      all.push_back((tensor.grad().defined() ? tensor.grad() : at::zeros_like(tensor)).flatten().clone());
    return at::cat(all);
  }
  /// Gradient of the first update, in one row.
  Tensor first_gradient(UpdateLog* figures = nullptr) {
    for (auto& [name, tensor] : policy.trainable())
      Tensor(tensor).mutable_grad() = Tensor();
    const UpdateLog log = method->accumulate_gradients(context, 0, 0);
    if (figures != nullptr)
      *figures = log;
    return gradients();
  }
  /// Moves the weights a little, the same way each time.
  void disturb(double size) {
    const at::NoGradGuard no_grad;
    int64_t i = 0;
    for (auto& [name, tensor] : policy.trainable())
      Tensor(tensor).add_(nn::normal_noise(9, 99, {i++}, 0, {tensor.numel()}, at::kCPU).view(tensor.sizes()), size);
  }
  /// Mean reward and path KL of `n` samples, and their standard errors.
  struct Measured {
    double reward, kl, reward_se, kl_se;
  };
  Measured measure(int64_t n) {
    RolloutRequest request;
    request.items.resize(static_cast<size_t>(n));
    std::iota(request.items.begin(), request.items.end(), int64_t{1} << 40);
    request.batch_size = n;
    request.keep_chain = false;
    request.path_kl = true;
    const auto rollout = roll_out(policy, *codec, request);
    REQUIRE(rollout);
    const Tensor r = score(reward, "trimer", *rollout), &kl = rollout->path_kl;
    const double root = std::sqrt(static_cast<double>(n));
    return {r.mean().item<double>(), kl.mean().item<double>(), r.std().item<double>() / root, kl.std().item<double>() / root};
  }
};

}  // namespace

TEST_CASE("drakes: KL to the base is 0 at first, and its whole gradient is the reward's") {
  FinetuneOptions o = drakes_options();
  for (const char* form : {"exact", "published"}) {
    o.drakes.kl = form;
    o.drakes.k = 5;
    UpdateLog log;
    MaskedToy toy(o);
    const Tensor with_kl = toy.first_gradient(&log);
    CHECK(log.values().at("kl_path") == doctest::Approx(0.0).epsilon(1e-9));
    CHECK(log.values().at("kl_kept") == doctest::Approx(0.0).epsilon(1e-9));
    CHECK(log.values().at("kept_steps") == 5);
    CHECK(log.values().at("loss") == doctest::Approx(-log.values().at("reward")));
    o.drakes.alpha = 0;
    const Tensor without = MaskedToy(o).first_gradient();
    CHECK(without.norm().item<double>() > 0);
    CHECK(at::allclose(with_kl, without, 1e-3, 1e-5));
    o.drakes.alpha = 1;
  }
}

TEST_CASE("drakes: the exact KL reaches the steps before the kept ones, the published one does not; batches do not matter") {
  FinetuneOptions o = drakes_options();
  o.drakes.k = 1;
  o.drakes.alpha = 1e6;  // nothing but the KL
  UpdateLog exact, published, again;
  MaskedToy toy(o);
  toy.disturb(0.1);
  const Tensor gradient = toy.first_gradient(&exact);
  CHECK(exact.values().at("kl_path") > 5 * exact.values().at("kl_kept"));
  CHECK(exact.values().at("loss") == doctest::Approx(1e6 * exact.values().at("kl_path") - exact.values().at("reward")).epsilon(1e-6));
  // Its states are those of rollouts but in the relaxed step, and so is its KL, about: 64 samples.
  const MaskedToy::Measured rolled = toy.measure(2000);
  CHECK(std::abs(exact.values().at("kl_path") - rolled.kl) < 4 * rolled.kl_se * std::sqrt(2000.0 / 64));
  o.batch_size = 24;
  MaskedToy parts(o);
  parts.disturb(0.1);
  CHECK((parts.first_gradient(&again) - gradient).norm().item<double>() < 1e-4 * gradient.norm().item<double>());
  CHECK(again.values().at("loss") == doctest::Approx(exact.values().at("loss")).epsilon(1e-5));
  o.drakes.kl = "published";
  MaskedToy code(o);
  code.disturb(0.1);
  code.first_gradient(&published);
  CHECK(published.values().at("kl_kept") == 0.0);  // one relaxed step from letters and masks
  CHECK(published.values().at("kl_path") == doctest::Approx(exact.values().at("kl_path")).epsilon(1e-6));
  o.drakes.k = 8;
  MaskedToy relaxed(o);
  relaxed.disturb(0.1);
  relaxed.first_gradient(&published);
  CHECK(published.values().at("kl_kept") > 0.0);
  CHECK_THROWS_WITH_AS([&] { o.drakes.k = 17; MaskedToy longer(o); }(), doctest::Contains("--drakes.k: 17 is more than the chain's 16 steps"), Error);
  o.drakes.k = 8;
  o.drakes.relax = "letters";  // sites are whole letters or masks, but for letters' shares
  MaskedToy letters(o);
  letters.disturb(0.1);
  letters.first_gradient(&published);
  CHECK(published.values().at("kl_kept") == 0.0);
  o.drakes.relax = "symbols";
  // Activations kept or computed twice: the same gradient.
  o.drakes.kl = "exact";
  o.drakes.alpha = 1;
  MaskedToy kept(o);
  kept.disturb(0.1);
  o.direct.checkpoint = true;
  MaskedToy twice(o);
  twice.disturb(0.1);
  CHECK(at::allclose(kept.first_gradient(), twice.first_gradient(), 1e-4, 1e-5));
}

TEST_CASE("drakes: rewards of sequences have their whole slope at the letters that a chain ends with") {
  const diffusion::MaskedProcess process(4, {4, 8}, "toy");
  const auto gc = rewards::make_reward("gc", io::Space{"sequence", {8}, "ACGT"}, at::kCPU);
  Tensor state = at::cat({nn::normal_noise(3, 99, {0, 1}, 0, {4, 8}, at::kCPU).softmax(1), at::zeros({2, 1, 8})}, 1).set_requires_grad(true);
  const Tensor x0 = process.finish(state), values = gc->score_differentiable(x0, {});
  CHECK(at::allclose(values.to(at::kDouble), gc->score({x0.argmax(1).to(at::kByte), {}, 0}), 0, 1e-6));
  values.sum().backward();
  CHECK(at::allclose(state.grad(), at::tensor({0, 1, 1, 0, 0}, at::kFloat).view({1, 5, 1}).expand({2, 5, 8}) / 8));
}

TEST_CASE("drakes goes part of the way to the exact tilt p exp(r / alpha) / Z of all 65536 designs") {
  FinetuneOptions o = drakes_options();
  o.samples_per_epoch = o.batch_size = o.train_batch_size = 96;
  o.epochs = 100;  // of one update
  o.drakes.k = 0;
  const Tensor designs = all_designs(8);
  const ExactTilt tilt = exact_tilt(designs, o.drakes.alpha);
  const auto objective = [&](const MaskedToy::Measured& m) { return m.reward - o.drakes.alpha * m.kl; };
  const double base = tilt.reward_pre, best = tilt.reward - o.drakes.alpha * tilt.kl;
  const auto share = [&](const MaskedToy::Measured& m) { return (objective(m) - base) / (best - base); };

  // What this network can be at all in a chain of so many steps: the same one taught by draws of the tilt.
  MaskedToy taught(o);
  const MaskedToy::Measured before = taught.measure(4000);
  CHECK(before.kl == doctest::Approx(0.0).epsilon(1e-9));
  CHECK(std::abs(before.reward - base) < 4 * before.reward_se + 0.05);  // 16 steps: some neighbours are revealed together
  nn::AdamW optimizer(taught.policy.trainable(), nn::AdamWOptions{.lr = 0.02});
  const Tensor cumulative = tilt.probability.cumsum(0);
  for (int64_t update = 0; update < 300; ++update) {
    Tensor u = at::empty({512}, at::kDouble);
    for (int64_t i = 0; i < 512; ++i)
      u.mutable_data_ptr<double>()[i] = Philox(8, Stream::kShuffle, static_cast<uint64_t>(update * 512 + i)).uniform();
    const Tensor x0 = one_hot_letters(designs.index_select(0, at::searchsorted(cumulative, u).clamp_max(designs.size(0) - 1))) * 2 - 1;
    const Tensor t = diffusion::masked_training_times(512, 1, update * 512), state = diffusion::mask_letters(x0, t, 1, update * 512);
    optimizer.zero_grad();
    optimizer.set_lr(0.02 * (1 - static_cast<double>(update) / 300));
    diffusion::masked_loss(taught.network.forward(state, t, {}), x0, state, t).mean().backward();
    optimizer.clip_grad_norm(1.0);
    optimizer.step();
  }
  const MaskedToy::Measured limit = taught.measure(4000);
  CHECK(share(limit) > 0.65);
  CHECK(share(limit) < 1.0);

  struct Row {
    const char* relax;
    double tau, least;
  };
  for (const Row& row : {Row{"symbols", 0.5, 0.30}, Row{"letters", 0.5, 0.50}}) {
    CAPTURE(row.relax);
    o.drakes.relax = row.relax;
    o.drakes.tau = row.tau;
    MaskedToy toy(o);
    Trainer trainer(toy.context, *toy.method, nullptr, {});
    REQUIRE(trainer.run() == RunEnd::kFinished);
    const MaskedToy::Measured after = toy.measure(4000);
    CAPTURE(after.reward);
    CAPTURE(after.kl);
    CHECK(share(after) > row.least);       // of the way in reward - alpha KL
    CHECK(share(after) < share(limit));    // its gradient is biased: no claim of more
    CHECK(after.reward > before.reward + 10 * before.reward_se);
    CHECK(after.kl > 0.05);
    CHECK(after.kl < tilt.kl);
    if (std::getenv("PLUMB_TEST_FIGURES") != nullptr)
      std::printf("%s: r %.3f KL %.3f share %.3f; taught r %.3f KL %.3f share %.3f; exact r %.3f KL %.3f, base r %.3f\n", row.relax, after.reward,
                  after.kl, share(after), limit.reward, limit.kl, share(limit), tilt.reward, tilt.kl, base);
  }
}
