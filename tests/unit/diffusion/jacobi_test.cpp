// Diffusion on the simplex: stick breaking, densities, chains, training noise.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/jacobi.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <torch/csrc/autograd/autograd.h>

#include "core/error.h"
#include "core/philox.h"
#include "diffusion/forward_process.h"
#include "diffusion/jacobi_forward.h"
#include "diffusion/jacobi_process.h"
#include "unit/diffusion/helpers.h"

namespace plumb::diffusion {
namespace {

using namespace testing;

Tensor column(const Json& values) { return tensor_of(values).reshape({1, -1, 1}); }   // [1,K,1] float64
std::vector<double> list(const Json& values) { return values.get<std::vector<double>>(); }

/// The score in x of one letter drawn with `share`, at time k of a table: sum_c P(c | v) grad log ratio, each coordinate's part put where
/// J^T takes it from. J^T is triangular in the letters' gaps, so score_K = 0 and the others follow from the right.
Tensor exact_score(const std::vector<LineageLaw>& laws, const LineageTable& table, size_t time, const Tensor& share, const Tensor& v) {
  const int64_t coordinates = v.size(1);
  // log ratio of each coordinate from both ends, by the table's nodes
  const auto log_ratio = [&](int64_t i, int end) {
    const LineageLaw::Nodes nodes = laws[static_cast<size_t>(i)].at_nodes(time, end);
    const Tensor position = v.select(1, i).to(at::kDouble).sqrt().asin() * ((LineageLaw::kNodes - 1) / 1.5707963267948966);
    const Tensor left = position.floor().clamp(0, LineageLaw::kNodes - 2).to(at::kLong);
    const Tensor values = at::tensor(nodes.log_ratio, at::kDouble);
    return at::lerp(values.take(left), values.take(left + 1), position - left);
  };
  std::vector<Tensor> logits;
  Tensor from_zero = at::zeros_like(v.select(1, 0), at::kDouble);
  for (int64_t c = 0; c <= coordinates; ++c) {
    logits.push_back(share[c].log() + from_zero + (c < coordinates ? log_ratio(c, 1) : at::zeros_like(from_zero)));
    if (c < coordinates) from_zero = from_zero + log_ratio(c, 0);
  }
  const Tensor letters = at::stack(logits, 1).softmax(1).to(v.options()), one = table.slope(v, 1), zero = table.slope(v, 0);
  std::vector<Tensor> scores(static_cast<size_t>(coordinates) + 1, at::zeros_like(v.select(1, 0)));
  const Tensor rest = at::cat({at::ones_like(v.narrow(1, 0, 1)), (1 - v.narrow(1, 0, coordinates - 1)).cumprod(1)}, 1);
  Tensor mean = scores.back();
  for (int64_t i = coordinates - 1; i >= 0; --i) {
    const Tensor after = letters.narrow(1, i + 1, coordinates - i).sum(1);
    const Tensor gap = (letters.select(1, i) * one.select(1, i) + after * zero.select(1, i)) / rest.select(1, i);
    scores[static_cast<size_t>(i)] = mean + gap;
    mean = mean + v.select(1, i) * gap;
  }
  return at::stack(scores, 1);
}

std::vector<LineageLaw> laws_of(int64_t letters, const std::vector<double>& times) {
  std::vector<LineageLaw> laws;
  for (int64_t b = letters - 1; b >= 1; --b) laws.emplace_back(b, times);
  return laws;
}

}  // namespace

TEST_CASE("stick breaking: both ways, its determinant and the change of scores") {
  const Json one = offline_case("stick_breaking"), &in = one.at("inputs"), &expected = one.at("expected");
  const Tensor v = column(in.at("v")), score = column(in.at("score_x"));
  check_close(stick_to_simplex(v).flatten(), expected.at("x"));
  check_close(simplex_to_stick(column(in.at("x_for_inverse"))).flatten(), expected.at("v_inverse"));
  check_close(stick_log_det(v).squeeze(), expected.at("logabsdet_dx_dv"));
  check_close(stick_score(score, v).flatten(), expected.at("score_v"));
  CHECK(largest_difference(simplex_to_stick(stick_to_simplex(v)), v) < 1e-14);
  // a constant added to the score of x is orthogonal to the simplex; and the gradient is autograd's
  CHECK(largest_difference(stick_gradient(score + 3, v), stick_gradient(score, v)) < 1e-13);
  const Tensor leaf = v.clone().requires_grad_(true);
  const Tensor total = (stick_to_simplex(leaf) * score).sum() + stick_log_det(leaf).sum();
  CHECK(largest_difference(torch::autograd::grad({total}, {leaf})[0], stick_score(score, v)) < 1e-12);
  // a corner of the simplex, and two letters
  CHECK(at::equal(simplex_to_stick(at::tensor({0.0, 1.0, 0.0}, at::kDouble).reshape({1, 3, 1})).flatten(), at::tensor({0.0, 1.0}, at::kDouble)));
  CHECK(at::equal(stick_to_simplex(at::full({1, 1, 1}, 0.25)).flatten(), at::tensor({0.25f, 0.75f})));
}

TEST_CASE("a reverse step and its KL; the published weight of the KL is another number") {
  const Json step = offline_case("jacobi_reverse_em_step"), kl = offline_case("jacobi_path_kl_step");
  {
    const Json& in = step.at("inputs");
    const Tensor v = column(in.at("v"));
    const double dt = in.at("dt").get<double>();
    check_close(jacobi_speeds(v).flatten(), step.at("expected").at("s"));
    check_close(jacobi_reverse_mean(v, column(in.at("score_v")), dt).flatten(), step.at("expected").at("mean"));
    check_close(jacobi_noise_std(v, dt).flatten(), step.at("expected").at("std"));
  }
  const Json& in = kl.at("inputs");
  const Tensor v = column(in.at("v")), gap = column(in.at("dscore")), score = at::ones_like(v);
  const double dt = in.at("dt").get<double>();
  const Tensor ours = jacobi_step_kl(v, score + gap, score, dt).squeeze();
  check_close(ours, kl.at("expected").at("kl"), 1e-9);
  CHECK(std::abs(ours.item<double>() - kl.at("expected").at("kl_wrong_tutorial").get<double>()) > 4e-4);
  // the KL of two Gaussians with those means and deviations
  const Tensor means = jacobi_reverse_mean(v, score + gap, dt) - jacobi_reverse_mean(v, score, dt);
  CHECK((means / jacobi_noise_std(v, dt)).square().sum().item<double>() / 2 == doctest::Approx(ours.item<double>()).epsilon(1e-12));
}

TEST_CASE("the transition density, by its series and by lineages") {
  const Json one = offline_case("jacobi_transition_density"), &in = one.at("inputs");
  const std::vector<double> v = list(in.at("xt"));
  const double t = in.at("t").get<double>(), a = in.at("a").get<double>(), b = in.at("b").get<double>();
  const JacobiDensity series = jacobi_density(in.at("x0").get<double>(), v, t, a, b, in.at("series_terms").get<int64_t>());
  check_close(at::tensor(series.density, at::kDouble), one.at("expected").at("density"));
  check_close(at::tensor(series.score, at::kDouble), one.at("expected").at("score"));
  // from inside, against the finite difference of its own logarithm; and it integrates to 1
  const double h = 1e-6;
  const JacobiDensity inside = jacobi_density(0.3, {0.6 - h, 0.6, 0.6 + h}, 0.2, 1, 2, 80);
  CHECK(inside.score[1] == doctest::Approx(std::log(inside.density[2] / inside.density[0]) / (2 * h)).epsilon(1e-6));
  // mixtures over lineages, all times and both ends, where the series is exact: density, slope, mass
  for (const int64_t letters : {2, 4, 5, 20}) {
    const int64_t coordinate_b = letters - 1;
    const std::vector<double> times{0.01, 0.02, 0.1, 0.5, 4.0};
    const LineageLaw law(coordinate_b, times);
    for (size_t k = 0; k < times.size(); ++k) {
      double lineages = 0;
      for (const double share : law.law(k)) lineages += share;
      CHECK(lineages == doctest::Approx(1).epsilon(1e-9));
      for (const int end : {0, 1}) {
        const LineageLaw::Nodes nodes = law.at_nodes(k, end);
        const double bd = static_cast<double>(coordinate_b), s = 2 / (1 + bd);
        std::vector<double> at_v, density;
        double mass = 0, peak = 0;
        for (int64_t i = 1; i + 1 < LineageLaw::kNodes; ++i) {
          const double x = LineageLaw::node(i), rest = LineageLaw::node(LineageLaw::kNodes - 1 - i);
          at_v.push_back(x);
          density.push_back(std::exp(nodes.log_ratio[static_cast<size_t>(i)]) * bd * std::pow(rest, bd - 1));
          mass += density.back() * 2 * std::sqrt(x * rest) * 1.5707963267948966 / (LineageLaw::kNodes - 1);
          peak = std::max(peak, density.back());
        }
        CHECK(mass == doctest::Approx(1).epsilon(1e-3));   // the trapezoid rule's error where the density is not 0 at an end
        if (letters == 20 && times[k] < 0.1) continue;   // the series itself overflows its digits
        const JacobiDensity exact = jacobi_density(end, at_v, times[k], 1, bd, static_cast<int64_t>(20 + 60 / std::sqrt(s * times[k])));
        for (size_t i = 20; i < at_v.size(); i += 50) {
          if (density[i] < 1e-3 * peak) continue;
          CHECK(density[i] == doctest::Approx(exact.density[i]).epsilon(5e-4));
          const double slope = end == 1 ? nodes.lineages[i + 1] / at_v[i] : -nodes.lineages[i + 1] / (1 - at_v[i]);
          CHECK(slope - (bd - 1) / (1 - at_v[i]) == doctest::Approx(exact.score[i]).epsilon(1e-3).scale(1));
        }
      }
    }
  }
}

TEST_CASE("interpolated slopes are those of the lineages, with a gradient") {
  const std::vector<double> times{0.01, 0.05, 0.3, 2.0};
  const std::vector<LineageLaw> laws = laws_of(4, times);
  for (size_t k = 0; k < times.size(); ++k) {
    const LineageTable table(laws, k);
    const Tensor v = at::tensor({0.013, 0.21, 0.5, 0.77, 0.9931, 0.0411, 0.333, 0.9, 0.6}, at::kDouble).reshape({1, 3, 3});
    for (const int end : {0, 1}) {
      const Tensor slope = table.slope(v, end);
      for (int64_t i = 0; i < 3; ++i) {
        for (int64_t p = 0; p < 3; ++p) {   // sum_l d_l l c_l x^(l-1) / sum_l d_l c_l x^l, term by term
          const double x = v[0][i][p].item<double>(), y = end == 1 ? x : 1 - x, b = static_cast<double>(3 - i);
          std::vector<double> logs;
          const std::vector<double>& law = laws[static_cast<size_t>(i)].law(k);
          for (size_t l = 0; l < law.size(); ++l) {
            const double n = static_cast<double>(l);
            const double c = end == 1 ? std::lgamma(1 + n + b) - std::lgamma(1 + n) - std::lgamma(1 + b) : std::log((b + n) / b);
            logs.push_back(std::log(law[l]) + c + n * std::log(y));
          }
          const double top = *std::max_element(logs.begin(), logs.end());
          double sum = 0, moment = 0;
          for (size_t l = 0; l < logs.size(); ++l) {
            sum += std::exp(logs[l] - top);
            moment += std::exp(logs[l] - top) * static_cast<double>(l);
          }
          const double exact = (end == 1 ? 1 : -1) * moment / sum / y;
          CHECK(slope[0][i][p].item<double>() == doctest::Approx(exact).epsilon(2e-4).scale(1e-3));
        }
      }
      const Tensor leaf = v.clone().requires_grad_(true);
      const Tensor gradient = torch::autograd::grad({table.slope(leaf, end).sum()}, {leaf})[0];
      const double h = 1e-7;
      CHECK(largest_difference(gradient, (table.slope(v + h, end) - table.slope(v - h, end)) / (2 * h)) < 1e-3 * (1 + gradient.abs().max().item<double>()));
    }
  }
}

TEST_CASE("exact draws of the training noise have the law of a path simulated in small steps") {
  // dv = (s/2)[(1 - v) - b v] dt + sqrt(s v (1 - v)) dw from 1 and from 0, 4000 paths of 400 steps to t = 0.4
  const int64_t letters = 3, paths = 4000, steps = 400;
  const JacobiNoise noise(letters, {.max_time = 0.4, .min_time = 0.399, .num_times = 2});
  const Tensor codes = at::arange(paths, at::kLong) % letters;
  const Tensor x0 = (at::one_hot(codes, letters) * 2 - 1).to(at::kFloat).unsqueeze(2);
  const JacobiBatch batch = noise.draw(x0, 5, 0);
  Tensor v = at::stack({(codes == 0).to(at::kDouble), (codes <= 1).to(at::kDouble)}, 1).unsqueeze(2);   // ends; coordinate 2 of letter 0: anything
  Tensor random = at::empty({steps, paths, 2, 1}, at::kFloat);
  Philox(1, Stream::kSimplex, 77).fill_normal(random.data_ptr<float>(), random.numel());
  const Tensor b = at::tensor({2.0, 1.0}, at::kDouble).reshape({1, 2, 1}), s = 2 / (1 + b);
  for (int64_t k = 0; k < steps; ++k) {
    v = (v + s / 2 * ((1 - v) - b * v) * (0.4 / steps) + (s * (v * (1 - v)).clamp_min(0) * (0.4 / steps)).sqrt() * random[k]).clamp(0, 1);
  }
  const auto compare = [&](const Tensor& mine, const Tensor& theirs) {   // means of v and v^2, and the shares of ten bins, within 4.5 standard errors
    const auto gap = [](const Tensor& a, const Tensor& c) {
      const Tensor error = (a.var() / a.numel() + c.var() / c.numel()).sqrt() + 1e-9;
      return ((a.mean() - c.mean()) / error).abs().item<double>();
    };
    const Tensor a = mine.to(at::kDouble).flatten(), c = theirs.flatten();
    CHECK(gap(a, c) < 4.5);
    CHECK(gap(a.square(), c.square()) < 4.5);
    for (int bin = 0; bin < 10; ++bin) {
      const auto in_bin = [&](const Tensor& t) { return ((t >= bin / 10.0) & (t < (bin + 1) / 10.0)).to(at::kDouble); };
      CHECK(gap(in_bin(a), in_bin(c)) < 4.5);
    }
  };
  for (int64_t letter = 0; letter < letters; ++letter) {
    const Tensor rows = (codes == letter).nonzero().flatten();
    const Tensor mine = batch.v.index_select(0, rows), theirs = v.index_select(0, rows);
    compare(mine.select(1, 0), theirs.select(1, 0));
    if (letter > 0) compare(mine.select(1, 1), theirs.select(1, 1));
  }
  // the last coordinate of the first letter is stationary: Beta(1,1) is uniform
  const Tensor stationary = batch.v.index_select(0, (codes == 0).nonzero().flatten()).select(1, 1).to(at::kDouble);
  CHECK(std::abs(stationary.mean().item<double>() - 0.5) < 4 * 0.2887 / std::sqrt(paths / 3.0));
  CHECK((batch.slope.index_select(0, (codes == 0).nonzero().flatten()).select(1, 1) == 0).all().item<bool>());
}

TEST_CASE("noise belongs to the example and its position; late noise is the flat Dirichlet law") {
  const JacobiNoise noise(4, {});
  CHECK(noise.times().size() == 400);
  CHECK(noise.times()[1] - noise.times()[0] == doctest::Approx(0.01));
  const std::vector<double>& w = noise.weights();
  CHECK(std::accumulate(w.begin(), w.end(), 0.0) / 400 == doctest::Approx(1));
  // w_0.5 by the spectral series and the trapezoid rule, relative to w_1
  const auto integral = [](double t) {
    std::vector<double> v;
    for (int i = 1; i < 4000; ++i) v.push_back(i / 4000.0);
    const JacobiDensity p = jacobi_density(1, v, t, 1, 3, 80);
    double sum = 0;
    for (size_t i = 0; i < v.size(); ++i) sum += p.density[i] > 1e-9 ? p.density[i] * v[i] * (1 - v[i]) * p.score[i] * p.score[i] : 0;
    return sum;
  };
  CHECK(w[49] / w[99] == doctest::Approx(integral(0.5) / integral(1.0)).epsilon(2e-3));
  const auto scale = noise.output_scale();
  CHECK(scale.front().first == noise.times().front());
  CHECK(scale.front().second == doctest::Approx(std::sqrt(w.front())));
  CHECK(scale.back().second == doctest::Approx(std::sqrt(w.back())));
  CHECK(scale.size() > 25);
  const Tensor x0 = (at::one_hot(at::arange(40, at::kLong).reshape({8, 5}) % 4, 4) * 2 - 1).transpose(1, 2).to(at::kFloat);
  const JacobiBatch whole = noise.draw(x0, 3, 100), part = noise.draw(x0.narrow(0, 5, 3), 3, 105), other = noise.draw(x0, 4, 100);
  CHECK(at::equal(whole.v.narrow(0, 5, 3), part.v));
  CHECK(at::equal(whole.slope.narrow(0, 5, 3), part.slope));
  CHECK(at::equal(whole.time.narrow(0, 5, 3), part.time));
  CHECK_FALSE(at::equal(whole.v, other.v));
  CHECK(whole.v.min().item<float>() >= 0.99e-5f);
  // a loss of 0 for the exact slopes: the score whose J^T it is, from the right
  std::vector<Tensor> scores(4, at::zeros_like(whole.v.select(1, 0)));
  Tensor mean = scores[3];
  for (int64_t i = 2; i >= 0; --i) {
    Tensor rest = at::ones_like(mean);
    for (int64_t j = 0; j < i; ++j) rest = rest * (1 - whole.v.select(1, j));
    const Tensor gap = whole.slope.select(1, i) / rest;
    scores[static_cast<size_t>(i)] = mean + gap;
    mean = mean + whole.v.select(1, i) * gap;
  }
  const Tensor zero = jacobi_loss(at::stack(scores, 1), whole, w), plain = jacobi_loss(at::zeros({8, 4, 5}), whole, w);
  CHECK((zero < 1e-6 * plain).all().item<bool>());
  const Tensor v = whole.v[0], slope = whole.slope[0], s = jacobi_speeds(whole.v)[0];
  CHECK(plain[0].item<double>() == doctest::Approx((s * v * (1 - v) * slope.square()).mean().item<double>() / std::sqrt(w[static_cast<size_t>(whole.time[0].item<int64_t>())])).epsilon(1e-4));

  const JacobiNoise late(4, {.max_time = 20, .min_time = 0.99, .num_times = 2});
  const Tensor many = x0.narrow(0, 0, 1).expand({4000, 4, 5}).contiguous();
  const JacobiBatch drawn = late.draw(many, 1, 0);
  const Tensor x = stick_to_simplex(drawn.v.index_select(0, (drawn.time == 1).nonzero().flatten())).to(at::kDouble);
  REQUIRE(x.size(0) > 300);
  // each x_c of the flat law on 4 letters: mean 1/4, variance 3/80, mean square 1/10
  const double n = static_cast<double>(x.size(0)) * 5;
  CHECK((x.mean(std::vector<int64_t>{0, 2}) - 0.25).abs().max().item<double>() < 4.5 * std::sqrt(3.0 / 80 / n));
  CHECK((x.square().mean(std::vector<int64_t>{0, 2}) - 0.1).abs().max().item<double>() < 4.5 * std::sqrt(0.0186 / n));
}

TEST_CASE("a reverse chain with the exact score of a letter's law ends at that law, and knows the letter on its way") {
  const JacobiOptions options;
  const int64_t steps = 100, batch = 40, length = 250;   // 10000 letters
  const Tensor share = at::tensor({0.1, 0.2, 0.3, 0.4}, at::kDouble);
  const auto process = make_jacobi_process(options, steps, {4, length}, "m.h5");
  std::vector<double> times;
  for (int64_t i = 0; i < steps; ++i) times.push_back(options.max_time - static_cast<double>(i) * (options.max_time - options.min_time) / steps);
  std::reverse(times.begin(), times.end());
  const std::vector<LineageLaw> laws = laws_of(4, times);
  const at::NoGradGuard no_grad;
  double worst = 0;
  const ModelFunction model = [&](size_t i, const Tensor& x, const Tensor& t, const nn::Condition&) {
    CHECK(t[0].item<float>() == doctest::Approx(times[static_cast<size_t>(steps) - 1 - i]));
    const LineageTable table(laws, static_cast<size_t>(steps) - 1 - i);
    const Tensor v = simplex_to_stick(x).clamp(kStickMargin, 1 - kStickMargin);
    return exact_score(laws, table, static_cast<size_t>(steps) - 1 - i, share, v);
  };
  std::vector<int64_t> items(static_cast<size_t>(batch));
  std::iota(items.begin(), items.end(), 0);
  const Tensor x0 = run_process(*process, model, {7, items}, {}, [&](int64_t i, const Tensor& state, const Tensor& output, const Tensor&) {
    const Tensor predicted = process->predicted_x0(i, state, output);
    worst = std::max(worst, (predicted.sum(1) + 2).abs().max().item<double>());
    // the mean over chains of P(letter | state) is the letters' share at all times (but for the chain's own errors)
    CHECK(((predicted.mean(std::vector<int64_t>{0, 2}) + 1) / 2 - share).abs().max().item<double>() < 4.5 * std::sqrt(0.25 / (batch * length)));
  });
  CHECK(worst < 1e-4);
  CHECK(x0.sizes() == at::IntArrayRef({batch, 4, length}));
  const Tensor letters = at::one_hot(x0.argmax(1), 4).to(at::kDouble).mean(std::vector<int64_t>{0, 1});
  for (int64_t c = 0; c < 4; ++c) {
    const double p = share[c].item<double>();
    CHECK(std::abs(letters[c].item<double>() - p) < 4 * std::sqrt(p * (1 - p) / (batch * length)));
  }
  CHECK((x0.amax(1) + 1).mean().item<double>() / 2 > 0.97);   // letters are all but decided at the end
}

TEST_CASE("the simplex process behind the interface: shapes, keyed draws, steps, KL") {
  const auto process = make_reverse_process(Json{{"process", "jacobi"}, {"max_time", 2.0}}, {.num_inference_steps = 5}, {4, 6}, "m.h5");
  CHECK(process->steps() == 5);
  CHECK((process->state_shape() == std::vector<int64_t>{3, 6}));
  CHECK((process->timestep(0, 2, at::kCPU).scalar_type() == at::kFloat));
  CHECK(process->timestep(0, 1, at::kCPU).item<float>() == 2.0f);
  CHECK(process->timestep(4, 1, at::kCPU).item<float>() == doctest::Approx(2.0 - 4 * 1.99 / 5));   // steps add up to max - min
  const Draws draws{9, {3, 8}};
  const Tensor v = process->prior(draws);
  CHECK(at::equal(v.narrow(0, 1, 1), process->prior({9, {8}})));
  CHECK_FALSE(at::equal(v.narrow(0, 0, 1), v.narrow(0, 1, 1)));
  const Tensor x = process->network_input(0, v);
  CHECK((x.sum(1) - 1).abs().max().item<double>() < 1e-6);
  CHECK(x.min().item<float>() >= 0);
  const Tensor output = at::sin(at::arange(48, at::kFloat)).reshape({2, 4, 6}), other = output * 0.5f;
  const auto step = process->transition(1, v, output);
  REQUIRE(step);
  const Tensor noise = process->noise(1, draws);
  CHECK(at::allclose(process->advance(1, v, output, noise), (step->mean + step->sigma * noise).clamp(1e-5, 1 - 1e-5)));
  CHECK(at::equal(noise.narrow(0, 1, 1), process->noise(1, {9, {8}})));
  // KL by the formula is the KL of the Gaussians; the last step has one, but no noise
  const Tensor kl = process->step_kl(1, v, output, other);
  const auto reference = process->transition(1, v, other);
  CHECK(at::allclose(kl, gaussian_kl(step->mean, reference->mean, step->sigma, Reduce::kSum).to(at::kDouble), 1e-3));
  CHECK_FALSE(process->noise(4, draws).defined());
  CHECK(process->transition(4, v, output)->sigma.max().item<float>() == 0);
  CHECK((process->step_kl(4, v, output, other) > 0).all().item<bool>());
  CHECK((process->step_kl(4, v, output, output) == 0).all().item<bool>());
  CHECK(at::allclose(process->finish(v), 2 * x - 1));
  // predicted letters have a gradient in the output and the state
  const Tensor state = v.clone().requires_grad_(true), out = output.clone().requires_grad_(true);
  const auto gradients = torch::autograd::grad({process->predicted_x0(4, state, out).square().sum()}, {state, out});
  CHECK(at::isfinite(gradients[0]).all().item<bool>());
  CHECK(gradients[1].abs().sum().item<double>() > 0);
  const auto exit_of = [](const auto& run) {
    try {
      run();
    } catch (const Error& error) {
      return error.exit();
    }
    return Exit::kDone;
  };
  CHECK(exit_of([] { make_reverse_process(Json{{"process", "jacobi"}}, {}, {4}, "m.h5"); }) == Exit::kBadInput);
  CHECK(exit_of([] { make_reverse_process(Json{{"process", "jacobi"}, {"max_tim", 1}}, {}, {4, 6}, "m.h5"); }) == Exit::kBadInput);
  CHECK(exit_of([] { make_reverse_process(Json{{"process", "jacobi"}, {"max_time", 0.001}}, {}, {4, 6}, "m.h5"); }) == Exit::kBadInput);
  CHECK(exit_of([] { ScheduleOptions::from_json(Json{{"process", "jacobi"}}, "m.h5"); }) == Exit::kBadInput);
  CHECK(ScheduleOptions::from_json(Json{{"process", "gaussian"}}, "m.h5") == ScheduleOptions());
}

}  // namespace plumb::diffusion
