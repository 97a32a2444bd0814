// What every method must hold, and what sets each apart: TDPO [H], GRPO [M], DPOK.   SPDX-License-Identifier: Apache-2.0
#include <set>

#include "align/tdpo.h"
#include "align/value_network.h"
#include "core/error.h"
#include "oracle.h"
#include "toy.h"

using namespace plumb;
using namespace plumb::align;

namespace {

const PolicyGradient& inner(const Toy& toy) { return dynamic_cast<const PolicyGradient&>(*toy.method); }
Tdpo& tdpo(Toy& toy) { return dynamic_cast<Tdpo&>(*toy.method); }

FinetuneOptions options_of(const std::string& method) {
  FinetuneOptions o = toy_options();
  o.method = method;
  if (method == "ddpo-sf")
    o.train_batch_size = 16;
  return o;
}

}  // namespace

TEST_CASE("before the first update the ratio of every policy gradient is 1, and all see the same rollout") {
  Toy first(options_of("ddpo-is"));
  REQUIRE(first.method->collect(first.context, 0));
  for (const std::string& name : method_names()) {
    CAPTURE(name);
    if (!needs_density(options_of(name)) || learns_from_answers(options_of(name)))
      continue;
    Toy toy(options_of(name));
    CHECK(toy.method->name() == name);
    REQUIRE(toy.method->collect(toy.context, 0));
    CHECK(at::equal(inner(toy).rollout().x, inner(first).rollout().x));
    for (int64_t u = 0; u < toy.method->updates_per_epoch(); ++u) {
      const UpdateLog log = toy.method->accumulate_gradients(toy.context, 0, u);
      CHECK(log.values().at("ratio_dev") < 1e-6);
    }
    CHECK(toy.gradients().norm().item<double>() > 0);
  }
}

TEST_CASE("temporal rewards: returns less values, whitened over samples and steps [H]") {
  const auto c = oracle("H_tdpo_advantage");
  const Tensor reward = vector_of(c["inputs"]["normalised_reward"]), value = matrix_of(c["inputs"]["critic_old"]);
  const Tensor returns = discounted_returns(reward, {}, 4, c["inputs"]["gamma"]);
  CHECK(largest_difference(returns, matrix_of(c["expected"]["returns"])) < 1e-12);
  CHECK(largest_difference(returns - value, matrix_of(c["expected"]["raw"])) < 1e-12);
  CHECK(largest_difference(whitened(returns - value, {0, 1, 2, 3}), matrix_of(c["expected"]["advantage"])) < 1e-6);
  // Steps that are not trained on do not count.
  Tensor odd = returns - value;
  odd.select(1, 3).fill_(1e6);
  CHECK(largest_difference(whitened(odd, {0, 1, 2}).slice(1, 0, 3), whitened((returns - value).slice(1, 0, 3), {0, 1, 2})) < 1e-12);
}

TEST_CASE("TDPO with a value of zero and no whitening is DDPO by columns") {
  FinetuneOptions o = options_of("tdpo");
  o.tdpo.whitening = "none";
  o.tdpo.critic_lr = 0;
  o.weight_decay = 0;
  Toy critic(o);
  {
    const at::NoGradGuard no_grad;
    tdpo(critic).critic().each_parameter([](const std::string&, Tensor& t) { t.zero_(); });
  }
  o.method = "ddpo-is";
  o.update_order = "columns";
  o.advantage_clip = 0;
  Toy plain(o);
  for (Toy* toy : {&critic, &plain}) {
    toy->disturb();
    REQUIRE(toy->method->collect(toy->context, 0));
    REQUIRE(toy->method->updates_per_epoch() == 8);  // 4 trained steps x 16 samples / 8
  }
  CHECK(at::equal(inner(critic).step_advantages(), inner(plain).step_advantages()));
  for (int64_t u = 0; u < 8; ++u) {
    for (Toy* toy : {&critic, &plain}) {
      toy->zero_grad();
      toy->method->accumulate_gradients(toy->context, 0, u);
    }
    const double norm = plain.gradients().norm().item<double>();
    CHECK(norm > 1e-4);
    CHECK(largest_difference(critic.gradients(), plain.gradients()) < 1e-5 * norm);
  }
}

TEST_CASE("TDPO's critic learns the returns, and its embedding has unit length") {
  FinetuneOptions o = options_of("tdpo");
  o.tdpo.critic_init = "default";
  o.tdpo.critic_lr = 1e-2;
  o.lr = 0.0;  // the same states every time
  Toy toy(o, [](const Tensor& pixels) { return corner(pixels) - darkness(pixels); });
  double first = 0, last = 0;
  for (int64_t epoch = 0; epoch < 12; ++epoch) {
    REQUIRE(toy.method->collect(toy.context, 0));
    const int64_t updates = toy.method->updates_per_epoch();
    for (int64_t u = 0; u < updates; ++u) {
      const UpdateLog log = toy.method->accumulate_gradients(toy.context, epoch, u);
      toy.method->after_step();
      const double ev = log.values().at("critic_explained_variance");
      if (epoch == 0)
        first = ev;
      last = ev;
      CHECK(log.values().at("critic_loss") >= 0);
      CHECK(log.values().contains("critic_grad_norm"));
    }
  }
  MESSAGE("explained variance ", first, " -> ", last);
  CHECK(last > first + 0.1);
  CHECK(largest_difference(tdpo(toy).returns().select(1, 0), tdpo(toy).returns().select(1, 4)) == 0.0);  // gamma 1
}

TEST_CASE("TDPO-R resets what --tdpo.reset names, every so many epochs, and TDPO nothing") {
  // After each pass over the samples of an epoch, `inner` of them.
  const auto weights_after = [](const std::string& method, const std::string& kind, int64_t every, const std::string& seed, int64_t inner = 1) {
    FinetuneOptions o = options_of(method);
    o.inner_epochs = inner;
    o.tdpo.critic_lr = 0;  // what changes is the reset's doing
    o.tdpo.critic_init = "default";
    o.tdpo.reset = kind;
    o.tdpo.reset_every = every;
    o.tdpo.reset_seed = seed;
    o.weight_decay = 0;
    Toy toy(o);
    std::vector<Tensor> kept;
    for (int64_t epoch = 0; epoch < 2; ++epoch) {
      REQUIRE(toy.method->collect(toy.context, epoch));
      for (int64_t u = 0; u < toy.method->updates_per_epoch(); ++u) {
        toy.method->accumulate_gradients(toy.context, epoch, u);
        toy.method->after_step();
        if ((u + 1) % (toy.method->updates_per_epoch() / inner) != 0)
          continue;
        std::vector<Tensor> all;
        for (const auto& [name, tensor] : tdpo(toy).critic().parameters())
          all.push_back(tensor.detach().flatten());
        kept.push_back(at::cat(all));
      }
    }
    return kept;
  };
  const auto none = weights_after("tdpo", "active", 1, "epoch");
  CHECK(at::equal(none[0], none[1]));
  CHECK(at::equal(weights_after("tdpo-r", "none", 1, "epoch")[1], none[1]));
  const auto active = weights_after("tdpo-r", "active", 2, "epoch");
  CHECK(at::equal(active[0], none[0]));  // every second epoch
  CHECK_FALSE(at::equal(active[1], none[1]));
  const auto dormant = weights_after("tdpo-r", "dormant", 2, "epoch"), all = weights_after("tdpo-r", "all", 2, "epoch");
  CHECK_FALSE(at::equal(dormant[1], active[1]));
  const auto changed = [&](const Tensor& w) { return w.ne(none[0]).sum().item<int64_t>(); };
  CHECK(changed(dormant[1]) > 0);
  CHECK(changed(all[1]) > changed(active[1]));
  // A reset draws new weights each time, or with the published seed the same ones.
  const auto fresh = weights_after("tdpo-r", "all", 1, "epoch"), fixed = weights_after("tdpo-r", "all", 1, "fixed");
  CHECK_FALSE(at::equal(fresh[0], fresh[1]));
  CHECK(at::equal(fixed[0], fixed[1]));
  const auto twice = weights_after("tdpo-r", "all", 1, "epoch", 2), twice_fixed = weights_after("tdpo-r", "all", 1, "fixed", 2);
  REQUIRE(twice.size() == 4);
  CHECK_FALSE(at::equal(twice[0], twice[1]));
  CHECK(at::equal(twice_fixed[0], twice_fixed[1]));
}

TEST_CASE("which neurons count as dormant: by the threshold, on the samples that are looked at") {
  const auto share = [](double threshold, int64_t samples, const std::string& probe) {
    FinetuneOptions o = options_of("tdpo");
    o.tdpo.critic_init = "default";
    o.tdpo.critic_lr = 0;
    o.tdpo.dormant_threshold = threshold;
    o.tdpo.probe_n = samples;
    o.tdpo.probe = probe;
    o.weight_decay = 0;
    Toy toy(o);
    REQUIRE(toy.method->collect(toy.context, 0));
    for (int64_t u = 0; u < toy.method->updates_per_epoch(); ++u) {
      toy.method->accumulate_gradients(toy.context, 0, u);
      toy.method->after_step();
    }
    REQUIRE(toy.method->collect(toy.context, 1));
    return toy.method->accumulate_gradients(toy.context, 1, 0).values().at("critic_dormant");
  };
  CHECK(share(1e9, 16, "last-column") == 1.0);
  const double one = share(0, 1, "last-column"), all = share(0, 16, "last-column"), all_steps = share(0, 16, "all-steps");
  CHECK(one > all);  // a neuron that is silent on all samples is silent on each
  CHECK(all >= all_steps);
  CHECK(share(0, 1, "all-steps") < one);
  CHECK(all < 1.0);
}

TEST_CASE("group-relative advantages [M]") {
  const auto c = oracle("M_grpo_advantage");
  const std::vector<std::string> groups = c["inputs"]["groups"];
  const Tensor rewards = vector_of(c["inputs"]["rewards"]);
  const Tensor global = group_advantage(groups, rewards, GroupSpread::kGlobal);
  CHECK(largest_difference(global, vector_of(c["expected"]["global_std"])) < 1e-7);
  CHECK(largest_difference(group_advantage(groups, rewards, GroupSpread::kGroup), vector_of(c["expected"]["group_std"])) < 1e-7);
  for (size_t i = 0; i < groups.size(); ++i)
    CHECK((global[static_cast<int64_t>(i)].item<double>() != 0) == c["expected"]["keep"][i].get<bool>());
}

TEST_CASE("GRPO leaves samples without an advantage out of the mean, unless an update would be empty") {
  FinetuneOptions o = options_of("grpo");
  o.train_batch_size = 16;
  Toy flat(o, [](const Tensor& pixels) { return at::zeros({pixels.size(0)}, at::kDouble); });
  REQUIRE(flat.method->collect(flat.context, 0));
  flat.method->accumulate_gradients(flat.context, 0, 0);
  CHECK(flat.gradients().norm().item<double>() == 0.0);

  Toy toy(o, [](const Tensor& pixels) {  // all equal but the first: only its group has advantages
    Tensor r = at::zeros({pixels.size(0)}, at::kDouble);
    r[0] = 1.0;
    return r;
  });
  REQUIRE(toy.method->collect(toy.context, 0));
  const Tensor advantage = inner(toy).step_advantages().select(1, 0);
  const Tensor label = inner(toy).rollout().condition.label;
  for (int64_t group = 0; group < 3; ++group)
    if (const Tensor members = label.eq(group); members.any().item<bool>())
      CHECK(advantage.masked_select(members).mean().abs().item<double>() < 1e-9);
  const double kept = advantage.ne(0).sum().item<double>();
  CHECK((kept > 1 && kept < 16));
  CHECK(toy.method->accumulate_gradients(toy.context, 0, 0).values().at("transitions") == kept * 4);
}

TEST_CASE("DPOK: KL on by default, values from a network of state, step and class") {
  Toy toy(options_of("dpok"));
  toy.disturb();
  REQUIRE(toy.method->collect(toy.context, 0));
  const UpdateLog log = toy.method->accumulate_gradients(toy.context, 0, 0);
  CHECK(log.values().at("kl_exact") > 0);
  CHECK(log.values().contains("value_explained_variance"));
  CHECK(toy.method->plan().at("kl_coef") == 1e-3);

  FinetuneOptions o = options_of("dpok");
  o.dpok.value_lr = 1e-2;
  o.dpok.value_updates = 40;
  o.dpok.value_batch = 64;
  o.lr = 0.0;
  Toy fitted(o);
  double first = 0, last = 0;
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    REQUIRE(fitted.method->collect(fitted.context, 0));  // the same rollout each time
    last = fitted.method->accumulate_gradients(fitted.context, epoch, 0).values().at("value_explained_variance");
    first = epoch == 0 ? last : first;
    fitted.method->end_epoch(fitted.context, epoch);
  }
  MESSAGE("explained variance ", first, " -> ", last);
  CHECK(last > 0.5);
  CHECK(last > first + 0.3);

  o.dpok.value_updates = 0;
  o.advantage = "global";
  Toy without(o);
  REQUIRE(without.method->collect(without.context, 0));
  CHECK(largest_difference(inner(without).step_advantages().select(1, 0), global_advantage(inner(without).rollout().reward)) < 1e-12);
  o.dpok.reward = "raw";
  Toy raw(o);
  REQUIRE(raw.method->collect(raw.context, 0));
  CHECK(largest_difference(inner(raw).step_advantages().select(1, 0), inner(raw).rollout().reward) < 1e-12);
}

TEST_CASE("DPOK's value network depends on state, step and class") {
  ValueNetwork value(4, 3, 5, 1, 8);
  const at::NoGradGuard no_grad;
  const Tensor x = at::tensor({0.5, -1.0, 0.25, 2.0}, at::kFloat).view({1, 4});
  const auto at_step = [&](const Tensor& state, int64_t step, int64_t label) {
    return value.forward(state, at::tensor({step}, at::kLong), {at::tensor({label}, at::kLong)}).item<double>();
  };
  std::set<double> seen = {at_step(x, 0, 0), at_step(x, 1, 0), at_step(x, 0, 1), at_step(2 * x, 0, 0)};
  CHECK(seen.size() == 4);
  value.each_parameter([&](const std::string& name, Tensor& t) {
    if (name.rfind("gains", 0) == 0)
      CHECK((t.min().item<double>() >= 0 && t.max().item<double>() <= 1));
  });
}

TEST_CASE("the plain form of the KL term is the weighted one without its weight [K]") {
  FinetuneOptions o = options_of("dpok");
  Toy toy(o);
  toy.disturb();
  REQUIRE(toy.method->collect(toy.context, 0));
  const Rollout& r = inner(toy).rollout();
  const at::NoGradGuard no_grad;
  const int64_t n = r.size();
  for (int64_t i = 0; i < 4; ++i) {
    const Tensor step = at::full({n}, i, at::kLong), x_t = r.x.select(1, i);
    const PolicyEvaluation own = toy.policy.evaluate(x_t, r.x.select(1, i + 1), step, r.condition);
    const Tensor reference = toy.policy.reference_output(x_t, step, r.condition);
    const Tensor exact = toy.policy.kl_to_reference(own.transition, reference, x_t, step, diffusion::Reduce::kMean);
    const Tensor plain = toy.policy.noise_gap_to_reference(own.transition, reference, step);
    const double a = toy.schedule.alpha_cumprod(toy.policy.timesteps()[static_cast<size_t>(i)]);
    const double b = toy.schedule.alpha_cumprod(toy.schedule.previous_timestep(toy.policy.timesteps()[static_cast<size_t>(i)], 5));
    const double sigma = std::sqrt((1 - b) / (1 - a) * (1 - a / b));
    const double c = noise_gain(at::tensor({a}, at::kDouble), at::tensor({b}, at::kDouble), at::tensor({sigma}, at::kDouble)).item<double>();
    CHECK(plain.min().item<double>() > 0);
    CHECK(largest_difference(exact, plain * c * c / (2 * sigma * sigma)) < 1e-3 * exact.max().item<double>());
  }
}

TEST_CASE("columns in the chain's own order: an update sees one denoising step") {
  FinetuneOptions o = options_of("tdpo");
  o.step_order = "chain";
  const UpdatePlan plan = make_update_plan(16, {0, 1, 2, 3}, 1.0, 8, 1, 1, UpdateOrder::kColumns, false);
  for (int64_t u = 0; u < 8; ++u)
    for (const auto& t : plan.transitions(3, 1, u))
      CHECK(t.step == u / 2);
  const UpdatePlan shuffled = make_update_plan(16, {0, 1, 2, 3}, 1.0, 8, 1, 1, UpdateOrder::kColumns, true);
  std::set<std::pair<int64_t, int64_t>> last;
  for (int64_t u = 6; u < 8; ++u)
    for (const auto& t : shuffled.transitions(3, 1, u))
      last.emplace(t.sample, t.step);
  for (const auto& t : shuffled.probe(3, 1, 0, 64, false))
    CHECK(last.contains({t.sample, t.step}));
  CHECK(shuffled.probe(3, 1, 0, 64, false).size() == 16);
  CHECK(shuffled.probe(3, 1, 0, 5, true).size() == 20);
}
