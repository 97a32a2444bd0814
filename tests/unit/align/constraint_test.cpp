// Constraints by Lagrange multipliers.   SPDX-License-Identifier: Apache-2.0
#include "align/constraint.h"

#include "align/policy_gradient.h"
#include "core/error.h"
#include "oracle.h"
#include "toy.h"

using namespace plumb;
using namespace plumb::align;

TEST_CASE("what --constraint says") {
  const ConstraintSpec spec = parse_constraint("class-logp:a>=b.h5*2 >= -0.5");
  CHECK(spec.expression == "class-logp:a>=b.h5*2");
  CHECK(spec.floor == -0.5);
  for (const char* wrong : {"brightness", "brightness>=", ">=1", "brightness>=x", ""})
    CHECK_THROWS_AS(parse_constraint(wrong), Error);
}

TEST_CASE("a multiplier rises by the shortfall in standard deviations of the first epoch, and never leaves its range") {
  Multipliers m({1.0}, 0.5, 1.2);
  const auto epoch = [](double mean, double spread) { return at::tensor({mean - spread, mean + spread}, at::kDouble).view({1, 2}); };
  m.update(epoch(0.0, 2.0));  // 1 below the floor = half a standard deviation
  CHECK(m.values()[0] == doctest::Approx(0.25));
  m.update(epoch(0.0, 50.0));  // the first epoch's spread stays the unit
  CHECK(m.values()[0] == doctest::Approx(0.5));
  m.update(epoch(-9.0, 2.0));
  CHECK(m.values()[0] == 1.2);
  m.update(epoch(90.0, 2.0));
  CHECK(m.values()[0] == 0.0);
}

TEST_CASE("the advantage of the Lagrangian keeps its scale") {
  Multipliers m({1.0, 0.0}, 1.0, 10);
  m.update(at::tensor({-3.0, -1.0, 5.0, 7.0}, at::kDouble).view({2, 2}));  // lambda 3 and 0
  const Tensor own = at::tensor({1.0, -1.0}, at::kDouble), others = at::tensor({0.5, -0.5, 9.0, 9.0}, at::kDouble).view({2, 2});
  CHECK(largest_difference(m.combine(own, others), at::tensor({2.5 / 4, -2.5 / 4}, at::kDouble)) < 1e-12);
  Multipliers restored({1.0, 0.0}, 1.0, 10);
  restored.restore(m.to_json());
  CHECK(restored.values() == m.values());
}

TEST_CASE("a floor on another reward holds where the reward alone breaks it") {
  FinetuneOptions o = toy_options();
  o.epochs = 16;
  o.samples_per_epoch = 32;
  o.train_batch_size = 16;
  o.monitor_every = 32;
  o.constraint_lr = 1.0;
  const auto final_corner = [&](bool constrained, double floor) {
    Toy toy(o);
    std::vector<Constraint> constraints;
    if (constrained)
      constraints.push_back({{"corner", floor}, std::make_unique<PixelReward>(corner)});
    TuningContext context{toy.policy, &toy.reward, *toy.codec, toy.options, &constraints, &toy.features};
    const auto method = make_method(context);
    RawFeatures features;
    Monitor monitor(context, [] {
      std::vector<GoldReward> golds;
      golds.push_back({"corner", std::make_unique<PixelReward>(corner)});
      return golds;
    }(), features);
    Trainer trainer(context, *method, &monitor, {});
    REQUIRE(trainer.run() == RunEnd::kFinished);
    io::Json state;
    nn::Checkpoint checkpoint;
    method->save(checkpoint, false);
    return std::pair(monitor.log_fields(*monitor.evaluate(1000000)).at("reward/corner").get<double>(),
                     checkpoint.state["policy_gradient"]["multipliers"]["lambda"]);
  };
  const double start = 0.45;
  const auto [free, none] = final_corner(false, 0);
  const auto [held, lambda] = final_corner(true, start);
  MESSAGE("corner: ", free, " without, ", held, " with the floor ", start, ", multiplier ", lambda.dump());
  CHECK(none.empty());
  CHECK(free < start - 0.05);
  CHECK(held > free + 0.05);
  CHECK(lambda.at(0).get<double>() > 0);
}
