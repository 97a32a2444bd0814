// STRL and BRAID: the KL of a path, its gradient, what it makes of a Gaussian, and the tilts that they aim at.
// SPDX-License-Identifier: Apache-2.0
#include "align/strl.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <numeric>

#include "align/gold.h"
#include "core/error.h"
#include "nn/adamw.h"
#include "nn/denoiser_fit.h"
#include "nn/mixture_denoiser.h"
#include "oracle.h"
#include "toy.h"

using namespace plumb;
using namespace plumb::align;

namespace {

/// One case of tests/numeric/offline-design.json by name.
nlohmann::json design(const std::string& name) {
  const char* root = std::getenv("PLUMB_SOURCE_DIR");
  std::ifstream file(std::string(root ? root : ".") + "/tests/numeric/offline-design.json");
  REQUIRE(file.good());
  const nlohmann::json all = nlohmann::json::parse(file);
  for (const auto& entry : all.at("cases"))
    if (entry.at("name") == name)
      return entry;
  FAIL("no case " << name);
  return {};
}

Tensor smooth(const Tensor& pixels) { return (pixels - 0.3 * pixels.square()).flatten(1).mean(1); }

FinetuneOptions strl_options() {
  FinetuneOptions o = toy_options();
  o.method = "strl";
  o.strl.alpha = 0.5;
  return o;
}

Tensor first_gradient(Toy& toy, UpdateLog* figures = nullptr) {
  REQUIRE(toy.method->collect(toy.context, 0));
  toy.zero_grad();
  const UpdateLog log = toy.method->accumulate_gradients(toy.context, 0, 0);
  if (figures != nullptr)
    *figures = log;
  return toy.gradients();
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

/// p exp(f / alpha) / Z.
Tensor tilt(const Tensor& p, const Tensor& f, double alpha) { return at::softmax(p.log() + f / alpha, 0); }
double kl_of(const Tensor& pi, const Tensor& p) { return (pi * (pi / p).log()).sum().item<double>(); }

class FakeConservative final : public rewards::Reward {
 public:
  Tensor score(const rewards::RewardBatch& batch) override { return darkness(batch.items.to(at::kDouble)); }
  bool differentiable() const override { return true; }
  Tensor score_differentiable(const Tensor& x0, const Tensor&) override { return smooth(x0); }
  bool is_conservative() const override { return true; }
  io::Json describe() const override { return {{"name", "fake"}}; }
};

/// c x of vectors of one number.
class Linear1 final : public rewards::Reward {
 public:
  explicit Linear1(double c) : c_(c) {}
  Tensor score(const rewards::RewardBatch& batch) override { return c_ * batch.items.to(at::kDouble).flatten(1).sum(1); }
  bool differentiable() const override { return true; }
  Tensor score_differentiable(const Tensor& x0, const Tensor&) override { return c_ * x0.flatten(1).sum(1); }
  io::Json describe() const override { return {{"name", "linear"}}; }

 private:
  double c_;
};

}  // namespace

TEST_CASE("the KL of a path in its three forms: means, drifts, noise predictions [path_kl]") {
  const auto means = design("path_kl_means");
  const Tensor own = matrix_of(means["inputs"]["mu_theta"]), base = matrix_of(means["inputs"]["mu_pre"]);
  const Tensor steps = diffusion::gaussian_kl(own, base, vector_of(means["inputs"]["sigma2"]).sqrt(), diffusion::Reduce::kSum);
  CHECK(largest_difference(steps, vector_of(means["expected"]["per_step"])) < 1e-6);
  CHECK(steps.sum().item<double>() == doctest::Approx(means["expected"]["total"].get<double>()).epsilon(1e-6));

  const auto drift = design("path_kl_drift");  // x + f dt against x + f_pre dt, deviation sigma sqrt(dt)
  const double dt = drift["inputs"]["dt"];
  const Tensor by_drift = diffusion::gaussian_kl(matrix_of(drift["inputs"]["f_theta"]) * dt, matrix_of(drift["inputs"]["f_pre"]) * dt,
                                                 vector_of(drift["inputs"]["sigma"]) * std::sqrt(dt), diffusion::Reduce::kSum);
  CHECK(largest_difference(by_drift, vector_of(drift["expected"]["per_step"])) < 1e-6);

  const auto noise = design("path_kl_ddpm_eps");
  const Tensor a = at::full({1}, noise["inputs"]["abar"].get<double>(), at::kDouble);
  const Tensor b = at::full({1}, noise["expected"]["abar_prev"].get<double>(), at::kDouble), x = at::zeros({1, 2}, at::kDouble);
  for (const auto& [variance, expected] : {std::pair(diffusion::StepVariance::kBeta, "kl_sigma2_beta"),
                                           std::pair(diffusion::StepVariance::kPosterior, "kl_posterior_var")}) {
    const auto step = [&, v = variance](const char* eps) {
      return diffusion::ddpm_transition(diffusion::PredictionType::kEpsilon, vector_of(noise["inputs"][eps]).unsqueeze(0), x, a, b, v);
    };
    const diffusion::Transition theta = step("eps_theta"), pre = step("eps_pre");
    CHECK(diffusion::gaussian_kl(theta.mean, pre.mean, theta.sigma, diffusion::Reduce::kSum).item<double>() ==
          doctest::Approx(noise["expected"][expected].get<double>()).epsilon(1e-6));
  }
}

TEST_CASE("exact tilts: of four designs with the bound on regret, and of a Gaussian [exact_tilt]") {
  const auto c = design("exact_tilt_discrete");
  const Tensor p = vector_of(c["inputs"]["p_pre"]), r = vector_of(c["inputs"]["r_true"]), rhat = vector_of(c["inputs"]["r_hat"]),
               g = vector_of(c["inputs"]["g"]);
  const double alpha = c["inputs"]["alpha"];
  const auto expected = [&](const char* key) { return doctest::Approx(c["expected"][key].get<double>()).epsilon(1e-6); };
  const Tensor strl = tilt(p, rhat, alpha), braid = tilt(p, rhat - g, alpha);
  const auto j = [&](const Tensor& pi) { return (pi * r).sum().item<double>(); };
  CHECK(largest_difference(strl, vector_of(c["expected"]["pi_strl"])) < 1e-6);
  CHECK(largest_difference(braid, vector_of(c["expected"]["pi_braid"])) < 1e-6);
  CHECK(j(strl) == expected("J_strl"));
  CHECK(j(braid) == expected("J_braid"));
  CHECK((strl * rhat).sum().item<double>() == expected("proxy_strl"));
  CHECK(kl_of(strl, p) == expected("KL_strl"));
  CHECK(kl_of(braid, p) == expected("KL_braid"));
  // J(pi) - J(braid) <= 2 E_pi g + alpha KL(pi || p) for every pi where |r - rhat| <= g: Uehara et al. 2024 (BRAID), theorem 2.
  CHECK((r - rhat).abs().le(g + 1e-12).all().item<bool>());
  CHECK(r[2].item<double>() - j(braid) == expected("regret_vs_design3"));
  CHECK(2 * g[2].item<double>() - alpha * std::log(p[2].item<double>()) == expected("bound_design3"));
  for (int64_t i = 0; i < 200; ++i) {
    const Tensor pi = at::softmax(3 * nn::normal_noise(1, 97, {i}, 0, {4}, at::kCPU).to(at::kDouble).flatten(), 0);
    CHECK(j(pi) - j(braid) <= 2 * (pi * g).sum().item<double>() + alpha * kl_of(pi, p) + 1e-12);
  }

  const auto gaussian = design("exact_tilt_gaussian");
  const double slope = gaussian["inputs"]["c"], at_alpha = gaussian["inputs"]["alpha"];
  const Tensor x = at::linspace(-10, 14, 24001, at::kDouble), weights = at::softmax(-0.5 * x.square(), 0);
  const Tensor pi = tilt(weights, slope * x, at_alpha);
  const double mean = (pi * x).sum().item<double>();
  CHECK(mean == doctest::Approx(gaussian["expected"]["mean"].get<double>()).epsilon(1e-6));
  CHECK((pi * (x - mean).square()).sum().item<double>() == doctest::Approx(gaussian["expected"]["var"].get<double>()).epsilon(1e-6));
  CHECK(kl_of(pi, weights) == doctest::Approx(gaussian["expected"]["kl"].get<double>()).epsilon(1e-6));
  CHECK(slope * mean == doctest::Approx(gaussian["expected"]["expected_reward"].get<double>()).epsilon(1e-6));
}

TEST_CASE("at step 0 the path's KL is exactly 0, and so is its gradient") {
  for (const bool full : {false, true}) {
    CAPTURE(full);
    FinetuneOptions o = strl_options();
    o.full = full;
    Toy toy(o, smooth);
    UpdateLog log, plain;
    const Tensor gradient = first_gradient(toy, &log);
    CHECK(log.values().at("kl_path") == 0.0);
    CHECK(log.values().at("kl_kept") == 0.0);
    CHECK(log.values().at("kept_steps") == 5);
    o.method = "draft";
    o.draft.k = 0;
    o.variance = "beta";
    Toy draft(o, smooth);
    CHECK(largest_difference(first_gradient(draft, &plain), gradient) < 1e-6 * gradient.norm().item<double>());
    CHECK(plain.values().at("reward") == log.values().at("reward"));
    CHECK(gradient.norm().item<double>() > 1e-5);
  }
}

TEST_CASE("the gradient is the slope of the loss, through states and both networks") {
  for (const bool full : {false, true})
    for (const std::string reduce : {"sum", "mean"}) {
      CAPTURE(full);
      CAPTURE(reduce);
      FinetuneOptions o = strl_options();
      o.full = full;
      o.strl.kl_reduce = reduce;
      o.strl.alpha = reduce == "sum" ? 0.5 : 32;
      Toy toy(o, smooth);
      toy.disturb(0.1);
      UpdateLog up, down, here;
      const Tensor gradient = first_gradient(toy, &here), unit = gradient / gradient.norm();
      CHECK(here.values().at("kl_path") > 0.01);  // in nats, whatever the loss has
      const double weight = o.strl.alpha / (reduce == "sum" ? 1 : 64);
      CHECK(here.values().at("loss") == doctest::Approx(-here.values().at("reward") + weight * here.values().at("kl_path")).epsilon(1e-6));
      const auto shift = [&](double size) {
        const at::NoGradGuard no_grad;
        int64_t at = 0;
        for (auto& [name, tensor] : toy.policy.trainable()) {
          Tensor(tensor).add_(unit.narrow(0, at, tensor.numel()).view_as(tensor), size);
          at += tensor.numel();
        }
      };
      const double step = 2e-3;
      shift(step);
      first_gradient(toy, &up);
      shift(-2 * step);
      first_gradient(toy, &down);
      const double slope = (up.values().at("loss") - down.values().at("loss")) / (2 * step) / gradient.norm().item<double>();
      MESSAGE("slope / length ", slope);
      CHECK(slope == doctest::Approx(1.0).epsilon(0.01));
    }
}

TEST_CASE("computing steps again gives the same gradient; a mean over coordinates is the sum over their number") {
  FinetuneOptions o = strl_options();
  o.strl.truncation = "fixed:3";
  Toy plain(o, smooth);
  o.direct.checkpoint = true;
  Toy again(o, smooth);
  plain.disturb();
  again.disturb();
  UpdateLog log, mean;
  const Tensor a = first_gradient(plain, &log), b = first_gradient(again);
  CHECK(a.norm().item<double>() > 1e-4);
  CHECK(largest_difference(a, b) < 1e-5 * a.norm().item<double>());
  // The steps before the cut are in the log, and not in the loss.
  CHECK(log.values().at("kept_steps") == 3);
  CHECK(log.values().at("kl_path") > 1.01 * log.values().at("kl_kept"));
  CHECK(log.values().at("loss") == doctest::Approx(-log.values().at("reward") + 0.5 * log.values().at("kl_kept")).epsilon(1e-6));
  o.direct.checkpoint = false;
  o.strl.kl_reduce = "mean";
  o.strl.alpha = 0.5 * 64;
  Toy by_mean(o, smooth);
  by_mean.disturb();
  CHECK(largest_difference(first_gradient(by_mean, &mean), a) < 1e-5 * a.norm().item<double>());
  CHECK(mean.values().at("kl_path") == doctest::Approx(log.values().at("kl_path")).epsilon(1e-6));
  CHECK(mean.values().at("kl_kept") == doctest::Approx(log.values().at("kl_kept")).epsilon(1e-6));
  o.strl.alpha = 0;
  Toy free(o, smooth);
  free.disturb();
  first_gradient(free, &mean);
  CHECK(mean.values().at("loss") == doctest::Approx(-mean.values().at("reward")).epsilon(1e-12));
  CHECK(mean.values().at("kl_path") > 0);
}

TEST_CASE("braid takes a conservative reward, strl any other; truncations and densities are checked") {
  FinetuneOptions o = strl_options();
  Toy toy(o);
  FakeConservative conservative;
  TuningContext context{toy.policy, &conservative, *toy.codec, toy.options};
  CHECK(refusal([&] { make_method(context); }).find("--method braid") != std::string::npos);
  toy.options.method = "braid";
  CHECK(make_method(context)->name() == "braid");
  CHECK(make_method(context)->plan().at("alpha") == 0.5);
  CHECK(refusal([&] { make_method(toy.context); }).find("no conservative one") != std::string::npos);
  o.strl.truncation = "fixed:6";
  CHECK(refusal([&] { Toy t(o); }).find("--strl.truncation: 'fixed:6'") != std::string::npos);
  o.strl.truncation = "all";
  o.variance = "posterior";
  o.eta = 0;
  CHECK(refusal([&] { Toy t(o); }).find("needs noise in every step") != std::string::npos);
  CHECK(decay(o) == 0);
  o.method = "draft";
  CHECK(decay(o) == 1e-4);
}

TEST_CASE("samples that are only looked at end without noise; updates draw it in every step") {
  FinetuneOptions o = strl_options();
  Toy toy(o);
  CHECK(toy.policy.has_densities());
  CHECK(toy.policy.trained_steps().size() == 5);
  const diffusion::Draws draws{1, {0}};
  CHECK(toy.policy.process().noise(4, draws).defined());
  Tensor before, output;
  const Tensor x = toy.policy.sample({1, {0}}, {at::tensor({1}, at::kLong)}, [&](int64_t, const Tensor& state, const Tensor& out, const Tensor&) {
    before = state;
    output = out;
  });
  CHECK(largest_difference(x, toy.policy.process().predicted_x0(4, before, output)) < 1e-6);
}

TEST_CASE("a Gaussian under a linear reward moves to mean c / alpha at KL c^2 / (2 alpha^2), trained") {
  const auto c = design("exact_tilt_gaussian");
  FinetuneOptions o = strl_options();
  o.strl.alpha = c["inputs"]["alpha"];
  o.full = true;
  o.sampler_steps = 20;
  o.samples_per_epoch = o.train_batch_size = o.batch_size = 64;
  o.epochs = 1000;
  diffusion::ScheduleOptions schedule_options{.num_train_timesteps = 20, .beta_start = 0.01, .beta_end = 0.8};
  schedule_options.timestep_spacing = "leading";
  schedule_options.steps_offset = 0;
  const diffusion::NoiseSchedule schedule(schedule_options);
  const io::Json config = io::Json::parse(
      R"({"type": "mixture", "config": {"centres": [[0]], "std": 1, "hidden": [16], "num_train_timesteps": 20}})");
  const auto make = [&] {
    auto network = nn::make_denoiser(config, "test");
    nn::initialise(*network, 1);
    nn::fit_schedule(*network, schedule.alphas_cumprod());
    return network;
  };
  const auto network = make(), frozen = make();
  frozen->set_requires_grad(false);
  const auto codec = nn::make_codec(io::Space{"vector", {1}, ""}, "test");
  PolicyOptions policy_options;
  policy_options.num_inference_steps = 20;
  policy_options.variance = "beta";
  policy_options.needs_density = false;
  Policy policy(*network, frozen.get(), schedule, {1}, policy_options, at::kCPU);
  Linear1 reward(c["inputs"]["c"]);
  TuningContext context{policy, &reward, *codec, o};
  const auto method = make_method(context);
  nn::AdamW optimizer(policy.trainable(), {.lr = 2e-2});
  double kl = 0;
  const int64_t updates = 300;
  for (int64_t u = 0; u < updates; ++u) {
    optimizer.set_lr(2e-2 * (1 - static_cast<double>(u) / static_cast<double>(updates)));
    optimizer.zero_grad();
    kl = method->accumulate_gradients(context, u, 0).values().at("kl_path");
    optimizer.clip_grad_norm(1.0);
    optimizer.step();
  }
  std::vector<int64_t> items(4000);
  std::iota(items.begin(), items.end(), int64_t{1} << 30);
  const Tensor x = policy.sample({3, items}, {}, nullptr).flatten().to(at::kDouble);
  MESSAGE("mean ", x.mean().item<double>(), ", sd ", x.std().item<double>(), ", KL ", kl);
  CHECK(x.mean().item<double>() == doctest::Approx(c["expected"]["mean"].get<double>()).epsilon(0.05));
  CHECK(x.std().item<double>() == doctest::Approx(1.0).epsilon(0.08));
  CHECK(kl == doctest::Approx(c["expected"]["kl"].get<double>()).epsilon(0.08));
}

TEST_CASE("a gold reward that shares a file with the trained one, or is the same, is named") {
  const auto of = [](const std::string& expression, const std::string& digest) {
    return io::Json{{"expression", expression}, {"terms", {{{"name", "learned"}, {"nested", {{"sha256", digest}}}}}}};
  };
  const std::string one(64, 'a'), other(64, 'b');
  CHECK(shared_with_trained(of("learned:a.h5", one), of("learned:b.h5", other)).empty());
  CHECK(shared_with_trained(of("learned:a.h5", one), of("2*learned:copy.h5", one)).find("reads a file") == 0);
  CHECK(shared_with_trained(of("brightness", "x"), of("brightness", "x")) == "is the trained reward");
  CHECK(shared_with_trained(of("brightness", "x"), of("gc", "x")).empty());
}
