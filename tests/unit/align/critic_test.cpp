// TDPO's critic: value loss [I], neuron activity and resets [J], AdamW after a reset [P].   SPDX-License-Identifier: Apache-2.0
#include "align/critic.h"

#include "core/error.h"
#include "nn/data.h"
#include "nn/dropout.h"
#include "oracle.h"

using namespace plumb;
using namespace plumb::align;

namespace {

/// The toy critic of case J, 3-4-3-2-1, in float64.
std::unique_ptr<Critic> toy_critic(const nlohmann::json& inputs) {
  CriticOptions options;
  options.widths = {4, 3, 2};
  options.dropout = {0, 0, 0};
  auto critic = std::make_unique<Critic>(3, options, 1);
  critic->to(at::kDouble);
  const at::NoGradGuard no_grad;
  for (size_t k = 0; k < critic->layers().size(); ++k) {
    critic->layers()[k].weight().copy_(matrix_of(inputs["weights"][k]));
    critic->layers()[k].bias().copy_(vector_of(inputs["biases"][k]));
  }
  return critic;
}

std::vector<Tensor> masks_of(const nlohmann::json& rows) {
  std::vector<Tensor> masks;
  for (const auto& row : rows) {
    Tensor mask = at::empty({static_cast<int64_t>(row.size())}, at::kBool);
    for (size_t n = 0; n < row.size(); ++n)
      mask[static_cast<int64_t>(n)] = row[n].get<bool>();
    masks.push_back(mask);
  }
  return masks;
}

bool same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  for (size_t k = 0; k < a.size(); ++k)
    if (!at::equal(a[k], b.at(k)))
      return false;
  return a.size() == b.size();
}

/// An optimiser whose moments are all 7, as after many steps.
std::unique_ptr<nn::AdamW> used_optimizer(Critic& critic) {
  auto optimizer = std::make_unique<nn::AdamW>(critic.parameters(), nn::AdamWOptions{});
  for (auto& [name, tensor] : optimizer->state())
    Tensor(tensor).fill_(7.0);
  return optimizer;
}

}  // namespace

TEST_CASE("clipped value loss and its gradient [I]") {
  const auto c = oracle("I_critic_loss");
  const Tensor value = vector_of(c["inputs"]["value_new"]).requires_grad_(true);
  const Tensor old = vector_of(c["inputs"]["value_old"]), returns = vector_of(c["inputs"]["returns"]);
  const LossTerms terms = critic_loss(value, old, returns, c["inputs"]["clip"]);
  terms.loss.backward();
  CHECK(terms.loss.item<double>() == doctest::Approx(c["expected"]["loss"].get<double>()).epsilon(1e-9));
  CHECK(largest_difference(value.grad(), vector_of(c["expected"]["grad_value_new"])) < 1e-9);
  CHECK(terms.means.at(1).second == doctest::Approx(c["expected"]["clipfrac"].get<double>()).epsilon(1e-9));
  CHECK(critic_loss(value, old, returns, 0).loss.item<double>() ==
        doctest::Approx(c["expected"]["loss_unclipped"].get<double>()).epsilon(1e-9));
}

TEST_CASE("neuron activity, dormant neurons and the reset of active ones [J]") {
  const auto c = oracle("J_neuron_scores_reset");
  const auto& wanted = c["expected"];
  const auto critic = toy_critic(c["inputs"]);
  const Tensor inputs = matrix_of(c["inputs"]["embeddings"]);
  CHECK(largest_difference(critic->forward(inputs).detach(), vector_of(wanted["critic_output"])) < 1e-9);

  const std::vector<Tensor> hidden = critic->hidden(inputs), activity = neuron_activity(hidden);
  REQUIRE(activity.size() == 3);
  for (size_t k = 0; k < 3; ++k) {
    CHECK(largest_difference(hidden[k].relu().mean(0), vector_of(wanted["score"][k])) < 1e-9);
    CHECK(largest_difference(activity[k], vector_of(wanted["normalised"][k])) < 1e-7);
  }
  const std::vector<Tensor> dormant = dormant_neurons(activity, c["inputs"]["threshold"]);
  CHECK(same(dormant, masks_of(wanted["dormant_mask"])));
  CHECK(same(dormant_neurons(activity, c["inputs"]["extra_threshold"]), masks_of(wanted["dormant_mask_extra"])));
  CHECK(count_dormant(dormant).total == wanted["total"]);
  CHECK(count_dormant(dormant).dormant == wanted["dormant"]);
  CHECK(100 * count_dormant(dormant).share() == doctest::Approx(wanted["dormant_percent"].get<double>()).epsilon(1e-8));

  const auto optimizer = used_optimizer(*critic);
  const std::vector<Tensor> active = masks_of(wanted["active_mask"]);
  std::vector<double> deviations;
  reset_neurons(*critic, *optimizer, active, [&](int64_t rows, int64_t columns, double sd) {
    deviations.push_back(sd);
    return at::full({rows, columns}, c["inputs"]["fill"].get<double>(), at::kDouble);
  });
  for (size_t k = 0; k < 4; ++k) {
    CHECK(largest_difference(critic->layers()[k].weight().detach(), matrix_of(wanted["weights_after_reset"][k])) < 1e-12);
    CHECK(largest_difference(critic->layers()[k].bias().detach(), vector_of(wanted["biases_after_reset"][k])) < 1e-12);
  }
  // sd 1/(in+1) of the layer that each drawn weight belongs to: 3-4, 4-3, 4-3, 3-2, 3-2, 2-1.
  CHECK(deviations == std::vector<double>{1.0 / 4, 1.0 / 5, 1.0 / 5, 1.0 / 4, 1.0 / 4, 1.0 / 3});
  // Moments: zero in the rows of a reset neuron, its bias and its outgoing column, 7 elsewhere; step counters stay.
  for (const auto& [name, moment] : optimizer->state()) {
    CAPTURE(name);
    const size_t layer = static_cast<size_t>(name.at(7) - '0');
    Tensor expected = at::full_like(moment, 7.0);
    if (name.find(".step") == std::string::npos) {
      if (layer < 3)
        expected.index_fill_(0, active[layer].nonzero().flatten(), 0.0);
      if (layer > 0 && name.find("weight") != std::string::npos)
        expected.index_fill_(1, active[layer - 1].nonzero().flatten(), 0.0);
    }
    CHECK(at::equal(moment, expected));
  }
}

TEST_CASE("a reset of no neuron leaves critic and optimiser bitwise unchanged") {
  Critic critic(5, {}, 3);
  const auto optimizer = used_optimizer(critic);
  std::vector<Tensor> before, none;
  for (const auto& [name, tensor] : critic.parameters())
    before.push_back(tensor.detach().clone());
  for (const int64_t width : CriticOptions().widths)
    none.push_back(at::zeros({width}, at::kBool));
  reset_neurons(critic, *optimizer, none, [](int64_t rows, int64_t columns, double) { return at::ones({rows, columns}); });
  size_t i = 0;
  for (const auto& [name, tensor] : critic.parameters())
    CHECK(at::equal(tensor, before[i++]));
  for (const auto& [name, tensor] : optimizer->state())
    CHECK(tensor.eq(7.0).all().item<bool>());
}

TEST_CASE("AdamW right after a reset steps 2.5 learning rates [P]") {
  const auto c = oracle("P_adamw_after_reset");
  const auto& in = c["inputs"];
  Tensor w = at::full({1}, in["w"].get<double>(), at::kDouble).requires_grad_(true);
  nn::AdamW optimizer({{"w", w}}, {.lr = in["lr"], .eps = in["eps"], .weight_decay = in["weight_decay"]});
  nn::NamedTensors state = optimizer.state();
  state[2].second.fill_(in["step_before"].get<double>());
  w.mutable_grad() = at::full({1}, in["grad"].get<double>(), at::kDouble);
  optimizer.step();
  CHECK(w.item<double>() == doctest::Approx(c["expected"]["w_new"].get<double>()).epsilon(1e-9));
}

TEST_CASE("first weights: as published the value is nearly constant, PyTorch's default is not") {
  const at::NoGradGuard no_grad;
  const Tensor noise = nn::normal_noise(1, 99, {0, 1, 2, 3}, 0, {768}, at::kCPU), unit = noise / noise.norm(2, 1, true);
  Critic published(768, {}, 1);
  // Deviations of the layers: 32/769, then 11.3/1025, 8/129, 4/65 and 1/17 of the one before.
  CHECK(published.forward(unit).abs().max().item<double>() < 1e-6);
  CHECK(published.layers()[0].weight().std().item<double>() == doctest::Approx(1.0 / 769).epsilon(0.02));
  const Tensor e = noise.slice(1, 0, 16);
  CHECK(published.layers()[1].bias().abs().max().item<double>() == 0);
  CriticOptions o;
  o.init = CriticInit::kDefault;
  Critic usual(16, o, 1);
  CHECK(usual.forward(e).std().item<double>() > 1e-4);
  Critic again(16, o, 1), other(16, o, 2);
  CHECK(at::equal(usual.forward(e), again.forward(e)));
  CHECK_FALSE(at::equal(usual.forward(e), other.forward(e)));
}

TEST_CASE("dropout only while training; ReLU only where asked for") {
  const Tensor e = nn::normal_noise(1, 99, {0, 1, 2, 3}, 0, {16}, at::kCPU);
  const at::NoGradGuard no_grad;
  CriticOptions o;
  o.init = CriticInit::kDefault;
  Critic critic(16, o, 1);
  const Tensor value = critic.forward(e);
  critic.train(true);
  CHECK_THROWS_AS(critic.forward(e), Error);  // a mask that nobody keyed
  {
    const nn::DropoutScope scope(1, {0, 1, 2, 3}, 0);
    CHECK_FALSE(at::equal(critic.forward(e), value));
  }
  critic.train(false);
  CHECK(at::equal(critic.forward(e), value));
  CHECK(largest_difference(critic.forward(2 * e) - critic.forward(e), critic.forward(3 * e) - critic.forward(2 * e)) < 1e-6);
  o.relu = true;
  Critic bent(16, o, 1);
  CHECK(largest_difference(bent.forward(2 * e) - bent.forward(e), critic.forward(2 * e) - critic.forward(e)) > 1e-4);
}

TEST_CASE("explained variance: 1 for the returns, 0 for a constant, below 0 for worse") {
  const Tensor r = at::tensor({1.0, 2.0, 4.0});
  CHECK(explained_variance(r + 3, r) == doctest::Approx(1.0));
  CHECK(explained_variance(at::zeros({3}), r) == doctest::Approx(0.0));
  CHECK(explained_variance(-r, r) == doctest::Approx(-3.0));
  CHECK(explained_variance(r, at::ones({3})) == 0.0);
}

TEST_CASE("overlap of dormant sets counts members") {
  const auto set = [](std::vector<int64_t> members) {
    Tensor mask = at::zeros({5}, at::kBool);
    for (const int64_t n : members)
      mask[n] = true;
    return std::vector<Tensor>{mask};
  };
  CHECK(dormant_overlap(set({0, 1, 2}), set({1, 2, 3, 4})) == doctest::Approx(2.0 / 3));
  CHECK(dormant_overlap(set({0}), set({1})) == 0.0);
  CHECK(dormant_overlap(set({}), set({1})) == 1.0);
}
