// Steering against a target that is known exactly: all 65,536 sequences of 8 letters out of 4, a Markov chain as the model's law, its exact
// denoiser, and a linear function of 3-mer counts as reward. The target p(x) exp(r(x) / alpha) / Z is a sum.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/steering.h"

#include <cmath>

#include "diffusion/masked_process.h"
#include "unit/diffusion/helpers.h"
#include "unit/diffusion/markov_denoiser.h"

namespace plumb::diffusion {
namespace {

using namespace testing;

constexpr int64_t kLetters = 4, kLength = 8;
constexpr double kAlpha = 1.0;

/// The world: what is true of it by summation.
struct World {
  MarkovChain chain = MarkovChain::drawn(kLetters, kLength, 0.8, 17);
  NoiseSchedule schedule{ScheduleOptions{.num_train_timesteps = 60, .beta_start = 1e-3, .beta_end = 0.25, .prediction_type = "sample",
                                         .steps_offset = 0, .set_alpha_to_one = true}};
  std::unique_ptr<ReverseProcess> process = make_gaussian_process({.name = "ddpm", .num_inference_steps = 60}, schedule, {kLetters, kLength});
  ModelFunction model = gaussian_denoiser(chain, schedule);
  Tensor coefficient;                 // [4,4,4] float64, of the count of each 3-mer
  Tensor codes = chain.all();         // [65536,8]
  Tensor log_p = chain.log_prob(codes), reward, log_tilt;
  double before, after, spread, log_z;   // E r under p and under the tilt, standard deviation of r under p, log E_p exp(r / alpha)

  World() {
    std::vector<double> values;
    Philox random(23, Stream::kSubset, 1);
    for (int k = 0; k < 64; ++k) values.push_back(0.5 * random.normal());
    coefficient = at::tensor(values, at::kDouble).reshape({4, 4, 4});
    reward = of_codes(codes);
    log_tilt = log_p + reward / kAlpha;
    log_z = at::logsumexp(log_tilt, 0).item<double>();
    log_tilt = log_tilt - log_z;
    before = exact(log_p, reward);
    after = exact(log_tilt, reward);
    spread = std::sqrt(exact(log_p, reward.square()) - before * before);
  }

  Tensor of_codes(const Tensor& c) const {
    Tensor sum = at::zeros({c.size(0)}, at::kDouble);
    for (int64_t l = 0; l + 2 < kLength; ++l) sum = sum + coefficient.index({c.select(1, l), c.select(1, l + 1), c.select(1, l + 2)});
    return sum;
  }
  /// Expected counts as if letters were independent with probabilities (x + 1) / 2: equal to of_codes at the corners.
  Tensor soft(const Tensor& x0) const {
    const Tensor p = ((x0.to(at::kDouble) + 1) / 2);
    Tensor sum = at::zeros({x0.size(0)}, at::kDouble);
    for (int64_t l = 0; l + 2 < kLength; ++l) {
      sum = sum + at::einsum("bi,bj,bk,ijk->b", {p.select(2, l), p.select(2, l + 1), p.select(2, l + 2), coefficient});
    }
    return sum;
  }
  double exact(const Tensor& log_weight, const Tensor& f) const { return (log_weight.exp() * f).sum().item<double>(); }

  std::unique_ptr<Steering> steering(const SteeringOptions& options, bool with_gradient = true) const {
    const RewardFunction hard = [this](const Tensor& x, const Tensor&) { return of_codes(codes_of(x)); };
    const RewardFunction smooth = [this](const Tensor& x, const Tensor&) { return soft(x); };
    return make_steering({*process, model, hard, with_gradient ? smooth : nullptr, options, 29, at::kCPU, 1 << 20, nullptr});
  }
};

const World& world() {
  static const World once;
  return once;
}

/// Groups of draws, independent of each other; within a group they need not be.
struct Draw {
  Tensor codes;  // [groups * N, 8]
  int64_t groups = 0;
};
struct Mean {
  double value, error;
};
Mean mean_of(const Tensor& f, int64_t groups) {
  const Tensor m = f.to(at::kDouble).reshape({groups, -1}).mean(1);
  return {m.mean().item<double>(), m.std().item<double>() / std::sqrt(static_cast<double>(groups))};
}

/// Total variation between two laws on 12 bins of the reward, of equal exact probability under `log_weight`.
double histogram_distance(const World& w, const Tensor& log_weight, const Draw& draw) {
  const auto [sorted, order] = w.reward.sort();
  const Tensor mass = log_weight.index_select(0, order).exp().cumsum(0);
  std::vector<double> edges;
  for (int k = 1; k < 12; ++k) edges.push_back(sorted[(mass < k / 12.0).sum().item<int64_t>()].item<double>());
  const Tensor bounds = at::tensor(edges, at::kDouble);
  const auto share = [&](const Tensor& r, const Tensor& weight) { return at::bincount(at::bucketize(r, bounds), weight, 12); };
  const Tensor own = w.of_codes(draw.codes);
  return 0.5 * (share(w.reward, log_weight.exp()) - share(own, at::full_like(own, 1.0 / static_cast<double>(own.numel())))).abs().sum().item<double>();
}

/// Largest total variation, over the positions, between letters drawn and letters of the exact law.
double marginal_distance(const World& w, const Tensor& log_weight, const Draw& draw) {
  const Tensor exact = (at::one_hot(w.codes, kLetters) * log_weight.exp().reshape({-1, 1, 1})).sum(0);
  const Tensor own = at::one_hot(draw.codes, kLetters).to(at::kDouble).mean(0);
  return (0.5 * (exact - own).abs().sum(1)).max().item<double>();
}

std::vector<int64_t> first_items(int64_t count) {
  std::vector<int64_t> items;
  for (int64_t i = 0; i < count; ++i) items.push_back(i);
  return items;
}

}  // namespace

TEST_CASE("the denoiser of a Markov chain: forward and backward sums equal sums over all sequences") {
  const World& w = world();
  CHECK(w.log_p.exp().sum().item<double>() == doctest::Approx(1.0).epsilon(1e-12));
  const Tensor noise = at::stack({at::linspace(-2, 2, 32, at::kDouble), at::linspace(3, -1, 32, at::kDouble)}).reshape({2, kLength, kLetters});
  const Tensor marginals = w.chain.marginals(noise);
  for (int64_t b = 0; b < 2; ++b) {
    Tensor log_joint = w.log_p;
    for (int64_t l = 0; l < kLength; ++l) log_joint = log_joint + noise[b][l].index_select(0, w.codes.select(1, l));
    const Tensor posterior = at::softmax(log_joint, 0);
    CHECK(largest_difference(marginals[b], (at::one_hot(w.codes, kLetters) * posterior.reshape({-1, 1, 1})).sum(0)) < 1e-12);
  }
  // a letter that is known, and one without evidence
  Tensor masked = at::zeros({1, kLength, kLetters}, at::kDouble);
  masked.select(1, 3).fill_(-INFINITY);
  masked[0][3][2] = 0.0;
  const Tensor given = w.chain.marginals(masked)[0];
  CHECK(given[3][2].item<double>() == 1.0);
  CHECK(largest_difference(given[4], w.chain.transition[2]) < 1e-12);
  const Tensor x0 = model_space(w.codes.slice(0, 100, 110), kLetters);
  CHECK(at::equal(codes_of(x0), w.codes.slice(0, 100, 110)));
  CHECK(largest_difference(w.soft(x0), w.reward.slice(0, 100, 110)) < 1e-12);
}

TEST_CASE("control: the chain alone draws from the model's law, up to what 60 steps leave") {
  const at::NoGradGuard no_grad;
  const World& w = world();
  const Draw plain{codes_of(run_process(*w.process, w.model, {31, first_items(3000)}, {})), 3000};
  const Mean r = mean_of(w.of_codes(plain.codes), plain.groups);
  INFO("E r " << r.value << " +- " << r.error << ", exactly " << w.before);
  CHECK(std::abs(r.value - w.before) < 4 * r.error + 0.02 * w.spread);
  CHECK(marginal_distance(w, w.log_p, plain) < 0.04);   // 3000 draws leave 0.02
  CHECK(histogram_distance(w, w.log_p, plain) < 0.05);  // and 0.025
  REQUIRE(w.after - w.before > 0.8 * w.spread);         // the target is another law
  CHECK(histogram_distance(w, w.log_tilt, plain) > 0.3);
}

TEST_CASE("DAS, TDS and FK draw from the exact tilt of all 65,536 sequences") {
  const at::NoGradGuard no_grad;
  const World& w = world();
  const auto check = [&](SteeringOptions options, bool with_gradient) {
    options.alpha = kAlpha;
    options.particles = 50;
    options.keep = "all";
    const int64_t groups = 60;
    const SteeredBatch batch = w.steering(options, with_gradient)->run(first_items(groups), {});
    const Draw draw{codes_of(batch.x0), groups};
    const Mean r = mean_of(w.of_codes(draw.codes), groups);
    const Mean z = mean_of((at::tensor(batch.log_z, at::kDouble) - w.log_z).exp(), groups);
    const double marginals = marginal_distance(w, w.log_tilt, draw), rewards = histogram_distance(w, w.log_tilt, draw);
    INFO(options.method << (with_gradient ? "" : ", reward without gradient") << ": E r " << r.value << " +- " << r.error << ", exactly " << w.after
                        << "; Z / exact " << z.value << " +- " << z.error << "; TV of marginals " << marginals << ", of rewards " << rewards);
    CHECK(std::abs(r.value - w.after) < 4 * r.error + 0.05 * w.spread);  // 0.05: 60 steps, and 1/N of 50 particles
    CHECK(std::abs(z.value - 1) < 4 * z.error + 0.05);
    CHECK(marginals < 0.06);
    CHECK(rewards < 0.08);
  };
  check({.method = "das"}, true);
  check({.method = "tds"}, true);
  check({.method = "fk"}, true);
  check({.method = "fk", .every = 3}, false);
}

TEST_CASE("SVDD comes nearer to the exact tilt with more children, from below; with a reward that takes vague predictions as finished it goes past") {
  const at::NoGradGuard no_grad;
  const World& w = world();
  double last = w.before, distance = 1;
  for (const int64_t children : {2, 16}) {
    const Draw draw{codes_of(w.steering({.method = "svdd", .alpha = kAlpha, .particles = children}, true)->run(first_items(500), {}).x0), 500};
    const Mean r = mean_of(w.of_codes(draw.codes), 500);
    const double rewards = histogram_distance(w, w.log_tilt, draw);
    INFO(children << " children: E r " << r.value << " +- " << r.error << ", exactly " << w.after << "; TV of rewards " << rewards);
    CHECK(r.value > last + 4 * r.error);
    CHECK(r.value < w.after + 4 * r.error);
    CHECK(rewards < distance);
    last = r.value;
    distance = rewards;
  }
  CHECK(distance < 0.2);
  const Draw rough{codes_of(w.steering({.method = "svdd", .alpha = kAlpha, .particles = 16}, false)->run(first_items(200), {}).x0), 200};
  const Mean r = mean_of(w.of_codes(rough.codes), 200);
  CHECK(r.value > w.after + 4 * r.error);
}

TEST_CASE("masked chains are steered through the same interface: FK reaches the exact tilt of letters that are revealed one by one") {
  const at::NoGradGuard no_grad;
  const World& w = world();
  // Sites are revealed independently of each other within a step, from exact marginals: 64 steps of 8 sites leave few steps with two.
  const MaskedProcess process(64, {kLetters, kLength}, "test");
  const ModelFunction model = [&](size_t, const Tensor& state, const Tensor&, const nn::Condition&) {
    const Tensor letters = state.narrow(1, 0, kLetters).to(at::kDouble), mask = state.narrow(1, kLetters, 1).to(at::kDouble);
    const Tensor evidence = ((1 - mask) * (1 - letters) * -1e4).transpose(1, 2);  // a revealed letter is known, a masked one says nothing
    return w.chain.marginals(evidence).clamp_min(1e-30).log().transpose(1, 2).to(state.scalar_type());
  };
  const RewardFunction hard = [&](const Tensor& x, const Tensor&) { return w.of_codes(codes_of(x)); };
  const Draw plain{codes_of(run_process(process, model, {31, first_items(2000)}, {})), 2000};
  const Mean base = mean_of(w.of_codes(plain.codes), 2000);
  CHECK_MESSAGE(std::abs(base.value - w.before) < 4 * base.error + 0.02 * w.spread, base.value << " +- " << base.error << ", exactly " << w.before);
  CHECK(marginal_distance(w, w.log_p, plain) < 0.05);

  const SteeringOptions options{.method = "fk", .alpha = kAlpha, .particles = 50, .keep = "all", .every = 4};
  const SteeredBatch batch = make_steering({process, model, hard, nullptr, options, 29, at::kCPU, 1 << 20, nullptr})->run(first_items(60), {});
  const Draw draw{codes_of(batch.x0), 60};
  const Mean r = mean_of(w.of_codes(draw.codes), 60), z = mean_of((at::tensor(batch.log_z, at::kDouble) - w.log_z).exp(), 60);
  INFO("E r " << r.value << " +- " << r.error << ", exactly " << w.after << "; Z / exact " << z.value << " +- " << z.error << "; TV of rewards " << histogram_distance(w, w.log_tilt, draw));
  CHECK(std::abs(r.value - w.after) < 4 * r.error + 0.05 * w.spread);
  CHECK(std::abs(z.value - 1) < 4 * z.error + 0.05);
  CHECK(histogram_distance(w, w.log_tilt, draw) < 0.1);
}

}  // namespace plumb::diffusion
