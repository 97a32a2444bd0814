// How an epoch is cut into updates [Q].   SPDX-License-Identifier: Apache-2.0
#include "align/update_plan.h"

#include <numeric>
#include <set>

#include "core/error.h"
#include "oracle.h"

using namespace plumb;
using namespace plumb::align;

namespace {

std::vector<int64_t> all_steps(int64_t count) {
  std::vector<int64_t> steps(static_cast<size_t>(count));
  std::iota(steps.begin(), steps.end(), 0);
  return steps;
}

}  // namespace

TEST_CASE("update counts of the published configurations [Q]") {
  const auto c = oracle("Q_update_counts");
  const auto plan = [&](const char* name, UpdateOrder order) {
    const auto& in = c["inputs"][name];
    const int64_t devices = in["gpus"];
    return make_update_plan(devices * in["sample_batch"].get<int64_t>() * in["num_batches"].get<int64_t>(),
                            all_steps(in["T"]), 1.0, devices * in["train_batch"].get<int64_t>(), in["accum"], 1, order);
  };
  const UpdatePlan ddpo = plan("ddpo", UpdateOrder::kTrajectories), tdpo = plan("tdpo", UpdateOrder::kColumns);
  CHECK(ddpo.updates_per_epoch() == c["expected"]["ddpo"]);
  CHECK(ddpo.transitions_per_update() == c["expected"]["ddpo_terms_per_update"]);
  CHECK(tdpo.updates_per_epoch() == c["expected"]["tdpo"]);
  CHECK(tdpo.transitions_per_update() == c["expected"]["tdpo_terms_per_update"]);
}

TEST_CASE("an inner epoch uses each transition once, whatever the order") {
  for (const UpdateOrder order : {UpdateOrder::kTrajectories, UpdateOrder::kColumns}) {
    const UpdatePlan plan = make_update_plan(12, all_steps(5), 1.0, 2, 2, 2, order);
    for (int64_t inner = 0; inner < 2; ++inner) {
      std::set<std::pair<int64_t, int64_t>> seen;
      for (int64_t u = 0; u < plan.updates_per_inner_epoch(); ++u) {
        const auto picked = plan.transitions(3, 7, inner * plan.updates_per_inner_epoch() + u);
        CHECK(static_cast<int64_t>(picked.size()) == plan.transitions_per_update());
        for (const auto& t : picked)
          seen.emplace(t.sample, t.step);
      }
      CHECK(seen.size() == 60);
    }
  }
}

TEST_CASE("orders differ between samples, inner epochs, epochs and seeds, and repeat exactly") {
  const UpdatePlan plan = make_update_plan(6, all_steps(50), 1.0, 6, 1, 2, UpdateOrder::kTrajectories);
  const auto key = [&](uint64_t seed, int64_t epoch, int64_t index) {
    std::vector<int64_t> flat;
    for (const auto& t : plan.transitions(seed, epoch, index))
      flat.insert(flat.end(), {t.sample, t.step});
    return flat;
  };
  CHECK(key(1, 0, 0) == key(1, 0, 0));
  CHECK(key(1, 0, 0) != key(1, 0, 1));
  CHECK(key(1, 0, 0) != key(1, 1, 0));
  CHECK(key(1, 0, 0) != key(2, 0, 0));
  const auto picked = plan.transitions(1, 0, 0);
  bool same_steps = true;
  for (size_t i = 0; i < 50; ++i)
    same_steps = same_steps && picked[i].step == picked[50 + i].step;
  CHECK_FALSE(same_steps);
}

TEST_CASE("a fraction of the steps is a random subset for each sample") {
  const UpdatePlan plan = make_update_plan(4, all_steps(50), 0.3, 4, 1, 1, UpdateOrder::kTrajectories);
  CHECK(plan.train_steps == 15);
  std::set<int64_t> steps;
  for (const auto& t : plan.transitions(0, 0, 0))
    steps.insert(t.step);
  CHECK(steps.size() > 25);  // four subsets of 15 of 50 cover about 38
  CHECK(make_update_plan(4, all_steps(10), 0.7, 4, 1, 1, UpdateOrder::kTrajectories).train_steps ==
        7);  // not 6 by rounding
}

TEST_CASE("steps that are left out are never trained on") {
  const UpdatePlan plan = make_update_plan(8, {0, 1, 3}, 1.0, 8, 1, 1, UpdateOrder::kTrajectories);
  CHECK(plan.transitions_per_update() == 24);
  for (const auto& t : plan.transitions(0, 0, 0))
    CHECK((t.step == 0 || t.step == 1 || t.step == 3));
}

TEST_CASE("what does not divide is refused") {
  CHECK_THROWS_AS(make_update_plan(64, all_steps(50), 1.0, 24, 1, 1, UpdateOrder::kTrajectories), Error);
  CHECK_THROWS_AS(make_update_plan(64, all_steps(50), 0.01, 32, 1, 1, UpdateOrder::kTrajectories), Error);
}
