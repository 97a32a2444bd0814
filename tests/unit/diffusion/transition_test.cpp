// Transitions, log-densities and KL against the worked cases of policy-gradient.json.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/transition.h"

#include <cmath>

#include <torch/csrc/autograd/autograd.h>

#include "core/error.h"
#include "diffusion/sampler.h"
#include "unit/diffusion/helpers.h"

namespace plumb::diffusion {
namespace {

using namespace testing;

void check_case(const std::string& id, PredictionType type, const char* output_key) {
  const Json one = oracle_case(id), &in = one.at("inputs"), &want = one.at("expected");
  const Tensor output = tensor_of(in.at(output_key)).requires_grad_(true);
  const Tensor x_prev = tensor_of(in.at("x_prev"));
  const Transition p = ddim_transition(type, output, tensor_of(in.at("x_t")), tensor_of(in.at("alpha_bar_t")),
                                       tensor_of(in.at("alpha_bar_prev")), in.at("eta").get<double>());
  check_close(p.x0, want.at("x0"));
  check_close(p.mean, want.at("mean"));
  check_close(p.sigma, want.at("sigma"));
  const Tensor mean_form = log_prob(x_prev, p, Reduce::kMean);
  check_close(mean_form, want.at("logprob_mean"));
  if (want.contains("logprob_sum")) check_close(log_prob(x_prev, p, Reduce::kSum), want.at("logprob_sum"));
  if (want.contains("grad_eps_of_logprob_mean")) {
    mean_form.sum().backward();
    check_close(output.grad(), want.at("grad_eps_of_logprob_mean"));
  }
}

}  // namespace

TEST_CASE("DDIM transition, log-density and its gradient, eta 1 and 0.5, epsilon and v") {
  check_case("B_ddim_logprob_eta1.0", PredictionType::kEpsilon, "eps");
  check_case("B_ddim_logprob_eta0.5", PredictionType::kEpsilon, "eps");
  check_case("B_ddim_logprob_vpred", PredictionType::kV, "v");
}

TEST_CASE("the flow-matching SDE step, its log-density and KL [L]") {
  for (const char* id : {"L_flow_sde_step", "L_flow_sde_first"}) {
    CAPTURE(id);
    const Json one = oracle_case(id), &in = one.at("inputs"), &want = one.at("expected");
    const auto row = [](const Json& values) { return tensor_of(values).unsqueeze(0); };
    const auto number = [](const Json& value) { return at::full({1}, value.get<double>(), at::kDouble); };
    const auto step = [&](const char* velocity) {
      return flow_sde_transition(row(in.at(velocity)), row(in.at("x")), number(in.at("sigma")), number(in.at("sigma_next")),
                                 in.value("sigma_second", 0.0), in.at("noise_level").get<double>());
    };
    const Transition p = step("v");
    check_close(p.mean.squeeze(0), want.at("mean"));
    CHECK(p.sigma.item<double>() == doctest::Approx(want.at("step_std").get<double>()).epsilon(1e-8));
    const Tensor x_next = p.mean + p.sigma * row(in.at("z"));
    check_close(x_next.squeeze(0), want.at("x_next"));
    CHECK(log_prob(x_next, p, Reduce::kMean).item<double>() == doctest::Approx(want.at("logprob_mean").get<double>()).epsilon(1e-8));
    if (!in.contains("v_ref")) continue;
    const double exact = gaussian_kl(p.mean, step("v_ref").mean, p.sigma, Reduce::kMean).item<double>();
    CHECK(exact == doctest::Approx(want.at("kl_exact_mean").get<double>()).epsilon(1e-7));
    CHECK(exact * -want.at("dt").get<double>() == doctest::Approx(want.at("kl_code").get<double>()).epsilon(1e-7));  // the code omits 1/|dt|
  }
}

TEST_CASE("the mean form is the sum form divided by the number of elements, also of images") {
  const Tensor mean = at::arange(24, at::kDouble).reshape({2, 3, 2, 2}) / 10;
  const Transition p{mean, at::tensor({0.5, 2.0}, at::kDouble), mean};
  const Tensor sum = log_prob(mean + 0.3, p, Reduce::kSum), average = log_prob(mean + 0.3, p, Reduce::kMean);
  CHECK((average.scalar_type() == at::kDouble));
  CHECK(largest_difference(sum, average * 12) < 1e-12);
  // By hand: -(0.3/0.5)^2/2 - ln 0.5 - ln(2 pi)/2
  CHECK(average[0].item<double>() == doctest::Approx(-0.18 - std::log(0.5) - 0.5 * std::log(2 * M_PI)).epsilon(1e-12));
}

TEST_CASE("a step without noise has no density") {
  const Tensor x = at::zeros({2, 3}), a = at::full({2}, 0.5, at::kDouble), b = at::full({2}, 0.6, at::kDouble);
  for (const double eta : {0.0, 1.0}) {
    const Tensor after = eta == 0.0 ? b : at::stack({b[0], a[1]});  // eta = 0; one item that stays at its noise level
    const Transition p = ddim_transition(PredictionType::kEpsilon, x, x, a, after, eta);
    CHECK_THROWS_AS(log_prob(x, p, Reduce::kMean), Error);
    CHECK_THROWS_AS(gaussian_kl(x, x, p.sigma, Reduce::kMean), Error);
    try {
      log_prob(x, p, Reduce::kSum);
    } catch (const Error& error) {
      CHECK(error.exit() == Exit::kUsage);
    }
  }
  CHECK_THROWS_AS(parse_reduce("median"), Error);
}

TEST_CASE("KL of two steps with the same variance") {
  const Json one = oracle_case("K_kl_gaussian"), &in = one.at("inputs"), &want = one.at("expected");
  const Tensor mean = tensor_of(in.at("mean_theta")), ref = tensor_of(in.at("mean_ref")), sigma = tensor_of(in.at("sigma"));
  check_close(gaussian_kl(mean, ref, sigma, Reduce::kMean), want.at("kl_mean"));
  check_close(gaussian_kl(mean, ref, sigma, Reduce::kSum), want.at("kl_sum"));
}

TEST_CASE("KL from the network's outputs equals the weighted distance in epsilon space") {
  const Json one = oracle_case("K_kl_eps_space"), &want = one.at("expected");
  const Json base = oracle_case("B_ddim_logprob_eta1.0"), &in = base.at("inputs");
  const Tensor eps = tensor_of(one.at("inputs").at("eps_theta")), ref = tensor_of(one.at("inputs").at("eps_ref"));
  const auto transition = [&](const Tensor& output) {
    return ddim_transition(PredictionType::kEpsilon, output, tensor_of(in.at("x_t")), tensor_of(in.at("alpha_bar_t")),
                           tensor_of(in.at("alpha_bar_prev")), 1.0);
  };
  const Transition p = transition(eps), q = transition(ref);
  check_close(gaussian_kl(p.mean, q.mean, p.sigma, Reduce::kMean), want.at("kl_mean"));
  const Tensor per_unit = (transition(eps + 1).mean - p.mean).select(1, 0);  // the mean is affine in epsilon
  check_close(per_unit, want.at("c_t"));
}

TEST_CASE("clip_sample clamps the predicted sample and leaves epsilon as it was") {
  const Tensor x = at::tensor({3.0, 0.1}, at::kDouble).reshape({1, 2}), eps = at::tensor({0.2, 0.1}, at::kDouble).reshape({1, 2});
  const Tensor a = at::full({1}, 0.5, at::kDouble), b = at::full({1}, 0.8, at::kDouble);
  const Transition p = ddim_transition(PredictionType::kEpsilon, eps, x, a, b, 0.0, true);
  CHECK(p.x0[0][0].item<double>() == 1.0);
  CHECK(p.mean[0][0].item<double>() == doctest::Approx(std::sqrt(0.8) + std::sqrt(0.2) * 0.2).epsilon(1e-12));
}

TEST_CASE("guidance: u + w (c - u), one call when there is nothing to guide") {
  const Json one = oracle_case("C_cfg"), &in = one.at("inputs");
  // A denoiser whose outputs are the case's: row 0 with the null class, row 1 with the class.
  class Fixed : public TinyDenoiser {
   public:
    Fixed(Tensor without, Tensor with) : TinyDenoiser(5), without_(std::move(without)), with_(std::move(with)) {}
    Tensor forward(const Tensor& x_t, const Tensor&, const nn::Condition& condition) override {
      ++calls;
      std::vector<Tensor> rows;
      for (int64_t i = 0; i < x_t.size(0); ++i) rows.push_back(condition.label[i].item<int64_t>() == 5 ? without_ : with_);
      return at::stack(rows);
    }
   private:
    Tensor without_, with_;
  };
  Fixed network(tensor_of(in.at("eps_uncond")), tensor_of(in.at("eps_cond")));
  nn::Condition condition;
  condition.label = at::tensor({2}, at::kLong);
  const Tensor x = at::zeros({1, 3}, at::kDouble), t = at::tensor({7}, at::kLong);
  check_close(GuidedDenoiser{network, in.at("w").get<double>()}(x, t, condition)[0], one.at("expected").at("eps"));
  check_close(GuidedDenoiser{network, 1.0}(x, t, condition)[0], in.at("eps_cond"));
  CHECK(network.calls == 2);
  TinyDenoiser unconditional;
  CHECK_THROWS_AS((GuidedDenoiser{unconditional, 3.0}(at::zeros({1, 4}), t, condition)), Error);
}

}  // namespace plumb::diffusion
