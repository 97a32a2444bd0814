// Losses of methods that learn from answers, against tests/numeric/preference.json: the cases P (PAPA), D (D3PO) and F (Diffusion-DPO) of
// its authors' specification, float64, 1e-6.   SPDX-License-Identifier: Apache-2.0
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include "align/pair_loss.h"
#include "align/papa_loss.h"
#include "align/surrogate.h"
#include "core/error.h"
#include "diffusion/aig.h"
#include "diffusion/process.h"
#include "diffusion/transition.h"
#include "nn/adamw.h"
#include "nn/layers.h"
#include "unit/cases.h"

using namespace plumb;
using namespace plumb::align;

namespace {

nlohmann::json preference(const std::string& id) { return test::numeric_case("preference.json", id); }

Tensor tensor_of(const nlohmann::json& json) {
  if (!json.is_array())
    return at::scalar_tensor(json.get<double>(), at::kDouble);
  std::vector<Tensor> rows;
  for (const auto& row : json)
    rows.push_back(tensor_of(row));
  return at::stack(rows);
}

void check_near(const Tensor& got, const nlohmann::json& wanted, double tolerance = 1e-6) {
  const Tensor want = tensor_of(wanted), gap = (got.detach().to(at::kDouble) - want).abs() / want.abs().clamp_min(1.0);
  INFO("got " << got << " for " << wanted.dump());
  CHECK(gap.max().item<double>() < tolerance);
}

diffusion::NoiseSchedule schedule_of(int64_t T, double first, double last) {
  diffusion::ScheduleOptions o;
  o.num_train_timesteps = T;
  o.beta_schedule = "linear";
  o.beta_start = first;
  o.beta_end = last;
  o.set_alpha_to_one = true;
  o.clip_sample = false;
  o.timestep_spacing = "leading";
  o.steps_offset = 0;
  return diffusion::NoiseSchedule(o);
}
diffusion::NoiseSchedule toy_schedule() { return schedule_of(4, 0.1, 0.4); }

/// e(x,t) = a x + b t + c.
Tensor toy_noise(const Tensor& abc, const Tensor& x, const Tensor& t) {
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  return abc[0] * x + abc[1] * t.to(at::kDouble).reshape(shape) + abc[2];
}
Tensor theta() { return at::tensor({0.3, 0.05, -0.02}, at::kDouble).requires_grad_(true); }
Tensor base() { return at::tensor({0.25, 0.04, 0.01}, at::kDouble); }

PapaRule rule_of(const std::string& preset) {
  PapaOptions o;
  o.preset = preset;
  return papa_rule(o);
}

/// The loss of samples x0 [B,...] with noise eps, judged y, over the timesteps of `range`.
Tensor papa_loss(const PapaRule& rule, const Tensor& abc, const Tensor& x0, const Tensor& eps, const Tensor& y, TimestepRange range) {
  const diffusion::NoiseSchedule schedule = toy_schedule();
  const int64_t samples = x0.size(0), drawn = range.size();
  const Tensor t = at::arange(range.first, range.last + 1, at::kLong).expand({samples, drawn}).contiguous();
  const PapaCoefficients weigh = papa_coefficients(rule, papa_timestep_weights(schedule.alphas_cumprod(), rule.reference), range, y, t);
  const Tensor rows = t.flatten(), noise = eps.repeat_interleave(drawn, 0);
  const Tensor x_t = schedule.add_noise(x0.repeat_interleave(drawn, 0), noise, rows);
  const Tensor own = toy_noise(abc, x_t, rows), reference = toy_noise(base(), x_t, rows);
  return (weigh.error.flatten() * mean_square_gap(own, noise)).sum() + (weigh.gap.flatten() * mean_square_gap(own, reference)).sum();
}

Tensor gradient(const Tensor& loss, const Tensor& abc) {
  if (!loss.requires_grad())
    return at::zeros({3}, at::kDouble);
  abc.mutable_grad() = Tensor();
  loss.backward();
  return abc.grad();
}

Tensor one(const nlohmann::json& inputs, const char* name) { return tensor_of(inputs.at(name)).unsqueeze(0); }

}  // namespace

TEST_SUITE("preference") {
  TEST_CASE("P01, P02: timestep weights, float64, with and without the wrapped one of t = 0") {
    for (const char* id : {"P01_schedule_T1000", "P02_schedule_T4"}) {
      const nlohmann::json c = preference(id), in = c.at("inputs"), want = c.at("expected");
      const diffusion::NoiseSchedule schedule = schedule_of(in.at("T"), in.at("beta_start"), in.at("beta_end"));
      const std::vector<double>& A = schedule.alphas_cumprod();
      const std::vector<double> w = papa_timestep_weights(A, false), wrapped = papa_timestep_weights(A, true);
      CHECK(w[0] == 0.0);
      CHECK(wrapped[0] == doctest::Approx(want.at("w0_reference_wraparound").get<double>()).epsilon(1e-7));
      if (A.size() == 4) {
        check_near(at::tensor(std::vector<double>(w.begin() + 1, w.end()), at::kDouble), want.at("w_1_to_3"));
        check_near(at::tensor(A, at::kDouble), want.at("alpha_bar"));
        continue;
      }
      for (const auto& [t, value] : want.at("w").items())
        CHECK(w.at(std::stoul(t)) == doctest::Approx(value.get<double>()).epsilon(1e-7));
      for (const auto& [t, value] : want.at("alpha_bar").items())
        CHECK(A.at(std::stoul(t)) == doctest::Approx(value.get<double>()).epsilon(1e-7));
      CHECK(at::tensor(w, at::kDouble).sum().item<double>() == doctest::Approx(want.at("sum_w_1_to_999").get<double>()).epsilon(1e-8));
      CHECK(at::tensor(w, at::kDouble).slice(0, 400).sum().item<double>() == doctest::Approx(want.at("sum_w_400_to_999").get<double>()).epsilon(1e-8));
      CHECK(at::tensor(w, at::kDouble).slice(0, 1).argmin().item<int64_t>() + 1 == want.at("argmin_w_over_t_ge_1").get<int64_t>());
    }
  }

  TEST_CASE("P03: noising") {
    const nlohmann::json c = preference("P03_q_sample");
    for (int64_t t = 0; t < 4; ++t)
      check_near(toy_schedule().add_noise(one(c.at("inputs"), "x0"), one(c.at("inputs"), "eps"), at::tensor({t}, at::kLong))[0],
                 c.at("expected").at("x_" + std::to_string(t)));
  }

  TEST_CASE("P04: an ancestral step") {
    const nlohmann::json c = preference("P04_ancestral_step"), in = c.at("inputs");
    const auto process = diffusion::make_gaussian_process({.name = "ddpm", .num_inference_steps = 4}, toy_schedule(), {2, 2});
    for (int64_t i = 1; i < 4; ++i) {
      const Tensor noise = i < 3 ? one(in, "z") : Tensor();
      check_near(process->advance(i, one(in, "x_t"), one(in, "eps_hat"), noise)[0], c.at("expected").at("t=" + std::to_string(3 - i)));
    }
  }

  TEST_CASE("P05: the denoising sum, and the distance to the base model, literal and as read") {
    const nlohmann::json c = preference("P05_denoising_sum"), in = c.at("inputs"), want = c.at("expected");
    const diffusion::NoiseSchedule schedule = toy_schedule();
    const Tensor t = at::arange(4, at::kLong), eps = one(in, "eps").expand({4, 2, 2}), x_t = schedule.add_noise(one(in, "x0").expand({4, 2, 2}), eps, t);
    const Tensor own = toy_noise(theta(), x_t, t), error = mean_square_gap(own, eps), gap = mean_square_gap(own, toy_noise(base(), x_t, t));
    check_near(error, want.at("per_t_mse"));
    check_near(gap, want.at("qpde_mse_per_t"));
    const auto sum = [&](bool wrap) { return (at::tensor(papa_timestep_weights(schedule.alphas_cumprod(), wrap), at::kDouble) * error).sum(); };
    check_near(sum(true), want.at("S_reference_t0_to_3_wrap"));
    check_near(sum(false), want.at("S_skip_t0"));
    check_near(gap[3], want.at("qpde_last_t_only"));
    check_near(gap.mean(), want.at("qpde_mean_over_all_t"));
  }

  TEST_CASE("P06 to P09: the loss of one sample and its gradient, reference and parity") {
    for (const char* id : {"P06_loss_positive", "P07_loss_negative", "P08_loss_nonbinary_half", "P09_loss_zero_label"}) {
      CAPTURE(id);
      const nlohmann::json c = preference(id), in = c.at("inputs"), want = c.at("expected");
      for (const char* preset : {"reference", "parity"}) {
        const std::string name = std::string(preset) == "parity" ? "recommended" : "reference";
        const Tensor abc = theta();
        const Tensor loss = papa_loss(rule_of(preset), abc, one(in, "x0"), one(in, "eps"), at::tensor({in.at("y").get<double>()}, at::kDouble), {0, 3});
        check_near(loss, want.at(name + "_loss"));
        check_near(gradient(loss, abc), want.at(name + "_grad_abc"));
      }
    }
    CHECK(papa_trains_on(rule_of("reference"), 0.0));  // Adam's momentum moves the weights: P15
    CHECK_FALSE(papa_trains_on(rule_of("parity"), 0.0));
    CHECK_FALSE(papa_trains_on(rule_of("safe"), -1.0));
    CHECK(papa_trains_on(rule_of("safe"), 0.5));
  }

  TEST_CASE("P10: the distance on disliked samples too") {
    const nlohmann::json c = preference("P10_loss_negative_qpde_all"), in = c.at("inputs");
    PapaOptions o;
    o.preset = "parity";
    o.qpde_on = "all";
    const Tensor abc = theta();
    const Tensor loss = papa_loss(papa_rule(o), abc, one(in, "x0"), one(in, "eps"), at::tensor({-1.0}, at::kDouble), {0, 3});
    check_near(loss, c.at("expected").at("loss"));
    check_near(gradient(loss, abc), c.at("expected").at("grad_abc"));
  }

  TEST_CASE("P11: EPAPA, timesteps from K on") {
    const nlohmann::json c = preference("P11_epapa_loss_K2"), in = c.at("inputs"), want = c.at("expected");
    const auto check = [&](const char* preset, double y, const char* loss_name, const char* grad_name) {
      const Tensor abc = theta();
      const Tensor loss = papa_loss(rule_of(preset), abc, one(in, "x0"), one(in, "eps"), at::tensor({y}, at::kDouble), {2, 3});
      check_near(loss, want.at(loss_name));
      check_near(gradient(loss, abc), want.at(grad_name));
    };
    check("reference", 1, "reference_pos_loss", "reference_pos_grad_abc");
    check("parity", 1, "recommended_pos_loss", "recommended_pos_grad_abc");
    check("reference", -1, "neg_loss", "neg_grad_abc");
    check("parity", -1, "neg_loss", "neg_grad_abc");
  }

  TEST_CASE("P12: the published split of timesteps over devices, which averages the gradients of its slices") {
    const nlohmann::json c = preference("P12_timestep_sharding_W2"), in = c.at("inputs"), want = c.at("expected");
    Tensor sum = at::zeros({3}, at::kDouble);
    const char* names[] = {"rank0_loss", "rank1_loss"};
    for (int64_t rank = 0; rank < 2; ++rank) {
      const Tensor abc = theta();
      const Tensor loss = papa_loss(rule_of("reference"), abc, one(in, "x0"), one(in, "eps"), at::tensor({1.0}, at::kDouble), {2 * rank, 2 * rank + 1});
      check_near(loss, want.at(names[rank]));
      sum += gradient(loss, abc);
    }
    check_near(sum / 2, want.at("averaged_grad_abc"));
  }

  TEST_CASE("P13: a batch is the mean over its samples") {
    const nlohmann::json c = preference("P13_batch_of_3"), in = c.at("inputs"), want = c.at("expected");
    const Tensor x0 = tensor_of(in.at("x0")), eps = tensor_of(in.at("eps")), y = tensor_of(in.at("y"));
    for (int64_t b = 0; b < 3; ++b)
      check_near(papa_loss(rule_of("parity"), theta(), x0.slice(0, b, b + 1), eps.slice(0, b, b + 1), y.slice(0, b, b + 1), {0, 3}), want.at("per_sample")[static_cast<size_t>(b)]);
    const Tensor abc = theta();
    const Tensor loss = papa_loss(rule_of("parity"), abc, x0, eps, y, {0, 3});
    check_near(loss, want.at("loss"));
    check_near(gradient(loss, abc), want.at("grad_abc"));
  }

  TEST_CASE("a draw of M timesteps has the whole sum as its mean") {
    const nlohmann::json in = preference("P06_loss_positive").at("inputs");
    const diffusion::NoiseSchedule schedule = toy_schedule();
    const PapaRule rule = rule_of("parity");
    const std::vector<double> weights = papa_timestep_weights(schedule.alphas_cumprod(), false);
    const Tensor y = at::tensor({1.0}, at::kDouble);
    Tensor sum = at::zeros({}, at::kDouble);
    for (int64_t i = 0; i < 4; ++i) {
      for (int64_t j = i + 1; j < 4; ++j) {  // all pairs of 4
        const Tensor t = at::tensor({i, j}, at::kLong), eps = one(in, "eps").expand({2, 2, 2}), x_t = schedule.add_noise(one(in, "x0").expand({2, 2, 2}), eps, t);
        const PapaCoefficients weigh = papa_coefficients(rule, weights, {0, 3}, y, t.unsqueeze(0));
        const Tensor own = toy_noise(base() + 0.05, x_t, t);
        sum = sum + (weigh.error[0] * mean_square_gap(own, eps)).sum() + (weigh.gap[0] * mean_square_gap(own, toy_noise(base(), x_t, t))).sum();
      }
    }
    const Tensor whole = papa_loss(rule, base() + 0.05, one(in, "x0"), one(in, "eps"), y, {0, 3});
    CHECK((sum / 6).item<double>() == doctest::Approx(whole.item<double>()).epsilon(1e-12));
  }

  TEST_CASE("a cap leaves out timesteps of disliked samples only, and only those far above the base model") {
    PapaOptions o;
    o.preset = "parity";
    o.neg_cap = 2.0;
    const auto d = [](std::vector<double> v) { return at::tensor(v, at::kDouble); };
    const Tensor cap = papa_cap(papa_rule(o), d({0.3, 0.3, 0.015, 0.021}), d({0.1, 0.2, 0.001, 0.001}), d({-1, -1, -1, -1}));
    CHECK(at::equal(cap, d({0, 1, 1, 0})));  // at least 0.01 stands for the base model's
    CHECK(at::equal(papa_cap(papa_rule(o), d({9.0}), d({0.1}), d({1})), d({1})));
    CHECK_THROWS_AS(([&] { o.preset = "reference"; papa_rule(o); }()), Error);
  }

  TEST_CASE("P14: EPAPA's chain, the tuned model down to K and the base model below") {
    const nlohmann::json c = preference("P14_epapa_trajectory"), in = c.at("inputs"), want = c.at("expected");
    const auto process = diffusion::make_gaussian_process({.name = "ddpm", .num_inference_steps = 4}, toy_schedule(), {2, 2});
    const auto of = [](const Tensor& abc) {
      return [abc](size_t, const Tensor& x, const Tensor& t, const nn::Condition&) { return toy_noise(abc.detach(), x, t); };
    };
    const auto run = [&](int64_t k, std::vector<Tensor>* states) {
      const diffusion::ModelFunction model = diffusion::annealed(of(base()), of(theta()), diffusion::base_below_weights({3, 2, 1, 0}, k));
      Tensor x = one(in, "x_T");
      for (int64_t i = 0; i < 4; ++i) {
        const Tensor noise = i < 3 ? tensor_of(in.at("z").at(std::to_string(3 - i))).unsqueeze(0) : Tensor();
        x = process->advance(i, x, model(static_cast<size_t>(i), x, process->timestep(i, 1, at::kCPU), {}), noise);
        if (states) states->push_back(x[0]);
      }
      return x[0];
    };
    std::vector<Tensor> states;
    run(2, &states);
    for (size_t i = 0; i < 4; ++i)
      check_near(states[i], want.at("K=2").at("x_after_t" + std::to_string(3 - i)));
    check_near(run(0, nullptr), want.at("K=0_final"));
    check_near(run(4, nullptr), want.at("K=4_final_all_base"));
  }

  TEST_CASE("P15: Adam's momentum moves the weights on a sample that says nothing") {
    const nlohmann::json c = preference("P15_adam_momentum_on_zero_label"), in = c.at("inputs");
    const Tensor abc = theta();
    nn::AdamW adam({{"abc", abc}}, {.lr = 0.1});
    papa_loss(rule_of("reference"), abc, one(in, "x0"), one(in, "eps"), at::tensor({1.0}, at::kDouble), {0, 3}).backward();
    adam.step();
    check_near(abc, c.at("expected").at("theta_after_step1"));
    abc.mutable_grad() = at::zeros({3}, at::kDouble);
    adam.step();
    check_near(abc, c.at("expected").at("theta_after_step2"));
  }

  TEST_CASE("D01, D02: Stable Diffusion's 20 steps, and the mean log-probability of one") {
    const nlohmann::json c = preference("D01_sd15_ddim20_schedule"), want = c.at("expected");
    diffusion::ScheduleOptions o;
    o.beta_schedule = "scaled_linear";
    o.beta_start = c.at("inputs").at("beta_start");
    o.beta_end = c.at("inputs").at("beta_end");
    o.timestep_spacing = "leading";
    o.steps_offset = 1;
    o.set_alpha_to_one = false;
    const diffusion::NoiseSchedule schedule(o);
    CHECK(schedule.timesteps(20) == want.at("timesteps").get<std::vector<int64_t>>());
    const auto at_level = [&](int64_t t) { return at::tensor({schedule.alpha_cumprod(t)}, at::kDouble); };
    for (const auto& [steps, sigma] : want.at("sigma").items()) {
      const size_t arrow = steps.find("->");
      const Tensor zero = at::zeros({1, 1}, at::kDouble);
      const diffusion::Transition step = diffusion::ddim_transition(diffusion::PredictionType::kEpsilon, zero, zero, at_level(std::stol(steps.substr(0, arrow))),
                                                                    at_level(std::stol(steps.substr(arrow + 2))), 1.0);
      check_near(step.sigma[0], sigma);
    }
    const nlohmann::json d = preference("D02_ddim_logprob"), in = d.at("inputs"), expected = d.at("expected");
    const auto level = [&](const char* name) { return at::tensor({in.at(name).get<double>()}, at::kDouble); };
    const auto step = [&](const char* eps) {
      return diffusion::ddim_transition(diffusion::PredictionType::kEpsilon, one(in, eps), one(in, "x_t"), level("alpha_bar_t"), level("alpha_bar_prev"), 1.0);
    };
    const diffusion::Transition own = step("eps_policy"), reference = step("eps_ref");
    const Tensor x_prev = own.mean + own.sigma.reshape({1, 1, 1}) * one(in, "z");
    check_near(own.mean[0], expected.at("mean"));
    check_near(x_prev[0], expected.at("x_prev"));
    const auto ratio = [&](diffusion::Reduce reduce) { return diffusion::log_prob(x_prev, own, reduce) - diffusion::log_prob(x_prev, reference, reduce); };
    check_near(diffusion::log_prob(x_prev, own, diffusion::Reduce::kMean)[0], expected.at("logp_policy"));
    check_near(diffusion::log_prob(x_prev, reference, diffusion::Reduce::kMean)[0], expected.at("logp_ref"));
    check_near(ratio(diffusion::Reduce::kMean)[0], expected.at("log_ratio"));
    check_near(ratio(diffusion::Reduce::kSum)[0], expected.at("log_ratio_summed_over_dims"));
  }

  TEST_CASE("D03 to D08: the loss of a pair, its gradients and its bounds") {
    for (const char* id : {"D03_loss_inside_clip", "D04_loss_clipped_one_side", "D05_loss_wrong_side_clipped_no_gradient", "D06_loss_tie", "D07_loss_batch3"}) {
      CAPTURE(id);
      const nlohmann::json c = preference(id), in = c.at("inputs"), want = c.at("expected");
      const Tensor logp0 = tensor_of(in.at("logp0")).requires_grad_(true), logp1 = tensor_of(in.at("logp1")).requires_grad_(true);
      const Tensor ratio = at::stack({logp0 - tensor_of(in.at("ref0")), logp1 - tensor_of(in.at("ref1"))}, 1);
      const Tensor loss = d3po_loss(ratio, tensor_of(in.at("pref")), in.at("beta"), in.at("eps"), false).mean();
      loss.backward();
      check_near(loss, want.at("loss"));
      check_near(logp0.grad(), want.at("grad_logp0"), 1e-8);
      check_near(logp1.grad(), want.at("grad_logp1"), 1e-8);
    }
    const nlohmann::json want = preference("D08_loss_bounds").at("expected");
    const auto at_ratio = [](double first, double second) {
      return d3po_loss(at::tensor({first, second}, at::kDouble).unsqueeze(0), at::tensor({1.0, -1.0}, at::kDouble).unsqueeze(0), 0.1, 0.1, false)[0];
    };
    check_near(at_ratio(9, -9), want.at("loss_min"), 1e-8);
    check_near(at_ratio(0, 0), want.at("loss_at_start"), 1e-8);
    check_near(at_ratio(-9, 9), want.at("loss_max"), 1e-8);
  }

  TEST_CASE("a one-sided clip lets a sample that went the wrong way come back") {
    const nlohmann::json in = preference("D05_loss_wrong_side_clipped_no_gradient").at("inputs");
    const auto gradients = [&](double first, double second) {
      const Tensor ratio = at::tensor({first, second}, at::kDouble).unsqueeze(0).requires_grad_(true);
      d3po_loss(ratio, tensor_of(in.at("pref")), 0.1, 0.1, true).sum().backward();
      return ratio.grad();
    };
    const Tensor wrong = gradients(-0.3, 0.3), right = gradients(0.3, -0.3);
    CHECK(wrong[0][0].item<double>() < -0.01);
    CHECK(wrong[0][1].item<double>() > 0.01);
    CHECK(right.abs().max().item<double>() == 0.0);
  }

  TEST_CASE("D10: scores of several raters become pairs, and only within a group") {
    const nlohmann::json c = preference("D10_annotator_average");
    std::vector<std::vector<double>> scores;
    for (const auto& file : c.at("inputs").at("files"))
      scores.push_back(file.at(0).get<std::vector<double>>());
    const std::vector<JudgedPair> pairs = pairs_of_scores(scores, 3);
    const nlohmann::json want = c.at("expected").at("pairs");
    REQUIRE(pairs.size() == want.size());
    for (size_t k = 0; k < pairs.size(); ++k) {
      CHECK(pairs[k].first == want[k][0].get<int64_t>());
      CHECK(pairs[k].second == want[k][1].get<int64_t>());
      CHECK(pairs[k].y == want[k][2].get<double>());
    }
    CHECK(pairs_of_scores({{1, 0, 5, 0}}, 2).size() == 2);
    CHECK(pairs_of_scores({{1, 1}, {1, std::nan("")}}, 2).empty());  // a tie
    CHECK(pairs_of_scores({{1, std::nan("")}}, 2).empty());          // not judged
  }

  TEST_CASE("D11: a LoRA layer") {
    const nlohmann::json c = preference("D11_lora_linear"), in = c.at("inputs");
    nn::Linear layer(2, 2, false);
    const at::NoGradGuard no_grad;
    layer.weight() = tensor_of(in.at("W"));
    const Tensor x = tensor_of(in.at("x"));
    check_near(layer.forward(x), c.at("expected").at("base"));
    layer.attach_lora(1, 0, 1, 0);
    layer.lora_a_ = tensor_of(in.at("A"));
    layer.lora_b_ = tensor_of(in.at("B"));
    check_near(layer.forward(x), c.at("expected").at("with_lora"));
  }

  TEST_CASE("D12: guidance") {
    struct Fixed final : nn::Denoiser {
      Tensor with, without;
      Tensor forward(const Tensor&, const Tensor&, const nn::Condition& condition) override {
        return at::where((condition.label == 1).unsqueeze(1), without.unsqueeze(0), with.unsqueeze(0));
      }
      int64_t num_classes() const override { return 1; }
      io::Json config() const override { return {}; }
    } network;
    const nlohmann::json c = preference("D12_cfg"), in = c.at("inputs");
    network.with = tensor_of(in.at("eps_c"));
    network.without = tensor_of(in.at("eps_u"));
    const diffusion::GuidedDenoiser guided{network, in.at("g")};
    check_near(guided(at::zeros({1, 2}), at::zeros({1}, at::kLong), {at::zeros({1}, at::kLong)})[0], c.at("expected").at("eps"));
  }

  TEST_CASE("D13: the DDPO baseline of D3PO's comparison") {
    const nlohmann::json c = preference("D13_ddpo_clip_baseline"), in = c.at("inputs");
    const double limit = in.at("adv_clip");
    check_near(clipped_surrogate(tensor_of(in.at("logp")), tensor_of(in.at("old")), tensor_of(in.at("adv")).clamp(-limit, limit), in.at("clip_range")).loss,
               c.at("expected").at("loss"));
  }

  TEST_CASE("F01: Diffusion-DPO") {
    const nlohmann::json c = preference("F01_diffusion_dpo"), in = c.at("inputs");
    const auto of = [&](const char* name) { return tensor_of(in.at(name)); };
    check_near(diffusion_dpo_loss(of("e_w"), of("e_l"), of("e_w_ref"), of("e_l_ref"), in.at("beta"))[0], c.at("expected").at("loss"));
  }
}
