// Direct reward backpropagation: what is kept of a chain [N], losses [O], and that it is the gradient of what it says.
// SPDX-License-Identifier: Apache-2.0
#include "align/direct.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <numeric>
#include <set>

#include "align/alignprop.h"
#include "align/recompute.h"
#include "core/error.h"
#include "core/text.h"
#include "unit/gradcheck.h"
#include "oracle.h"
#include "toy.h"

using namespace plumb;
using namespace plumb::align;

namespace {

Tensor smooth(const Tensor& pixels) { return (pixels - 0.3 * pixels.square()).flatten(1).mean(1); }

FinetuneOptions options_of(const std::string& method) {
  FinetuneOptions o = toy_options();
  o.method = method;
  return o;
}

std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::kUsage);
    return error.what();
  }
  return "";
}

/// Gradient of the first update, in one row; `figures` gets its log.
Tensor first_gradient(Toy& toy, UpdateLog* figures = nullptr) {
  REQUIRE(toy.method->collect(toy.context, 0));
  toy.zero_grad();
  const UpdateLog log = toy.method->accumulate_gradients(toy.context, 0, 0);
  if (figures != nullptr)
    *figures = log;
  return toy.gradients();
}

/// Moves the weights by `size` along `direction`.
void shift(Toy& toy, const Tensor& direction, double size) {
  const at::NoGradGuard no_grad;
  int64_t at = 0;
  for (auto& [name, tensor] : toy.policy.trainable()) {
    Tensor(tensor).add_(direction.narrow(0, at, tensor.numel()).view_as(tensor), size);
    at += tensor.numel();
  }
}

/// The loss's slope along the unit gradient by central differences, over the gradient's length: 1 if the gradient is right.
double slope_over_length(Toy& toy, double step) {
  UpdateLog up, down;
  const Tensor gradient = first_gradient(toy);
  const double length = gradient.norm().item<double>();
  const Tensor unit = gradient / length;
  shift(toy, unit, step);
  first_gradient(toy, &up);
  shift(toy, unit, -2 * step);
  first_gradient(toy, &down);
  shift(toy, unit, step);
  return (up.values().at("loss") - down.values().at("loss")) / (2 * step) / length;
}

/// The chain of a network of one number, eps = theta_0 x + theta_1, without noise.
Chain scalar_chain(const Tensor& theta, const std::vector<double>& alpha) {
  Chain chain;
  chain.steps = static_cast<int64_t>(alpha.size()) - 1;
  chain.output = [theta](int64_t, const Tensor& x) { return theta[0] * x + theta[1]; };
  const auto transition = [alpha](int64_t i, const Tensor& x, const Tensor& output) {
    const auto one = [&](size_t k) { return at::full({x.size(0)}, alpha[k], at::kDouble); };
    return diffusion::ddim_transition(diffusion::PredictionType::kEpsilon, output, x, one(static_cast<size_t>(i)),
                                      one(static_cast<size_t>(i) + 1), 0.0);
  };
  chain.advance = [transition](int64_t i, const Tensor& x, const Tensor& output) { return transition(i, x, output).mean; };
  chain.predicted_x0 = [transition](int64_t i, const Tensor& x, const Tensor& output) { return transition(i, x, output).x0; };
  return chain;
}

}  // namespace

TEST_CASE("what is kept of a chain decides the gradient, and nothing else [N]") {
  const auto c = oracle("N_truncated_backprop");
  const std::vector<double> alpha = c["inputs"]["alpha_bar"];
  const auto reward = [](const Tensor& x0) { return -(x0 - 2).square(); };
  struct Row {
    const char* name;
    std::vector<bool> keep;
  };
  for (const Row& row : {Row{"full", keep_last(3, 0).keep}, Row{"K1", keep_last(3, 1).keep}, Row{"K2", keep_last(3, 2).keep},
                         Row{"gaps_101", {true, false, true}}}) {
    CAPTURE(row.name);
    Tensor theta = vector_of(c["inputs"]["theta"]).set_requires_grad(true);
    const Tensor x_T = at::full({1, 1}, c["inputs"]["x_T"].get<double>(), at::kDouble);
    const Tensor x0 = run_kept(scalar_chain(theta, alpha), x_T, {row.keep});
    const Tensor r = reward(x0).sum();
    r.backward();
    const auto& expected = c["expected"][row.name];
    CHECK(x0.item<double>() == doctest::Approx(expected["x0"].get<double>()).epsilon(1e-8));
    CHECK(r.item<double>() == doctest::Approx(expected["reward"].get<double>()).epsilon(1e-8));
    CHECK(largest_difference(theta.grad(), vector_of(expected["grad_theta"])) < 1e-6);
  }
  Tensor theta = vector_of(c["inputs"]["theta"]).set_requires_grad(true);
  const Chain chain = scalar_chain(theta, alpha);
  const Tensor y = run_kept(chain, at::full({1, 1}, c["inputs"]["x_T"].get<double>(), at::kDouble), {keep_last(3, 1).keep});
  Tensor sum = at::zeros({}, at::kDouble);
  for (const double z : c["inputs"]["lv_noise"].get<std::vector<double>>())
    sum = sum + reward(renoised(chain, y, at::full({1, 1}, z, at::kDouble), alpha[2])).sum();
  sum.backward();
  const auto& expected = c["expected"]["LV_n2_extra_terms"];
  CHECK(sum.item<double>() == doctest::Approx(expected["sum_reward"].get<double>()).epsilon(1e-8));
  CHECK(largest_difference(theta.grad(), vector_of(expected["grad_theta"])) < 1e-6);
}

TEST_CASE("losses [O]") {
  const auto c = oracle("O_direct_losses");
  const Tensor aesthetic = vector_of(c["inputs"]["aesthetic"]), hps = vector_of(c["inputs"]["hps"]);
  const auto expected = [&](const char* name) { return doctest::Approx(c["expected"][name].get<double>()).epsilon(1e-7); };
  CHECK(alignprop_loss(aesthetic, 10.0, 0.01).mean().item<double>() == expected("alignprop_aesthetic"));
  CHECK(alignprop_loss(hps, 1.0, 0.01).mean().item<double>() == expected("alignprop_hps"));
  CHECK(alignprop_loss(aesthetic, 10.0, 1.0).mean().item<double>() == expected("trl_alignprop"));
  CHECK(draft_loss(aesthetic).mean().item<double>() == expected("draft"));
  CHECK(refl_loss(vector_of(c["inputs"]["image_reward"]), 0, 1, 2.0, 1e-3).mean().item<double>() == expected("refl"));
  CHECK(refl_loss(vector_of(c["inputs"]["image_reward"]) * 3 + 7, 7, 3, 2.0, 1e-3).mean().item<double>() == expected("refl"));
  CHECK(largest_difference(alignprop_loss(aesthetic, {}, 0.5), -0.5 * aesthetic) == 0.0);
}

TEST_CASE("the whole chain's gradient is that of central differences, float64") {
  FinetuneOptions o = options_of("draft");
  Toy toy(o);
  toy.disturb(0.1);
  nn::Denoiser& network = *toy.network;
  network.to(at::kDouble);
  const nn::Condition condition{at::tensor({0, 3}, at::kLong)};
  const auto noise = [](int64_t i) {
    return nn::normal_noise(4, 98, {0, 1}, static_cast<uint32_t>(i), {1, 8, 8}, at::kCPU).to(at::kDouble);
  };
  Chain chain;
  chain.steps = 3;
  const std::vector<int64_t> timesteps = toy.schedule.timesteps(3);
  bool again = false;
  chain.output = [&](int64_t i, const Tensor& x) {
    const auto call = [&network, &condition, t = at::full({2}, timesteps[static_cast<size_t>(i)], at::kLong)](const Tensor& x_t) {
      return network.forward(x_t, t, condition);
    };
    return again && at::GradMode::is_enabled() ? recomputed(call, x) : call(x);
  };
  chain.advance = [&](int64_t i, const Tensor& x, const Tensor& output) {
    const int64_t t = timesteps[static_cast<size_t>(i)];
    const auto alpha = [&](int64_t at_t) { return at::full({2}, toy.schedule.alpha_cumprod(at_t), at::kDouble); };
    const diffusion::Transition step = diffusion::ddim_transition(toy.schedule.prediction_type(), output, x, alpha(t),
                                                                  alpha(toy.schedule.previous_timestep(t, 3)), 1.0);
    return step.mean + step.sigma.reshape({2, 1, 1, 1}) * noise(i);
  };
  std::vector<Tensor> weights;
  for (const auto& [name, tensor] : nn::lora_parameters(network))
    weights.push_back(tensor);
  const auto loss = [&] { return draft_loss(smooth(run_kept(chain, noise(9), keep_last(3, 0)).tanh())).mean() * 100; };
  CHECK(test::gradient_error(loss, weights, 3) < 1e-6);
  again = true;
  CHECK(test::gradient_error(loss, weights, 3) < 1e-6);
}

TEST_CASE("a method's gradient is the slope of its own loss, float32") {
  FinetuneOptions o;
  SUBCASE("draft, all steps") {
    o = options_of("draft");
    o.draft.k = 0;
  }
  SUBCASE("draft, all steps, guided, without noise, all weights") {
    o = options_of("draft");
    o.draft.k = 0;
    o.eta = 0;
    o.guidance_scale = 2;
    o.full = true;
  }
  SUBCASE("alignprop, all steps, a target above") {
    o = options_of("alignprop");
    o.alignprop.truncation = "fixed:5";
    o.alignprop.target = 10;
    o.alignprop.scale = 0.01;
  }
  Toy toy(o, smooth);
  toy.disturb(0.1);
  const double ratio = slope_over_length(toy, 4e-3);
  MESSAGE("slope / length ", ratio);
  CHECK(ratio == doctest::Approx(1.0).epsilon(0.01));  // float32, and pixels that reach black or white within the step
}

TEST_CASE("every direct method has a gradient; its samples are the rollouts', bit for bit") {
  for (const double eta : {1.0, 0.0})
    for (const std::string& name : method_names()) {
      FinetuneOptions o = options_of(name);
      if (!is_direct(o) || has_path_kl(o) || name == "drakes")  // strl_test.cpp, drakes_test.cpp
        continue;
      CAPTURE(name);
      CAPTURE(eta);
      o.eta = eta;
      o.refl.last = 0.6;
      std::vector<Tensor> seen;
      Toy toy(o, [&](const Tensor& pixels) {
        seen.push_back(pixels.detach().clone());
        return darkness(pixels);
      });
      CHECK(toy.method->name() == name);
      REQUIRE(toy.method->collect(toy.context, 0));
      CHECK(toy.method->updates_per_epoch() == 2);
      toy.disturb();
      seen.clear();
      toy.method->accumulate_gradients(toy.context, 3, 1);
      CHECK(toy.gradients().norm().item<double>() > 1e-5);
      std::vector<int64_t> items(8);
      std::iota(items.begin(), items.end(), 3 * 16 + 8);
      const Tensor label = draw_labels(toy.policy.num_classes(), {}, o.seed, items);
      std::vector<Tensor> states;
      const auto keep = [&](int64_t, const Tensor& x_t, const Tensor&, const Tensor&) { states.push_back(x_t); };
      const Tensor x = toy.policy.sample({o.seed, items}, {label}, keep);
      Tensor wanted = x;
      if (name == "refl") {
        const int64_t m = 4 - static_cast<int64_t>(Philox(o.seed, Stream::kKeptSteps, 7, 0).below(3));
        const Tensor step = at::full({8}, m, at::kLong);
        const at::NoGradGuard no_grad;
        wanted = toy.policy.transition(toy.policy.model_output(states[static_cast<size_t>(m)], step, {label}),
                                       states[static_cast<size_t>(m)], step).x0;
      }
      CHECK(at::equal(seen.front(), ((wanted + 1) / 2).clamp(0, 1)));
    }
}

TEST_CASE("with and without recomputation the gradients are equal") {
  for (const std::string kept : {"fixed:1", "fixed:5", "per-step"}) {
    CAPTURE(kept);
    FinetuneOptions o = options_of("alignprop");
    o.alignprop.truncation = kept;
    o.kl_coef = 0.1;
    Toy plain(o);
    o.direct.checkpoint = true;
    Toy again(o);
    plain.disturb();
    again.disturb();
    const Tensor a = first_gradient(plain), b = first_gradient(again);
    CHECK(a.norm().item<double>() > 1e-4);
    CHECK(largest_difference(a, b) < 1e-6 * a.norm().item<double>());
  }
  // Where nothing but the parameters has a gradient, the result still requires one.
  Tensor w = at::full({}, 3.0, at::kDouble).set_requires_grad(true);
  int runs = 0;
  const Tensor x = at::full({2}, 5.0, at::kDouble);
  const Tensor y = recomputed([&](const Tensor& v) { return ++runs, w * v; }, x);
  CHECK(y.requires_grad());
  y.sum().backward();
  CHECK(runs == 2);
  CHECK(w.grad().item<double>() == 10.0);
}

TEST_CASE("batches cut memory only; minibatches average") {
  const auto gradient = [](const std::string& truncation, int64_t batch, int64_t train, int64_t accumulation) {
    FinetuneOptions o = options_of("alignprop");
    o.alignprop.truncation = truncation;
    o.batch_size = batch;
    o.train_batch_size = train;
    o.grad_accumulation = accumulation;
    Toy toy(o);
    toy.disturb();
    return first_gradient(toy);
  };
  const Tensor whole = gradient("per-step", 8, 8, 1);
  const double norm = whole.norm().item<double>();
  CHECK(largest_difference(whole, gradient("per-step", 2, 8, 1)) < 1e-5 * norm);
  CHECK(largest_difference(whole, gradient("per-step", 3, 8, 1)) < 1e-5 * norm);
  const Tensor fixed = gradient("fixed:2", 8, 8, 1);
  CHECK(largest_difference(fixed, gradient("fixed:2", 4, 4, 2)) < 1e-5 * norm);
  CHECK(largest_difference(fixed, gradient("fixed:2", 4, 2, 4)) < 1e-5 * norm);
  CHECK(largest_difference(fixed, whole) > 1e-3 * norm);
}

TEST_CASE("DRaFT-LV averages the sample and its re-noised copies") {
  const auto gradient = [](int64_t n, const std::string& base, UpdateLog* log = nullptr) {
    FinetuneOptions o = options_of("draft-lv");
    o.draft.lv_n = n;
    o.draft.lv_include_base = base;
    Toy toy(o);
    toy.disturb();
    return first_gradient(toy, log);
  };
  FinetuneOptions o = options_of("draft");
  Toy draft(o);
  draft.disturb();
  UpdateLog with, without, plain;
  const Tensor one = first_gradient(draft, &plain), copies = gradient(2, "off", &without), all = gradient(2, "on", &with);
  CHECK(largest_difference(all, (one + 2 * copies) / 3) < 1e-5 * one.norm().item<double>());
  CHECK(copies.norm().item<double>() > 1e-4);
  CHECK(largest_difference(one, copies) > 1e-3 * one.norm().item<double>());
  CHECK(largest_difference(gradient(1, "off"), copies) > 1e-4 * copies.norm().item<double>());
  // The log's reward is the samples' own in all three.
  CHECK(with.values().at("reward") == plain.values().at("reward"));
  CHECK(without.values().at("reward") == plain.values().at("reward"));
}

TEST_CASE("ReFL standardises by the base model's rewards, and stops at the target") {
  FinetuneOptions o = options_of("refl");
  o.sampler_steps = 8;
  Toy toy(o);
  UpdateLog log;
  const Tensor gradient = first_gradient(toy, &log);
  RolloutRequest request{.items = {}, .seed = o.seed, .classes = {}, .batch_size = 8, .keep_chain = false};
  request.items.resize(16);
  std::iota(request.items.begin(), request.items.end(), int64_t{0});
  const Tensor base = score(toy.reward, "toy", *roll_out(toy.policy, *toy.codec, request));
  CHECK(log.values().at("standard_mean") == base.mean().item<double>());
  CHECK(log.values().at("standard_sd") == base.std(0).item<double>());
  CHECK(log.values().at("kept_steps") == 1);
  CHECK(gradient.norm().item<double>() > 0);
  CHECK(toy.method->plan().at("first_step") == 6);
  CHECK(toy.method->plan().at("reward_queries") == 16 * 3 + 16);

  o.refl.standardise = plumb::cat(base.mean().item<double>(), ":", base.std(0).item<double>() * 10);
  Toy wide(o);
  CHECK(largest_difference(first_gradient(wide), gradient / 10) < 1e-4 * gradient.norm().item<double>());
  o.refl.target = -1e6;
  Toy done(o);
  CHECK(first_gradient(done).norm().item<double>() == 0.0);
  o.refl.standardise = "none";
  o.refl.target = 1e6;
  Toy raw(o);
  first_gradient(raw, &log);
  CHECK(log.values().at("loss") == doctest::Approx(1e6 - log.values().at("reward")).epsilon(1e-12));

  // The step that is predicted from, found by the picture that the reward was shown.
  o.refl.last = 0.5;
  std::vector<Tensor> shown;
  Toy late(o, [&](const Tensor& pixels) {
    shown.push_back(pixels.detach().clone());
    return darkness(pixels);
  });
  REQUIRE(late.method->collect(late.context, 0));
  std::set<int64_t> drawn;
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    shown.clear();
    late.method->accumulate_gradients(late.context, epoch, 0);
    std::vector<int64_t> items(8);
    std::iota(items.begin(), items.end(), epoch * 16);
    const Tensor label = draw_labels(late.policy.num_classes(), {}, o.seed, items);
    const auto look = [&](int64_t m, const Tensor& x_t, const Tensor& output, const Tensor&) {
      const Tensor x0 = late.policy.transition(output, x_t, at::full({8}, m, at::kLong)).x0;
      if (at::equal(shown.front(), ((x0 + 1) / 2).clamp(0, 1)))
        drawn.insert(m);
    };
    const at::NoGradGuard no_grad;
    late.policy.sample({o.seed, items}, {label}, look);
  }
  CHECK(drawn == std::set<int64_t>{4, 5, 6, 7});
  o.refl.standardise = "1:0";
  CHECK(refusal([&] { Toy t(o); }).find("--refl.standardise: '1:0'") != std::string::npos);
  o.refl.standardise = "bass";
  CHECK(refusal([&] { Toy t(o); }).find("'bass'") != std::string::npos);
  o.refl.standardise = "base";
  Toy flat(o, [](const Tensor& pixels) { return pixels.flatten(1).mean(1) * 0; });
  CHECK_THROWS_WITH_AS(flat.method->collect(flat.context, 0), doctest::Contains("for all samples"), Error);
}

TEST_CASE("AlignProp's truncations: how many steps are kept, and which") {
  const auto draws = [](const std::string& text, int64_t steps, int64_t count) {
    const Truncation t = parse_truncation(text, steps);
    std::vector<KeptSteps> all;
    for (int64_t u = 0; u < count; ++u) {
      Philox random(1, Stream::kKeptSteps, static_cast<uint64_t>(u), 0);
      all.push_back(t.draw(random));
    }
    return all;
  };
  const auto mean_count = [](const std::vector<KeptSteps>& all) {
    double sum = 0;
    for (const KeptSteps& kept : all)
      sum += static_cast<double>(kept.count());
    return sum / static_cast<double>(all.size());
  };
  for (const char* text : {"auto", "uniform", "gaussian:42:5", "fixed:7"}) {
    CAPTURE(text);
    int64_t fewest = 50, most = 0;
    for (const KeptSteps& kept : draws(text, 50, 400)) {
      CHECK(kept.keep == keep_last(50, kept.count()).keep);  // a tail without holes
      CHECK(kept.count() >= 1);
      fewest = std::min(fewest, kept.count());
      most = std::max(most, kept.count());
    }
    if (std::string(text) == "uniform") {
      CHECK(fewest <= 2);
      CHECK(most >= 49);
    }
  }
  int64_t most = 0;
  for (const KeptSteps& kept : draws("gaussian:25:25", 50, 400))
    most = std::max(most, kept.count());
  CHECK(most == 49);  // the first step is never kept
  // E int(N(42,5) cut at 50) over the truncated normal is about 41.4: K = 8.6; uniform K has mean 25.5, per step 25 of 50.
  CHECK(mean_count(draws("auto", 50, 2000)) == doctest::Approx(8.8).epsilon(0.04));
  CHECK(mean_count(draws("uniform", 50, 2000)) == doctest::Approx(25.5).epsilon(0.04));
  CHECK(mean_count(draws("per-step", 50, 2000)) == doctest::Approx(25.0).epsilon(0.02));
  CHECK(mean_count(draws("fixed:7", 50, 3)) == 7);
  CHECK(mean_count(draws("auto", 1, 3)) == 1);
  CHECK(mean_count(draws("per-step", 1, 50)) == 1);
  int64_t early = 0, late = 0;
  for (const KeptSteps& kept : draws("per-step", 9, 2000)) {
    early += kept.keep[0];
    late += kept.keep[8];
  }
  CHECK(static_cast<double>(early) / 2000 == doctest::Approx(0.1).epsilon(0.25));  // (i + 1) / 10
  CHECK(static_cast<double>(late) / 2000 == doctest::Approx(0.9).epsilon(0.03));
  const Truncation scaled = parse_truncation("auto", 20);
  CHECK(scaled.mean == doctest::Approx(16.8));
  CHECK(scaled.sd == doctest::Approx(2.0));
  for (const char* text : {"fixed:0", "fixed:6", "fixed:x", "gaussian:0:1", "gaussian:5:1", "gaussian:2:-1",
                           "gaussian:2:6", "gaussian:2", "fixed", "tail"}) {
    CAPTURE(text);
    const std::string error = refusal([&] { parse_truncation(text, 5); });
    CHECK(error.find("--alignprop.truncation") != std::string::npos);
    CHECK(error.find(std::string(text) == "fixed:x" ? "x" : text) != std::string::npos);
  }
}

TEST_CASE("the KL of kept steps, by its two forms") {
  FinetuneOptions o = options_of("alignprop");
  o.alignprop.truncation = "fixed:1";
  o.alignprop.scale = 0;
  o.kl_coef = 3.0;
  for (const char* form : {"exact", "plain"}) {
    CAPTURE(form);
    o.kl_form = form;
    Toy base(o);
    UpdateLog log;
    CHECK(first_gradient(base, &log).norm().item<double>() == 0.0);
    CHECK(log.values().at("kl_exact") == 0.0);
    CHECK(log.values().at("kl_plain") == 0.0);
    Toy toy(o);
    toy.disturb(0.05);
    first_gradient(toy, &log);
    const double kl = log.values().at("kl_" + o.kl_form);
    CHECK(log.values().at("loss") == doctest::Approx(3 * kl).epsilon(1e-9));
    std::vector<int64_t> items(8);
    std::iota(items.begin(), items.end(), int64_t{0});
    const nn::Condition condition{draw_labels(toy.policy.num_classes(), {}, o.seed, items)};
    Tensor x_t, output;
    toy.policy.sample({o.seed, items}, condition, [&](int64_t, const Tensor& x, const Tensor& out, const Tensor&) {
      x_t = x;
      output = out;
    });
    const Tensor step = at::full({8}, 4, at::kLong), reference = toy.policy.reference_output(x_t, step, condition);
    const diffusion::Transition own = toy.policy.transition(output, x_t, step);
    const Tensor plain = toy.policy.noise_gap_to_reference(own, reference, step),
                 exact = toy.policy.kl_to_reference(own, reference, x_t, step, diffusion::Reduce::kMean);
    CHECK(log.values().at("kl_plain") == doctest::Approx(plain.mean().item<double>()).epsilon(1e-6));
    CHECK(log.values().at("kl_exact") == doctest::Approx(exact.mean().item<double>()).epsilon(1e-6));
    FinetuneOptions one = o;  // a chain of one step: the state does not move with the weights
    one.sampler_steps = 1;
    Toy step_toy(one);
    step_toy.disturb(0.05);
    CHECK(slope_over_length(step_toy, 1e-3) == doctest::Approx(1.0).epsilon(0.02));
  }
  o.alignprop.truncation = "fixed:5";  // more steps than one, with a gradient through states
  Toy all(o);
  all.disturb(0.05);
  UpdateLog log;
  CHECK(first_gradient(all, &log).norm().item<double>() > 0);
  CHECK(log.values().at("kl_exact") > 0);
}

namespace {

class NoGradient final : public rewards::Reward {
 public:
  explicit NoGradient(bool claims) : claims_(claims) {}
  Tensor score(const rewards::RewardBatch& batch) override { return darkness(batch.items.to(at::kDouble)); }
  bool differentiable() const override { return claims_; }
  Tensor score_differentiable(const Tensor& x0, const Tensor&) override { return darkness(x0.detach()); }
  io::Json describe() const override { return {{"name", "no-gradient"}}; }

 private:
  bool claims_;
};

}  // namespace

TEST_CASE("rewards without a gradient, and options that fit no chain, are refused by name") {
  for (const std::string name : {"alignprop", "draft", "draft-lv", "refl"}) {
    CAPTURE(name);
    Toy toy(options_of(name));
    NoGradient honest(false), silent(true);
    TuningContext context{toy.policy, &honest, *toy.codec, toy.options};
    const std::string error = refusal([&] { make_method(context); });
    CHECK(error.find("--reward: there is no gradient of no-gradient, which --method " + name) != std::string::npos);
    TuningContext claimed{toy.policy, &silent, *toy.codec, toy.options};
    const auto method = make_method(claimed);
    REQUIRE(method->collect(claimed, 0));
    CHECK_THROWS_WITH_AS(method->accumulate_gradients(claimed, 0, 0), doctest::Contains("without a gradient"), Error);
  }
  FinetuneOptions o = options_of("draft");
  o.draft.k = 6;
  CHECK(refusal([&] { Toy t(o); }).find("--draft.k: 6 is more than the chain's 5 steps") != std::string::npos);
  o.draft.k = 5;
  o.eta = 0;
  o.kl_coef = 1;
  CHECK(refusal([&] { Toy t(o); }).find("--kl-form: exact needs noise") != std::string::npos);
  o.kl_form = "plain";
  o.max_step_gain = 0;  // all steps that have a density
  Toy plain(o);
  plain.disturb();
  UpdateLog without_noise;
  first_gradient(plain, &without_noise);
  CHECK(without_noise.values().at("kl_plain") > 0);
  CHECK_FALSE(without_noise.values().contains("kl_exact"));
  CHECK(plain.policy.trained_steps().empty());
  o.train_batch_size = 5;
  CHECK(refusal([&] { Toy t(o); }).find("--samples-per-epoch") != std::string::npos);
}
