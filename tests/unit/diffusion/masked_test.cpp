// Masked diffusion: steps, their KL, training, and chains of a model that is known exactly.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/masked.h"

#include <cmath>

#include <torch/csrc/autograd/autograd.h>

#include "core/error.h"
#include "diffusion/forward_process.h"
#include "diffusion/likelihood.h"
#include "diffusion/masked_process.h"
#include "diffusion/steering.h"
#include "nn/data.h"
#include "unit/diffusion/helpers.h"
#include "unit/diffusion/masked_markov.h"
#include "unit/gradcheck.h"

namespace plumb::diffusion {
namespace {

using namespace testing;

Tensor sites(const Json& rows) { return tensor_of(rows).t().unsqueeze(0).contiguous(); }  // [[K] a site] -> [1,K,L]

Draws draws_of(int64_t count, uint64_t seed = 1, int64_t first = 0) {
  Draws draws;
  draws.seed = seed;
  for (int64_t i = 0; i < count; ++i) draws.items.push_back(first + i);
  return draws;
}

Tensor codes_of(const Tensor& x0) { return x0.argmax(1); }

/// [1,5,4]: letters A, G, a mask, a mask.
Tensor mixed_state() {
  Tensor state = at::zeros({1, 5, 4});
  state[0][0][0] = state[0][2][1] = state[0][4][2] = state[0][4][3] = 1.0;
  return state;
}

}  // namespace

TEST_CASE("mask chances and the times of a chain") {
  CHECK(mask_chance(1.0) == doctest::Approx(0.999));
  const std::vector<double> times = mask_times(128);
  REQUIRE(times.size() == 129);
  CHECK(times.front() == 1.0);
  CHECK(times.back() == doctest::Approx(1e-5));
  CHECK(times[1] == doctest::Approx(1.0 - (1.0 - 1e-5) / 128));
}

TEST_CASE("case masked_step: probabilities of a step, the relaxed and the hard draw") {
  const Json one = offline_case("masked_step");
  const Json& in = one.at("inputs");
  const Json& expected = one.at("expected");
  const double t = in.at("t").get<double>(), s = in.at("s").get<double>();  // the case's chance is m(t) = t
  const Tensor log_p = sites(in.at("p_x0")).log(), gumbel = sites(in.at("gumbel"));
  const Tensor state = all_masked(1, 4, 2, at::kDouble), log_q = masked_step_log_probs(log_p, t, s);
  check_close(log_q.exp()[0].t(), expected.at("q_norm"));
  check_close(log_q.exp()[0].t() * t, expected.at("q"));
  check_close(relaxed_masked_step(state, log_q, gumbel, in.at("tau").get<double>())[0].t(), expected.at("y"));
  const Tensor next = masked_step(state, log_q, gumbel);
  CHECK(at::equal(next.argmax(1)[0], tensor_of(expected.at("hard")).to(at::kLong)));
  CHECK(next.sum().item<double>() == 2);
}

TEST_CASE("case masked_step_kl: sums over masked sites; the published weight sees nothing of one-hot states") {
  const Json one = offline_case("masked_step_kl");
  const Json& in = one.at("inputs");
  const double t = in.at("t").get<double>(), s = in.at("s").get<double>();
  const Tensor p = sites(in.at("p")).log(), p_old = sites(in.at("p_old")).log();
  for (const int64_t site : {0, 1}) {
    const Tensor kl = masked_step_kl(all_masked(1, 4, 1, at::kDouble), p.narrow(2, site, 1) + 3.0, p_old.narrow(2, site, 1), t, s);  // logits need no norm
    CHECK(kl.item<double>() == doctest::Approx(one.at("expected").at("per_site")[static_cast<size_t>(site)].get<double>()).epsilon(1e-6));
  }
  const Tensor state = all_masked(1, 4, 2, at::kDouble);
  CHECK(masked_step_kl(state, p, p_old, t, s).item<double>() == doctest::Approx(one.at("expected").at("total").get<double>()).epsilon(1e-6));
  CHECK(published_step_kl(state, p, p_old, t).item<double>() == 0.0);
  CHECK(masked_step_kl(state, p, p, t, s).item<double>() == 0.0);
  Tensor revealed = at::zeros({1, 5, 2}, at::kDouble);
  revealed[0][1][0] = revealed[0][4][1] = 1.0;  // C, and a mask: only the mask counts
  CHECK(masked_step_kl(revealed, p, p_old, t, s).item<double>() ==
        doctest::Approx(one.at("expected").at("per_site")[1].get<double>()).epsilon(1e-6));
  // Relaxed states: the mask's share weighs; the published code takes (1 - share) letter share / m_t.
  Tensor soft = all_masked(1, 4, 2, at::kDouble) * 0.6;
  soft.select(1, 2).fill_(0.4);
  CHECK(masked_step_kl(soft, p, p_old, t, s).item<double>() == doctest::Approx(0.6 * one.at("expected").at("total").get<double>()).epsilon(1e-6));
  const Tensor gap = (p.exp() * (p - p_old) - p.exp() + p_old.exp()).select(1, 2).sum();
  CHECK(published_step_kl(soft, p, p_old, t).item<double>() == doctest::Approx(0.4 * 0.4 / t * gap.item<double>()).epsilon(1e-6));
}

TEST_CASE("a masked site has the network's letters, a revealed one its own") {
  const Tensor output = at::arange(16, at::kFloat).reshape({1, 4, 4}) / 7, p = letter_log_probs(output, mixed_state()).exp();
  CHECK(at::equal(p.select(2, 0)[0], at::tensor({1.0, 0.0, 0.0, 0.0}, at::kFloat)));
  CHECK(at::equal(p.select(2, 1)[0], at::tensor({0.0, 0.0, 1.0, 0.0}, at::kFloat)));
  CHECK(largest_difference(p.narrow(2, 2, 2), output.narrow(2, 2, 2).softmax(1)) < 1e-6);
  const MaskedProcess process(4, {4, 4}, "test");
  for (const int64_t i : {0, 2, 3}) {
    const Tensor next = process.advance(i, mixed_state(), output, process.noise(i, draws_of(1)));
    CHECK(at::equal(next.narrow(2, 0, 2), mixed_state().narrow(2, 0, 2)));  // letters stay
    CHECK((next.sum(1) == 1).all().item<bool>());
    if (i == 3) CHECK(mask_share(next).sum().item<double>() == 0);
  }
  CHECK(at::equal(codes_of(process.predicted_x0(1, mixed_state(), output)), at::tensor({0, 2, 3, 3}, at::kLong).unsqueeze(0)));
  CHECK(process.predicted_x0(1, mixed_state(), output).abs().eq(1).all().item<bool>());
  CHECK_FALSE(process.transition(0, mixed_state(), output));
  CHECK(process.is_markov());
  CHECK_THROWS_WITH_AS(MaskedProcess(4, {1, 8, 8}, "m.h5"), doctest::Contains("masked diffusion is of sequences"), Error);
}

TEST_CASE("gradients of the relaxed step, of both KL forms and of the loss equal central differences") {
  const auto random = [](std::vector<int64_t> shape, int64_t item) { return nn::normal_noise(5, 99, {item}, 0, shape, at::kCPU).to(at::kDouble)[0]; };
  const Tensor output = random({2, 3, 4}, 0), reference = random({2, 3, 4}, 1), gumbel = random({2, 4, 4}, 2), weight = random({2, 4, 4}, 3);
  Tensor state = random({2, 4, 4}, 4).softmax(1).detach();
  const auto step = [&] { return (relaxed_masked_step(state, masked_step_log_probs(letter_log_probs(output, state), 0.5, 0.4), gumbel, 0.7) * weight).sum(); };
  CHECK(test::gradient_error(step, {output, state}) < 1e-6);
  CHECK(test::gradient_error([&] { return masked_step_kl(state, output, reference, 0.5, 0.4).sum(); }, {output, reference, state}) < 1e-6);
  CHECK(test::gradient_error([&] { return published_step_kl(state, output, reference, 0.5).sum(); }, {output, reference, state}) < 1e-6);
  const Tensor x0 = at::one_hot(at::tensor({0, 1, 2, 0, 1, 1, 2, 0}, at::kLong).reshape({2, 4}), 3).transpose(1, 2).to(at::kDouble) * 2 - 1;
  const Tensor t = at::tensor({0.3, 0.8}, at::kDouble), noised = mask_letters(x0, t, 3, 0);
  CHECK(test::gradient_error([&] { return masked_loss(output, x0, noised, t).sum(); }, {output}) < 1e-6);
  const Tensor whole = mask_letters(x0, at::full({2}, 0.7), 2, 0);
  const auto letter_step = [&] { return (relaxed_letter_step(whole, letter_log_probs(output, whole), 0.5, 0.2, gumbel, 0.7) * weight).sum(); };
  CHECK(test::gradient_error(letter_step, {output}) < 1e-6);
  const Tensor log_q = masked_step_log_probs(letter_log_probs(output, whole), 0.5, 0.2).detach();
  CHECK(largest_difference(relaxed_masked_step(whole, log_q, gumbel, 1e-4), masked_step(whole, log_q, gumbel)) < 1e-6);
  // The last step leaves no mask, and its gradient stays finite.
  Tensor last = output.detach().clone().set_requires_grad(true);
  (relaxed_masked_step(state, masked_step_log_probs(letter_log_probs(last, state), 0.01, 0.0), gumbel, 1.0) * weight).sum().backward();
  CHECK(at::isfinite(last.grad()).all().item<bool>());
  // Straight through: the value is one-hot, the gradient that of the shares.
  Tensor shares = random({1, 3, 2}, 7).set_requires_grad(true);
  const Tensor hard = straight_through(shares);
  CHECK((hard.eq(0) + hard.eq(1)).all().item<bool>());
  (hard * weight[0].narrow(0, 0, 3).narrow(1, 0, 2)).sum().backward();
  CHECK(at::equal(shares.grad()[0], weight[0].narrow(0, 0, 3).narrow(1, 0, 2)));
}

TEST_CASE("letters alone relaxed: sites are revealed with their chance, letters have theirs, and a revealed site is left alone") {
  const int64_t n = 20000;
  const Tensor log_p = at::tensor({0.1, 0.2, 0.3, 0.4}, at::kFloat).log().view({1, 4, 1}).expand({n, 4, 1}), state = all_masked(n, 4, 1, at::kFloat);
  const Tensor next = relaxed_letter_step(state, log_p, 0.8, 0.7, gumbel_noise(2, Stream::kGumbel, draws_of(n).items, 0, {5, 1}, at::kCPU), 0.5);
  CHECK(largest_difference(next.sum(1), at::ones({n, 1})) < 1e-5);
  const Tensor masked = mask_share(next).flatten();
  CHECK((masked.eq(0) + masked.eq(1)).all().item<bool>());
  CHECK(std::abs(masked.mean().item<double>() - 0.875) < 4 * std::sqrt(0.875 * 0.125 / static_cast<double>(n)));
  const Tensor letters = next.narrow(1, 0, 4).squeeze(2).index({masked.eq(0)}).argmax(1);
  for (int64_t k = 0; k < 4; ++k) {
    const double p = 0.1 * static_cast<double>(k + 1);
    CHECK(std::abs(letters.eq(k).to(at::kDouble).mean().item<double>() - p) < 4 * std::sqrt(p * (1 - p) / static_cast<double>(letters.size(0))));
  }
  CHECK(at::equal(relaxed_letter_step(next, log_p, 0.8, 0.7, gumbel_noise(3, Stream::kGumbel, draws_of(n).items, 0, {5, 1}, at::kCPU), 0.5).index({masked.eq(0)}), next.index({masked.eq(0)})));
  CHECK(mask_share(relaxed_letter_step(state, log_p, 0.8, 0.0, gumbel_noise(2, Stream::kGumbel, draws_of(n).items, 0, {5, 1}, at::kCPU), 0.5)).sum().item<double>() == 0);
}

TEST_CASE("discrete twisted proposal: normalised, and its weights give back the base law") {
  const Tensor log_p = at::tensor({0.1, 0.2, 0.3, 0.4}, at::kDouble).log().reshape({1, 4, 1}), gain = at::tensor({1.0, -0.5, 0.3, 2.0}, at::kDouble).reshape({1, 4, 1});
  const TwistedStep twisted = twisted_step(log_p, gain);
  CHECK(twisted.log_q.exp().sum().item<double>() == doctest::Approx(1.0));
  const Tensor masked = all_masked(1, 3, 1, at::kDouble);
  for (int64_t k = 0; k < 4; ++k) {
    const Tensor next = at::one_hot(at::full({1, 1}, k, at::kLong), 4).transpose(1, 2).to(at::kDouble);
    const double ratio = twisted_log_ratio(twisted, gain, masked, next).item<double>();
    CHECK(twisted.log_q[0][k][0].item<double>() + ratio == doctest::Approx(log_p[0][k][0].item<double>()));  // q p/q = p
    CHECK(twisted_log_ratio(twisted, gain, next, next).item<double>() == (k == 3 ? ratio : 0.0));  // revealed sites have no part
  }
}

TEST_CASE("Gumbel noise is standard, keyed by item and step, whatever the batch") {
  const Tensor noise = gumbel_noise(4, Stream::kGumbel, draws_of(2000).items, 3, {10}, at::kCPU).to(at::kDouble);
  CHECK(noise.mean().item<double>() == doctest::Approx(0.5772).epsilon(0.04));
  CHECK(noise.std().item<double>() == doctest::Approx(1.2825).epsilon(0.03));
  CHECK(at::equal(gumbel_noise(4, Stream::kGumbel, {7}, 3, {10}, at::kCPU)[0].to(at::kDouble), noise[7]));
  CHECK_FALSE(at::equal(gumbel_noise(4, Stream::kGumbel, {7}, 4, {10}, at::kCPU)[0].to(at::kDouble), noise[7]));
}

TEST_CASE("training: stratified times, the share that is masked, the weight, and a bound that the exact network attains") {
  const Tensor times = masked_training_times(8, 5, 80);
  for (int64_t i = 0; i < 8; ++i) {
    const double u = (times[i].item<double>() - 1e-3) / (1 - 1e-3) * 8;
    CHECK(u >= static_cast<double>(i) - 1e-9);
    CHECK(u < static_cast<double>(i + 1) + 1e-9);
  }
  for (const double t : {0.01, 0.4, 0.9}) {  // sigma' / (e^sigma - 1) = 1 / t
    const auto sigma = [](double at) { return -std::log(1 - mask_chance(at)); };
    const double slope = (sigma(t + 1e-6) - sigma(t - 1e-6)) / 2e-6;
    CHECK(slope / (std::exp(sigma(t)) - 1) == doctest::Approx(1 / t).epsilon(1e-6));
  }
  // Data of the chain itself, drawn from the whole space.
  const Tensor all = all_designs(8);
  const int64_t n = 8192;
  Tensor cumulative = markov_log_prob(all).exp().cumsum(0), u = at::empty({n}, at::kDouble);
  for (int64_t i = 0; i < n; ++i) u.mutable_data_ptr<double>()[i] = Philox(8, Stream::kShuffle, static_cast<uint64_t>(i)).uniform();
  const Tensor codes = all.index_select(0, at::searchsorted(cumulative, u).clamp_max(all.size(0) - 1)), x0 = one_hot_letters(codes) * 2 - 1;
  const Tensor t = masked_training_times(n, 5, 0), state = mask_letters(x0, t, 5, 0);
  CHECK(mask_share(state).mean().item<double>() == doctest::Approx(0.999 * 0.5005).epsilon(0.02));
  CHECK(at::equal(mask_letters(x0.narrow(0, 100, 3), t.narrow(0, 100, 3), 5, 100), state.narrow(0, 100, 3)));
  CHECK(at::equal(state.narrow(1, 0, 4) * (1 - mask_share(state)), revealed_state(x0).narrow(1, 0, 4) * (1 - mask_share(state))));
  const Tensor exact = masked_loss(markov_log_posterior(state), x0, state, t).to(at::kDouble);
  const double entropy = -(markov_log_prob(all).exp() * markov_log_prob(all)).sum().item<double>() / 8;
  const double se = exact.std().item<double>() / std::sqrt(static_cast<double>(n));
  CHECK(std::abs(exact.mean().item<double>() - entropy) < 4 * se + 2e-3);  // times below 1e-3 are left out
  CHECK(se < 0.02);
  CHECK(masked_loss(at::zeros({n, 4, 8}), x0, state, t).mean().item<double>() == doctest::Approx(std::log(4.0)).epsilon(0.03));
}

TEST_CASE("the masked process by its model.schedule: training, network and chain, and what is refused") {
  const nlohmann::ordered_json schedule{{"process", "masked"}};
  const io::Space space{"sequence", {8}, "ACGT"};
  const auto forward = make_forward_process(schedule, {}, space, "m.h5");
  CHECK((forward->schedule() == schedule));
  CHECK((complete_schedule(schedule, "m.h5") == schedule));
  MarkovDenoiser network;
  const Tensor x0 = one_hot_letters(all_designs(8).slice(0, 0, 65536, 4096)) * 2 - 1;
  const Tensor loss = forward->loss(network, x0, {}, 7, 32), t = masked_training_times(16, 7, 32), state = mask_letters(x0, t, 7, 32);
  CHECK(at::equal(loss, masked_loss(markov_log_posterior(state), x0, state, t)));
  nlohmann::ordered_json config{{"type", "conv1d"}, {"config", {{"channels", 4}}}};
  forward->fit_network(config);
  CHECK((config.at("config") == nlohmann::ordered_json{{"channels", 5}, {"out_channels", 4}, {"use_time", false}, {"num_train_timesteps", 1000}}));
  SamplerOptions sampler;
  resolve_sampler_options(sampler, schedule, [](const std::string&) { return false; });
  CHECK(sampler.num_inference_steps == 128);
  const auto process = make_reverse_process(schedule, sampler, {4, 8}, "m.h5");
  CHECK(process->steps() == 128);
  CHECK((process->state_shape() == std::vector<int64_t>{5, 8}));
  CHECK(process->timestep(0, 2, at::kCPU)[1].item<float>() == 1000);
  CHECK_THROWS_WITH_AS(resolve_sampler_options(sampler, schedule, [](const std::string& option) { return option == "sampler"; }), doctest::Contains("--sampler"), Error);
  CHECK_THROWS_WITH_AS(make_reverse_process({{"process", "masked"}, {"beta", 1}}, sampler, {4, 8}, "m.h5"), doctest::Contains("unknown key 'beta'"), Error);
  CHECK_THROWS_WITH_AS(make_forward_process(schedule, {}, io::Space{"vector", {8}, ""}, "--process"), doctest::Contains("masked diffusion is for sequences"), Error);
}

TEST_CASE("chains of the exact network have its law: marginals, pairs, mean reward; batches do not matter") {
  const at::NoGradGuard no_grad;
  MarkovDenoiser network;
  const ModelFunction model = [&](size_t, const Tensor& x, const Tensor& t, const nn::Condition& c) { return network.forward(x, t, c); };
  const MaskedProcess process(128, {4, 8}, "test");
  const int64_t n = 3000;
  const Tensor x0 = run_process(process, model, draws_of(n, 2), {}), codes = codes_of(x0);
  REQUIRE((x0.sizes() == at::IntArrayRef({n, 4, 8})));
  CHECK(x0.abs().eq(1).all().item<bool>());
  const Tensor all = all_designs(8), p = markov_log_prob(all).exp();
  CHECK(p.sum().item<double>() == doctest::Approx(1.0));
  const Tensor letters = one_hot_letters(all).to(at::kDouble);
  const auto within = [&](const Tensor& indicator_all, const Tensor& indicator, double slack) {  // [4^8], [n]: 4 standard errors
    const double mean = (p * indicator_all).sum().item<double>();
    const double sd = ((p * indicator_all.square()).sum() - mean * mean).sqrt().item<double>();
    return std::abs(indicator.mean().item<double>() - mean) < 4 * sd / std::sqrt(static_cast<double>(n)) + slack;
  };
  const Tensor drawn = one_hot_letters(codes).to(at::kDouble);
  for (int64_t l = 0; l < 8; ++l)
    for (int64_t k = 0; k < 4; ++k) CHECK(within(letters.select(2, l).select(1, k), drawn.select(2, l).select(1, k), 0));
  // Neighbours revealed in one step are drawn independently: one pair in 128, at most 0.2 off.
  for (int64_t l = 0; l < 7; ++l)
    for (int64_t k = 0; k < 4; ++k)
      CHECK(within(letters.select(2, l).select(1, k) * letters.select(2, l + 1).select(1, k), drawn.select(2, l).select(1, k) * drawn.select(2, l + 1).select(1, k), 2e-3));
  CHECK(within(trimer_reward(letters), trimer_reward(drawn), 0.02));
  CHECK(at::equal(run_process(process, model, draws_of(2, 2, 31), {}), x0.narrow(0, 31, 2)));
}

TEST_CASE("the bound of masked letters is log p itself for the exact network, and lower for another; items and batches alike") {
  const at::NoGradGuard no_grad;
  MarkovDenoiser exact;
  const Tensor codes = all_designs(8).slice(0, 7, 65536, 1001), x0 = one_hot_letters(codes) * 2 - 1, truth = markov_log_prob(codes);
  const Tensor bound = masked_bound(exact, x0, {}, 256, 4);
  const Tensor error = bound - truth;  // of the masks, which all items share
  CHECK(error.abs().mean().item<double>() < 0.35);
  CHECK(std::abs(error.mean().item<double>()) < 0.1);
  CHECK(largest_difference(masked_bound(exact, x0.narrow(0, 3, 2), {}, 256, 4), bound.narrow(0, 3, 2)) < 1e-5);
  CHECK_FALSE(at::equal(masked_bound(exact, x0, {}, 256, 5), bound));
  class Uniform : public nn::Denoiser {
   public:
    Tensor forward(const Tensor& state, const Tensor&, const nn::Condition&) override { return at::zeros({state.size(0), 4, state.size(2)}); }
    io::Json config() const override { return {}; }
  } uniform;
  CHECK(largest_difference(masked_bound(uniform, x0, {}, 16, 4), at::full({x0.size(0)}, -8 * std::log(4.0), at::kDouble)) < 1e-9);
}

TEST_CASE("steering reaches the exact tilt of the whole space: Feynman-Kac and twisted particles, their normalisers, and svdd on the way") {
  const at::NoGradGuard no_grad;
  MarkovDenoiser network;
  const MaskedProcess process(32, {4, 8}, "test");
  const double alpha = 2.0;
  const ExactTilt tilt = exact_tilt(all_designs(8), alpha);
  const Tensor designs = all_designs(8), value = trimer_reward(one_hot_letters(designs)).to(at::kDouble);
  const double z = (markov_log_prob(designs) + value / alpha).exp().sum().item<double>();
  const RewardFunction reward = [](const Tensor& x0, const Tensor&) { return trimer_reward((x0 + 1) / 2); };
  const int64_t groups = 60;
  const auto run = [&](SteeringOptions options) {
    if (options.method != "svdd") options.keep = "all";
    const SteeringContext context{process, [&](size_t, const Tensor& x, const Tensor& t, const nn::Condition& c) { return network.forward(x, t, c); },
                                  reward, reward, options, 5, at::kCPU, 8192, nullptr};
    const SteeredBatch batch = make_steering(context)->run(draws_of(groups).items, {});
    const Tensor mean = reward(batch.x0, {}).to(at::kDouble).reshape({groups, -1}).mean(1);
    const double error = mean.std().item<double>() / std::sqrt(static_cast<double>(groups));
    if (!batch.log_z.empty()) {
      const Tensor own = at::tensor(batch.log_z, at::kDouble).exp();
      CHECK_MESSAGE(std::abs(own.mean().item<double>() - z) < 4 * own.std().item<double>() / std::sqrt(static_cast<double>(groups)) + 0.02 * z, options.method << " Z " << own.mean().item<double>() << " for " << z);
    }
    return std::pair(mean.mean().item<double>(), error);
  };
  for (const char* method : {"fk", "tds"}) {
    const auto [mean, error] = run({.method = method, .alpha = alpha, .particles = 32});
    CHECK_MESSAGE(std::abs(mean - tilt.reward) < 4 * error + 0.03, method << " " << mean << " +- " << error << " for " << tilt.reward << ", base " << tilt.reward_pre);
    CHECK(error < 0.15);
  }
  const auto [svdd, error] = run({.method = "svdd", .alpha = alpha, .particles = 8});
  CHECK(svdd > tilt.reward_pre + 2 * error);
}

TEST_CASE("the KL of whole chains is that of their laws") {
  // Independent letters: any chain's path KL is the KL of its designs, L sum p log p / q, in each run: all sites are revealed once.
  const MaskedProcess process(16, {4, 6}, "test");
  const Tensor own = at::tensor({0.1, 0.2, 0.3, 0.4}, at::kDouble).log(), other = at::tensor({0.25, 0.25, 0.4, 0.1}, at::kDouble).log();
  const auto expand = [](const Tensor& log_p, int64_t batch) { return log_p.to(at::kFloat).reshape({1, 4, 1}).expand({batch, 4, 6}); };
  Tensor kl = at::zeros({500}, at::kDouble);
  const ModelFunction model = [&](size_t, const Tensor& x, const Tensor&, const nn::Condition&) { return expand(own, x.size(0)); };
  run_process(process, model, draws_of(500), {}, [&](int64_t i, const Tensor& state, const Tensor& output, const Tensor&) {
    kl += process.step_kl(i, state, output, expand(other, state.size(0)));
  });
  const double expected = 6 * (own.exp() * (own - other)).sum().item<double>();
  CHECK(std::abs(kl.mean().item<double>() - expected) < 4 * kl.std().item<double>() / std::sqrt(500.0));
  CHECK(kl.mean().item<double>() == doctest::Approx(expected).epsilon(0.03));
}

}  // namespace plumb::diffusion
