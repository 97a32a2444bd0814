// Advantages against the oracles F, G, H.   SPDX-License-Identifier: Apache-2.0
#include "align/advantage.h"

#include "core/error.h"
#include "oracle.h"

using namespace plumb;
using namespace plumb::align;

TEST_CASE("global advantage [F]") {
  const auto c = oracle("F_adv_global");
  CHECK(largest_difference(global_advantage(vector_of(c["inputs"]["rewards"])), vector_of(c["expected"]["advantage"])) <
        1e-8);
}

TEST_CASE("equal rewards have no advantage") {
  CHECK(global_advantage(at::full({5}, 2.5, at::kDouble)).abs().max().item<double>() == 0.0);
}

TEST_CASE("a group of equal rewards has no advantage, though its mean is rounded") {
  // (0.1 + 0.1 + 0.1) / 3 is not 0.1 in float64.
  const Tensor rewards = at::tensor({0.1, 0.1, 0.1, 2.0, 1.0}, at::kDouble);
  for (const GroupSpread spread : {GroupSpread::kGlobal, GroupSpread::kGroup}) {
    const Tensor a = group_advantage({"x", "x", "x", "y", "y"}, rewards, spread);
    CHECK(a.slice(0, 0, 3).eq(0.0).all().item<bool>());
    CHECK(a[3].item<double>() > 0.5);
  }
}

TEST_CASE("running moments are those of all rewards so far, and outlive a checkpoint") {
  const Tensor all = at::tensor({3.0, -1.0, 4.0, 1.5, 9.0, 2.5, 6.0}, at::kDouble);
  RunningMoments running, restored;
  const auto expected = [&](int64_t begin, int64_t end) {
    const Tensor seen = all.slice(0, 0, end);
    return (all.slice(0, begin, end) - seen.mean()) / (seen.std() + 1e-8);  // by n - 1
  };
  CHECK(largest_difference(running.advantage(all.slice(0, 0, 2)), expected(0, 2)) < 1e-12);
  CHECK(largest_difference(running.advantage(all.slice(0, 2, 6)), expected(2, 6)) < 1e-12);
  restored.restore(io::Json::parse(running.to_json().dump()));
  CHECK(largest_difference(restored.advantage(all.slice(0, 6, 7)), expected(6, 7)) < 1e-12);
}

TEST_CASE("per-prompt tracker: histories overflow, outlive the epoch and a checkpoint [G]") {
  const auto c = oracle("G_adv_per_prompt");
  const auto prompts = [&](const char* epoch) { return c["inputs"][epoch]["prompts"].get<std::vector<std::string>>(); };
  const auto rewards = [&](const char* epoch) { return vector_of(c["inputs"][epoch]["rewards"]); };
  RewardTracker first(c["inputs"]["buffer_size"], c["inputs"]["min_count"]);
  CHECK(largest_difference(first.advantage(prompts("epoch1"), rewards("epoch1")),
                           vector_of(c["expected"]["advantage1"])) < 1e-8);
  CHECK(first.history_share() == doctest::Approx(3.0 / 5.0));  // three cats; two dogs are below the minimum

  RewardTracker second(c["inputs"]["buffer_size"], c["inputs"]["min_count"]);
  second.restore(io::Json::parse(first.to_json().dump()));
  CHECK(largest_difference(second.advantage(prompts("epoch2"), rewards("epoch2")),
                           vector_of(c["expected"]["advantage2"])) < 1e-8);
  for (const auto& [prompt, expected] : c["expected"]["buffers"].items()) {
    const auto& history = second.histories().at(prompt);
    CHECK(std::vector<double>(history.begin(), history.end()) == expected.get<std::vector<double>>());
  }
}

TEST_CASE("the order of prompts in a batch does not matter") {
  RewardTracker a(8, 2), b(8, 2);
  const Tensor forward = a.advantage({"x", "y", "x", "y"}, at::tensor({1.0, 2.0, 3.0, 7.0}, at::kDouble));
  const Tensor backward = b.advantage({"y", "x", "y", "x"}, at::tensor({7.0, 3.0, 2.0, 1.0}, at::kDouble));
  CHECK(largest_difference(forward, backward.flip(0)) == 0.0);
}

TEST_CASE("a minimum above the capacity is refused") { CHECK_THROWS_AS(RewardTracker(4, 5), Error); }

TEST_CASE("discounted returns with step penalties [H]") {
  const auto c = oracle("H_tdpo_returns_gamma_kl");
  const auto& in = c["inputs"];
  const Tensor d = matrix_of(in["log_ratio"]);
  const Tensor terms = -in["kl_penalty_coef"].get<double>() * in["kl_controller"].get<double>() * d.clamp_min(0.0);
  const Tensor returns = discounted_returns(vector_of(in["normalised_reward"]), terms, d.size(1), in["gamma"]);
  CHECK(largest_difference(returns, matrix_of(c["expected"]["returns"])) < 1e-8);
}

TEST_CASE("without penalties and discount every step has the final return") {
  const Tensor final = at::tensor({0.5, -2.0}, at::kDouble);
  CHECK(largest_difference(discounted_returns(final, {}, 3, 1.0), final.unsqueeze(1).expand({2, 3})) == 0.0);
}
