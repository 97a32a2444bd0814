// Rollouts and gradients on a toy UNet.   SPDX-License-Identifier: Apache-2.0
#include "align/policy_gradient.h"

#include <cmath>
#include <optional>

#include "align/tdpo.h"

#include "core/error.h"
#include "oracle.h"
#include "toy.h"

using namespace plumb;
using namespace plumb::align;

namespace {

const PolicyGradient& inner(const Toy& toy) { return dynamic_cast<const PolicyGradient&>(*toy.method); }

double figure(const UpdateLog& log, const std::string& name) { return log.values().at(name); }

}  // namespace

TEST_CASE("before the first update the ratio is 1, whatever shares a batch with a transition") {
  FinetuneOptions o = toy_options();
  SUBCASE("adapter") {}
  SUBCASE("all weights") { o.full = true; }
  SUBCASE("guidance") { o.guidance_scale = 3.0; }
  SUBCASE("eta below 1") { o.eta = 0.3; }
  SUBCASE("other batch size") { o.batch_size = 7; }
  Toy toy(o);
  toy.disturb();  // an adapter at its initial zeros would prove little
  REQUIRE(toy.method->collect(toy.context, 0));
  for (int64_t u = 0; u < toy.method->updates_per_epoch(); ++u)
    CHECK(figure(toy.method->accumulate_gradients(toy.context, 0, u), "ratio_dev") < 1e-6);
}

TEST_CASE("before the first update importance sampling and score function have the same gradient") {
  FinetuneOptions o = toy_options();
  o.train_batch_size = 16;
  Toy is(o);
  o.method = "ddpo-sf";
  Toy sf(o);
  for (Toy* toy : {&is, &sf}) {
    toy->disturb();
    REQUIRE(toy->method->collect(toy->context, 0));
    toy->method->accumulate_gradients(toy->context, 0, 0);
  }
  CHECK(is.gradients().norm().item<double>() > 1e-4);
  CHECK(largest_difference(is.gradients(), sf.gradients()) < 1e-5 * is.gradients().norm().item<double>());
}

TEST_CASE("many small batches add up to the gradient of one large one") {
  FinetuneOptions o = toy_options();
  o.kl_coef = 0.5;
  const auto gradient = [&](int64_t train_batch, int64_t accumulation, int64_t batch) {
    o.train_batch_size = train_batch;
    o.grad_accumulation = accumulation;
    o.batch_size = batch;
    Toy toy(o);
    toy.disturb();
    REQUIRE(toy.method->collect(toy.context, 0));
    CHECK(toy.method->updates_per_epoch() == 1);
    toy.method->accumulate_gradients(toy.context, 0, 0);
    return toy.gradients();
  };
  const Tensor one = gradient(16, 1, 80), many = gradient(4, 4, 11);
  CHECK(largest_difference(one, many) < 2e-5 * one.norm().item<double>());
}

TEST_CASE("a rollout does not depend on the batch size, and its classes follow --class") {
  Toy toy(toy_options());
  RolloutRequest request;
  request.items = {0, 1, 2, 3, 4, 5, 6};
  request.classes = {2, 0};
  request.path_kl = true;
  request.batch_size = 7;
  const Rollout whole = *roll_out(toy.policy, *toy.codec, request);
  request.batch_size = 3;
  const Rollout parts = *roll_out(toy.policy, *toy.codec, request);
  CHECK(largest_difference(whole.x, parts.x) < 1e-5);
  CHECK(largest_difference(whole.log_prob, parts.log_prob) < 1e-6);
  CHECK(at::equal(whole.condition.label, parts.condition.label));
  const int64_t* label = whole.condition.label.const_data_ptr<int64_t>();
  for (int i = 0; i < 7; ++i)
    CHECK((label[i] == 0 || label[i] == 2));
  CHECK(at::equal(whole.stored, toy.codec->decode(whole.x.select(1, 5))));
  CHECK(whole.path_kl.abs().max().item<double>() == 0.0);  // the adapter starts at zero
  request.classes = {3};                                   // the null class
  CHECK(roll_out(toy.policy, *toy.codec, request)->condition.label.eq(3).all().item<bool>());
}

TEST_CASE("nearly noiseless steps are left out") {
  FinetuneOptions o = toy_options();
  CHECK(Toy(o).policy.trained_steps() == std::vector<int64_t>{0, 1, 2, 3});
  o.max_step_gain = 0;
  CHECK(Toy(o).policy.trained_steps().size() == 5);
  o.max_step_gain = 1e-3;
  CHECK_THROWS_AS(Toy{o}, Error);
}

TEST_CASE("classes by number and name") {
  const std::vector<std::string> names = {"shirt", "sneaker", "bag"};
  CHECK(parse_classes({"2", "sneaker"}, 3, names) == std::vector<int64_t>{2, 1});
  CHECK(parse_classes({"none"}, 3, names) == std::vector<int64_t>{3});
  CHECK(parse_classes({}, 0, {}).empty());
  CHECK_THROWS_AS(parse_classes({"3"}, 3, names), Error);
  CHECK_THROWS_AS(parse_classes({"sneakers"}, 3, names), Error);
  CHECK_THROWS_AS(parse_classes({"none", "1"}, 3, names), Error);
  CHECK_THROWS_AS(parse_classes({"-1"}, 3, names), Error);
  CHECK_THROWS_AS(parse_classes({"0"}, 0, {}), Error);
}

TEST_CASE("path KL is the KL of the transitions along the chain, and the adapter is back on after it") {
  Toy toy(toy_options());
  toy.disturb();
  RolloutRequest request;
  request.items = {0, 1, 2};
  request.path_kl = request.reference_log_prob = true;
  const Rollout r = *roll_out(toy.policy, *toy.codec, request);
  Tensor expected = at::zeros({3}, at::kDouble), expected_gap = at::zeros({3}, at::kDouble);
  const at::NoGradGuard no_grad;
  const auto base = toy_network();
  Policy reference(*base, nullptr, toy.schedule, {1, 8, 8}, toy.policy.options(), at::kCPU);
  for (int64_t i = 0; i < 5; ++i) {
    const Tensor step = at::full({3}, i, at::kLong), x_t = r.x.select(1, i), x_next = r.x.select(1, i + 1);
    const PolicyEvaluation own = toy.policy.evaluate(x_t, x_next, step, r.condition);
    const PolicyEvaluation other = reference.evaluate(x_t, x_next, step, r.condition);
    const Tensor gap = (own.transition.mean - other.transition.mean).to(at::kDouble).square().flatten(1).sum(1);
    if (i < 4) {
      expected += gap / (2 * own.transition.sigma.to(at::kDouble).square());
      const double a = toy.policy.alpha_cumprod(i);  // eps = (x_t - sqrt(a) x0) / sqrt(1 - a)
      expected_gap += (own.transition.x0 - other.transition.x0).to(at::kDouble).square().flatten(1).mean(1) * a / (1 - a);
    }
    CHECK(largest_difference(own.log_prob, r.log_prob.select(1, i)) < 1e-6);
    CHECK(largest_difference(other.log_prob, r.log_prob_ref.select(1, i)) < 1e-6);
  }
  CHECK(expected.min().item<double>() > 0.01);
  CHECK(largest_difference(r.path_kl, expected) < 1e-4 * expected.max().item<double>());
  CHECK(largest_difference(r.path_noise_gap, expected_gap) < 1e-4 * expected_gap.max().item<double>());
}

TEST_CASE("the KL term alone pulls the weights back to the base model") {
  FinetuneOptions o = toy_options();
  o.kl_coef = 1.0;
  Toy toy(
      o, [](const Tensor& pixels) { return at::zeros({pixels.size(0)}, at::kDouble); });  // equal rewards: no advantage
  REQUIRE(toy.method->collect(toy.context, 0));
  CHECK(figure(toy.method->accumulate_gradients(toy.context, 0, 0), "kl_exact") == 0.0);
  CHECK(toy.gradients().norm().item<double>() == 0.0);
  toy.disturb();
  toy.zero_grad();
  const double before = figure(toy.method->accumulate_gradients(toy.context, 0, 0), "kl_exact");
  {
    const at::NoGradGuard no_grad;
    const double norm = toy.gradients().norm().item<double>();
    for (auto& [name, tensor] : toy.policy.trainable())
      if (tensor.grad().defined())
        Tensor(tensor).add_(tensor.grad(), -1e-3 / norm);
  }
  CHECK(before > 0);
  CHECK(figure(toy.method->accumulate_gradients(toy.context, 0, 0), "kl_exact") < before);
}

TEST_CASE("a log-ratio penalty lowers the advantages of the steps before it") {
  FinetuneOptions o = toy_options();
  o.advantage = "global";
  o.advantage_clip = 0;
  Toy plain(o);
  o.kl_penalty = 10;
  o.kl_shape = "abs";
  Toy paid(o);
  for (Toy* toy : {&plain, &paid}) {
    toy->disturb();
    REQUIRE(toy->method->collect(toy->context, 0));
  }
  const Tensor cost = inner(plain).step_advantages() - inner(paid).step_advantages();  // [N,T]
  const Rollout& r = inner(paid).rollout();
  const Tensor paid_per_step = 10 * (r.log_prob - r.log_prob_ref).abs();
  CHECK(largest_difference(cost.select(1, 4), paid_per_step.select(1, 4)) < 1e-9);
  CHECK(largest_difference(cost.select(1, 0), paid_per_step.sum(1)) < 1e-9);
}

TEST_CASE("the penalty's weight follows the path's log-ratio") {
  FinetuneOptions o = toy_options();
  o.kl_penalty = 2;
  o.kl_target = 1e-6;
  o.kl_horizon = 64;
  Toy toy(o);
  toy.disturb(0.1);
  REQUIRE(toy.method->collect(toy.context, 0));
  const Rollout& r = inner(toy).rollout();
  const double path = (r.log_prob - r.log_prob_ref).sum(1).mean().item<double>();
  REQUIRE(std::abs(path) > 1e-5);  // so that the change is cut at a fifth
  REQUIRE(toy.method->collect(toy.context, 1));
  CHECK(figure(toy.method->accumulate_gradients(toy.context, 1, 0), "kl_penalty") == doctest::Approx(2 * (1 + (path > 0 ? 0.2 : -0.2) * 16 / 64)));
}

TEST_CASE("advantages are limited where the method says so, and by what is given") {
  // One sample of 16 is far above the rest: 15 / sqrt(15) = 3.87 standard deviations.
  const auto one_high = [](const Tensor& pixels) {
    Tensor r = at::zeros({pixels.size(0)}, at::kDouble);
    if (pixels.size(0) > 3)
      r[3] = 1;
    return r;
  };
  const auto largest = [&](const std::string& method, std::optional<double> clip) {
    FinetuneOptions o = toy_options();
    o.method = method;
    o.advantage = "global";
    o.batch_size = 16;
    o.tdpo.whitening = "none";
    o.dpok.value_updates = 0;
    o.advantage_clip = clip;
    Toy toy(o, one_high);
    REQUIRE(toy.method->collect(toy.context, 0));
    return inner(toy).step_advantages().max().item<double>();
  };
  for (const std::string method : {"ddpo-is", "tdpo", "dpok"}) {
    CAPTURE(method);
    CHECK(largest(method, std::nullopt) == doctest::Approx(std::sqrt(15.0)).epsilon(1e-4));
    CHECK(largest(method, 1.5) == doctest::Approx(1.5));
  }
  FinetuneOptions o;
  CHECK(advantage_limit(o) == 5);
  for (const std::string method : {"tdpo", "tdpo-r", "dpok"}) {
    o.method = method;
    CHECK(advantage_limit(o) == 0);
  }
}

TEST_CASE("--kl-form says which form is in the loss; the plain one sees a difference that clamped samples hide") {
  FinetuneOptions o = toy_options();
  const auto gradient = [&](const std::string& form, UpdateLog* log) {
    o.kl_coef = 1.0;
    o.kl_form = form;
    Toy toy(o, [](const Tensor& pixels) { return at::zeros({pixels.size(0)}, at::kDouble); });
    toy.disturb();
    REQUIRE(toy.method->collect(toy.context, 0));
    *log = toy.method->accumulate_gradients(toy.context, 0, 0);
    return toy.gradients();
  };
  UpdateLog exact, plain;
  const Tensor of_exact = gradient("exact", &exact), of_plain = gradient("plain", &plain);
  CHECK(figure(exact, "loss") == doctest::Approx(figure(exact, "kl_exact")));
  CHECK(figure(plain, "loss") == doctest::Approx(figure(plain, "kl_plain")));
  CHECK(figure(plain, "kl_plain") == figure(exact, "kl_plain"));
  CHECK(largest_difference(of_exact, of_plain) > 0.1 * of_plain.norm().item<double>() / std::sqrt(static_cast<double>(of_plain.numel())));

  diffusion::ScheduleOptions clamping = Toy::schedule_options();
  clamping.clip_sample = true;
  Toy toy(o);
  const Policy clamped(*toy.network, nullptr, diffusion::NoiseSchedule(clamping), {1, 8, 8}, toy.policy.options(), at::kCPU);
  const Tensor x = at::full({2, 1, 8, 8}, 9.0), step = at::tensor({0, 2}, at::kLong);  // whose clean samples are beyond 1
  const Tensor v = at::zeros_like(x), other = at::full_like(x, 0.5);
  const auto gap = [&](const Policy& policy) { return policy.noise_gap_to_reference(policy.transition(v, x, step), other, step); };
  for (int64_t i = 0; i < 2; ++i)  // eps = sqrt(a) v + sqrt(1 - a) x
    CHECK(gap(clamped)[i].item<double>() == doctest::Approx(0.25 * toy.policy.alpha_cumprod(i == 0 ? 0 : 2)).epsilon(1e-5));
  CHECK(largest_difference(gap(clamped), gap(toy.policy)) < 1e-6);
}

TEST_CASE("TDPO's advantages: returns discounted by gamma less the values, whitened over the epoch") {
  FinetuneOptions o = toy_options();
  o.method = "tdpo";
  o.tdpo.gamma = 0.5;
  o.tdpo.whitening = "none";
  o.tdpo.critic_init = "default";  // values that are not nearly zero
  const auto collected = [&](const std::string& whitening) {
    o.tdpo.whitening = whitening;
    auto toy = std::make_unique<Toy>(o);
    REQUIRE(toy->method->collect(toy->context, 0));
    return toy;
  };
  const auto raw = collected("none"), whitened_toy = collected("epoch");
  const auto& method = dynamic_cast<const Tdpo&>(*raw->method);
  const Tensor r = method.returns(), a = method.step_advantages();
  CHECK(method.values().abs().max().item<double>() > 1e-3);
  CHECK(largest_difference(a, r - method.values()) < 1e-12);
  CHECK(largest_difference(r.select(1, 3), 0.5 * r.select(1, 4)) < 1e-12);
  CHECK(largest_difference(r.select(1, 0), r.select(1, 4) / 16) < 1e-12);
  const Tensor trained = a.slice(1, 0, 4);  // the last step is nearly noiseless
  CHECK(largest_difference(inner(*whitened_toy).step_advantages(), (a - trained.mean()) / trained.flatten().std(0, false)) < 1e-6);
}

TEST_CASE("eta 0 has no density") {
  FinetuneOptions o = toy_options();
  o.eta = 0;
  CHECK_THROWS_AS(Toy{o}, Error);
}

TEST_CASE("the score function refuses a second update on a rollout") {
  FinetuneOptions o = toy_options();
  o.method = "ddpo-sf";
  CHECK_THROWS_AS(Toy{o}, Error);  // 16 samples, 8 an update
}

TEST_CASE("a reward that is not finite is named") {
  Toy toy(toy_options(), [](const Tensor& pixels) {
    Tensor r = darkness(pixels);
    r[3] = std::numeric_limits<double>::quiet_NaN();
    return r;
  });
  try {
    toy.method->collect(toy.context, 0);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::kBadNumbers);
    CHECK(std::string(error.what()).find("sample 3") != std::string::npos);
  }
}
