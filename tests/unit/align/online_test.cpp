// Methods that learn from answers, on a toy: what they learn from an artefact of answers, in chunks of any size, and go on from a checkpoint.
// SPDX-License-Identifier: Apache-2.0
#include "align/online.h"

#include <cmath>

#include <doctest/doctest.h>

#include "../io/scratch.h"
#include "align/papa.h"
#include "align/trainer.h"
#include "align/tuning_state.h"
#include "core/error.h"
#include "toy.h"

using namespace plumb;
using namespace plumb::align;

namespace {

FinetuneOptions options_of(const std::string& method) {
  FinetuneOptions o = toy_options();
  o.method = method;
  o.reward.clear();
  o.gold.clear();
  o.ask.step = true;
  o.ask.mode = method == "papa" || method == "epapa" ? "single" : "pairs";
  o.ask.share_start = method == "d3po" ? 2 : 1;
  o.train_batch_size = 1;
  o.batch_size = 8;
  o.papa.timesteps = 5;
  o.papa.k = 300;
  o.max_step_gain = 0;
  return o;
}

/// A toy whose first eight samples, drawn by itself, were judged: the even ones are liked, or better than the next.
struct Judgement {
  explicit Judgement(const FinetuneOptions& o, const std::vector<float>& y = {1, -1, 1, -1, 1, -1, 1, -1}) : toy(o) {
    RolloutRequest request;
    request.items = {0, 1, 2, 3, 4, 5, 6, 7};
    request.seed = o.seed;
    request.batch_size = 8;
    request.share_start = o.ask.share_start;
    request.keep_chain = false;
    const Rollout rollout = *roll_out(toy.policy, *toy.codec, request);
    const io::Json space{{"type", "image"}, {"shape", {1, 8, 8}}};
    io::H5Writer samples(folder / "samples.h5");
    samples.create("images", io::Type::kU8, {1, 8, 8});
    nn::append_rows(samples, "images", rollout.stored);
    samples.create("label", io::Type::kI64, {});
    nn::append_rows(samples, "label", rollout.condition.label);
    const io::Manifest of_samples = io::commit_artefact(
        samples, io::Manifest(io::Json{{"format", "plumb/1"}, {"kind", "samples"}, {"count", 8}, {"space", space}, {"seed", o.seed}, {"first", 0}, {"share_start", o.ask.share_start}}));
    io::H5Writer feedback(folder / "feedback.h5");
    const std::vector<int64_t> all{0, 1, 2, 3, 4, 5, 6, 7}, rater(8, 0);
    if (o.ask.mode == "single") {
      feedback.write("item", io::Type::kI64, {8}, all.data());
      feedback.write("y", io::Type::kF32, {8}, y.data());
      feedback.write("rater", io::Type::kI64, {8}, rater.data());
    } else {
      feedback.write("pair", io::Type::kI64, {4, 2}, all.data());
      feedback.write("pair_y", io::Type::kF32, {4}, std::vector<float>(4, 1).data());
      feedback.write("pair_rater", io::Type::kI64, {4}, rater.data());
    }
    asking.answers = io::commit_artefact(feedback, io::Manifest(io::Json{{"format", "plumb/1"}, {"kind", "feedback"}, {"count", 8}, {"inputs", {{"samples", of_samples.json()}}}}));
    asking.model = of_samples;  // of the same space
    toy.context.asking = &asking;
  }
  Tensor gradient(int64_t index = 0) {
    toy.zero_grad();
    log = toy.method->accumulate_gradients(toy.context, 0, index);
    return toy.gradients();
  }

  test::Scratch folder;
  AskingContext asking;
  Toy toy;
  UpdateLog log;
};

}  // namespace

TEST_SUITE("online") {
  TEST_CASE("the model before the first update: no distance, no margin") {
    for (const std::string method : {"papa", "epapa", "d3po", "diffusion-dpo"}) {
      CAPTURE(method);
      Judgement j(options_of(method));
      REQUIRE(j.toy.method->collect(j.toy.context, 0));
      CHECK(j.toy.method->updates_per_epoch() > 0);
      CHECK(j.gradient().norm().item<double>() > 0);
      const auto& values = j.log.values();
      if (method == "papa" || method == "epapa") {
        CHECK(values.at("gap_to_base") == 0.0);
        CHECK(values.at("liked") == 0.5);
        CHECK(values.at("loss") == doctest::Approx(0.1 * values.at("error_liked")).epsilon(1e-6));  // alpha y S, and no distance yet
        CHECK(values.count("error_disliked") == 0);  // safe: no steps of disliked samples
      } else {
        CHECK(values.at("loss") == doctest::Approx(std::log(2.0)).epsilon(1e-6));
        CHECK(std::abs(values.at("margin")) < 1e-6);
        CHECK(values.at("pairs") == 4);
      }
    }
  }

  TEST_CASE("the rows of a network pass change nothing but rounding") {
    for (const std::string method : {"papa", "d3po", "diffusion-dpo"}) {
      CAPTURE(method);
      std::vector<Tensor> gradients;
      for (const int64_t rows : {2, 64}) {
        FinetuneOptions o = options_of(method);
        o.papa.batch = 2;
        o.batch_size = rows;
        Judgement j(o);
        if (method != "d3po") j.toy.disturb();  // d3po's samples are of these very weights
        REQUIRE(j.toy.method->collect(j.toy.context, 0));
        gradients.push_back(j.gradient());
      }
      CHECK((gradients[0] - gradients[1]).norm().item<double>() < 1e-4 * gradients[1].norm().item<double>());
    }
  }

  TEST_CASE("a small step against the gradient lowers the loss by its square") {
    for (const std::string method : {"papa", "epapa", "d3po", "diffusion-dpo"}) {
      CAPTURE(method);
      FinetuneOptions o = options_of(method);
      if (method == "papa") o.papa.preset = "parity";
      o.d3po.eps = 0.9;      // so that no step is outside, where its margin would move without the loss
      o.max_step_gain = 4;
      Judgement j(o);
      REQUIRE(j.toy.method->collect(j.toy.context, 0));
      j.toy.disturb(0.002);
      const Tensor g = j.gradient(1);
      const auto loss_at = [&](double step) {
        const at::NoGradGuard no_grad;
        int64_t at = 0;
        for (const auto& [name, tensor] : j.toy.policy.trainable()) {
          Tensor t = tensor;
          t.add_(g.slice(0, at, at + t.numel()).reshape(t.sizes()), step);
          at += t.numel();
        }
        const at::AutoGradMode on(true);
        j.gradient(1);
        return j.log.values().at("loss");
      };
      const double norm = g.norm().item<double>(), size = 0.02 / norm;
      const double up = loss_at(size);
      const bool has_margin = j.log.values().contains("margin");
      const double margin_up = has_margin ? j.log.values().at("margin") : 0.0;
      const double down = loss_at(-2 * size);
      if (has_margin) CHECK(j.log.values().at("margin") > margin_up);  // of the better sample over the worse
      CHECK((up - down) / (2 * size * norm * norm) == doctest::Approx(1.0).epsilon(0.02));
    }
  }

  TEST_CASE("samples that are another's are refused by d3po, whose chains they are") {
    Judgement j(options_of("d3po"));
    j.toy.disturb();
    CHECK_THROWS_WITH_AS(j.toy.method->collect(j.toy.context, 0), doctest::Contains("are not what this model draws"), Error);
  }

  TEST_CASE("answers about items of another space, or of classes that the model has not, are refused") {
    for (const char* what : {"space", "label"}) {
      Judgement j(options_of("papa"));
      Judged judged = read_judged(*j.asking.answers, false, "papa");
      check_judged(judged, j.asking.model.space(), 3);
      io::Space space = j.asking.model.space();
      if (what == std::string("space"))
        space.shape = {1, 2, 2};
      else
        judged.label = judged.label + 3;
      try {
        check_judged(judged, space, 3);
        FAIL("was not refused");
      } catch (const Error& error) {
        CHECK(error.exit() == Exit::kBadInput);
        CHECK(std::string(error.what()).find("samples.h5") != std::string::npos);
      }
    }
  }

  TEST_CASE("d3po takes the classes that its samples were drawn with") {
    FinetuneOptions o = options_of("d3po");
    Judgement j(o);
    RolloutRequest request;
    request.items = {0, 1, 2, 3, 4, 5, 6, 7};
    request.seed = o.seed;
    request.batch_size = 8;
    request.share_start = 2;
    request.keep_chain = false;
    request.label = at::tensor({2, 2, 1, 1, 0, 0, 1, 1}, at::kLong);
    const Rollout drawn = *roll_out(j.toy.policy, *j.toy.codec, request);
    const Tensor of_other_classes = read_judged(*j.asking.answers, true, "d3po").stored;
    REQUIRE_FALSE(at::equal(drawn.stored, of_other_classes));  // else taking the wrong classes would not show
    io::H5Writer samples(j.folder / "own.h5");
    samples.create("images", io::Type::kU8, {1, 8, 8});
    nn::append_rows(samples, "images", drawn.stored);
    samples.create("label", io::Type::kI64, {});
    nn::append_rows(samples, "label", request.label);
    io::Json json = j.asking.model.json();
    json["share_start"] = 2;
    json.erase("sha256");
    json.erase("path");
    const io::Manifest own = io::commit_artefact(samples, io::Manifest(json));
    io::H5Writer feedback(j.folder / "of-own.h5");
    const std::vector<int64_t> all{0, 1, 2, 3, 4, 5, 6, 7}, rater(4, 0);
    feedback.write("pair", io::Type::kI64, {4, 2}, all.data());
    feedback.write("pair_y", io::Type::kF32, {4}, std::vector<float>(4, 1).data());
    feedback.write("pair_rater", io::Type::kI64, {4}, rater.data());
    j.asking.answers = io::commit_artefact(feedback, io::Manifest(io::Json{{"format", "plumb/1"}, {"kind", "feedback"}, {"count", 4}, {"inputs", {{"samples", own.json()}}}}));
    CHECK(j.toy.method->collect(j.toy.context, 0));
    CHECK(j.toy.method->updates_per_epoch() > 0);
  }

  TEST_CASE("a round that was collected goes on from a checkpoint; the buffer is kept between rounds") {
    for (const std::string method : {"papa", "d3po", "diffusion-dpo"}) {
      CAPTURE(method);
      Judgement first(options_of(method)), second(options_of(method));
      REQUIRE(first.toy.method->collect(first.toy.context, 0));
      nn::Checkpoint checkpoint;
      first.toy.method->save(checkpoint, true);
      second.toy.method->restore(checkpoint, true);
      CHECK(first.toy.method->updates_per_epoch() == second.toy.method->updates_per_epoch());
      CHECK(at::equal(first.gradient(1), second.gradient(1)));
      if (method == "papa") {
        const int64_t before = first.toy.method->updates_per_epoch();
        REQUIRE(first.toy.method->collect(first.toy.context, 1));
        CHECK(first.toy.method->updates_per_epoch() > before / 2);  // ten passes over eight of now sixteen
        nn::Checkpoint between;
        first.toy.method->save(between, false);
        CHECK(between.tensor("papa/stored").size(0) == 16);
        second.toy.method->restore(between, false);
        nn::Checkpoint again;
        second.toy.method->save(again, false);
        CHECK(again.state == between.state);  // nothing of a round is lost where no round is under way
      }
    }
  }

  TEST_CASE("a model that drifted is seen, and one that did not is not") {
    Judgement j(options_of("papa"));
    REQUIRE(j.toy.method->takes_back());
    REQUIRE(j.toy.method->collect(j.toy.context, 0));
    UpdateLog log;
    CHECK_FALSE(j.toy.method->has_diverged(j.toy.context, 0, log));
    CHECK(log.values().at("error_liked_to_base") == doctest::Approx(1.0).epsilon(1e-6));
    j.toy.disturb(3.0);
    CHECK(j.toy.method->has_diverged(j.toy.context, 0, log));
    CHECK(log.values().at("error_liked_to_base") > 3);
    CHECK(log.values().at("error_disliked_to_base") > 3);
  }

  TEST_CASE("the guard sees a ruined model in a round without a like: by likes of earlier rounds, before any by the dislikes") {
    FinetuneOptions o = options_of("papa");
    o.papa.replay = "none";
    Judgement before(o), never(o, {-1, -1, -1, -1, -1, -1, -1, -1});
    REQUIRE(before.toy.method->collect(before.toy.context, 0));
    before.asking.answers = never.asking.answers;
    REQUIRE(before.toy.method->collect(before.toy.context, 1));
    REQUIRE(never.toy.method->collect(never.toy.context, 0));
    CHECK(never.toy.method->updates_per_epoch() == 0);  // safe: a dislike has no loss
    for (Judgement* j : {&before, &never}) {
      UpdateLog log;
      CHECK_FALSE(j->toy.method->has_diverged(j->toy.context, 0, log));
      CHECK(log.values().count("error_liked_to_base") == (j == &before ? 1 : 0));
      j->toy.disturb(3.0);
      CHECK(j->toy.method->has_diverged(j->toy.context, 0, log));
    }
  }

  TEST_CASE("without replay a round learns from its own answers, and all of them are kept") {
    FinetuneOptions o = options_of("papa");
    o.papa.replay = "none";
    o.papa.passes = 1;
    Judgement twice(o), once(o, {-1, 1, -1, 1, -1, -1, -1, -1});
    REQUIRE(twice.toy.method->collect(twice.toy.context, 0));
    CHECK(twice.toy.method->updates_per_epoch() == 4);
    twice.asking.answers = once.asking.answers;
    REQUIRE(twice.toy.method->collect(twice.toy.context, 0));
    REQUIRE(once.toy.method->collect(once.toy.context, 0));
    CHECK(twice.toy.method->updates_per_epoch() == 2);
    CHECK(at::equal(twice.gradient(1), once.gradient(1)));
    nn::Checkpoint kept;
    twice.toy.method->save(kept, false);
    CHECK(kept.tensor("papa/stored").size(0) == 16);
    CHECK(kept.state["papa"]["y"].size() == 16);
  }

  TEST_CASE("epapa with K = T: all of the chain is the base model's, and nothing is trained") {
    Judgement j(options_of("epapa"));
    const int64_t T = j.toy.policy.schedule().num_train_timesteps();
    PreferenceAlignment all(j.toy.context, "epapa", T);
    REQUIRE(all.collect(j.toy.context, 0));
    CHECK(all.updates_per_epoch() == 0);
    UpdateLog log;
    CHECK_FALSE(all.has_diverged(j.toy.context, 0, log));
    CHECK_THROWS_AS(PreferenceAlignment(j.toy.context, "epapa", T + 1), Error);
  }

  TEST_CASE("a state from before there was a guard is gone on from") {
    FinetuneOptions o = options_of("papa");
    o.papa.guard = 0.0;
    o.epochs = 1;
    Judgement without(o);
    Trainer first(without.toy.context, *without.toy.method, nullptr, {});
    first.run();
    o.papa.guard = 1e-3;  // the very next round is taken back
    o.epochs = 2;
    Judgement with(o);
    Trainer second(with.toy.context, *with.toy.method, nullptr, {});
    second.go_on_from(first.state());
    second.run();
    CHECK(second.summary().at("epochs_taken_back") == 1);
    for (size_t k = 0; k < first.weights().size(); ++k)
      CHECK(at::equal(first.weights()[k].second, second.weights()[k].second));
  }

  TEST_CASE("heads that saw the same answers agree where these are, and disagree far away") {
    const Tensor x = at::linspace(-1, 1, 40, at::kDouble).unsqueeze(1);
    std::vector<double> y;
    for (int64_t i = 0; i < 40; ++i) y.push_back(x[i][0].item<double>() + (i % 2 ? 0.5 : -0.5) > 0 ? 1 : -1);
    const Tensor spread = disagreement(x, y, at::tensor({0.0, 5.0, -5.0}, at::kDouble).unsqueeze(1), 16, 3);
    CHECK(spread[1].item<double>() > 2 * spread[0].item<double>());
    CHECK(spread[2].item<double>() > 2 * spread[0].item<double>());
    CHECK(at::equal(spread, disagreement(x, y, at::tensor({0.0, 5.0, -5.0}, at::kDouble).unsqueeze(1), 16, 3)));
  }

  TEST_CASE("timesteps are drawn without replacement, from the range, and all of them if no number is given") {
    CHECK(draw_timesteps(3, 7, 0, 1, 1) == std::vector<int64_t>{3, 4, 5, 6, 7});
    CHECK(draw_timesteps(3, 7, 9, 1, 1).size() == 5);
    std::vector<int64_t> count(5, 0);
    for (int64_t draw = 0; draw < 5000; ++draw) {
      const std::vector<int64_t> t = draw_timesteps(3, 7, 2, 1, draw);
      REQUIRE(t.size() == 2);
      CHECK(t[0] < t[1]);
      for (const int64_t one : t) ++count.at(static_cast<size_t>(one - 3));
    }
    for (const int64_t n : count) CHECK(std::abs(static_cast<double>(n) - 2000) < 4 * std::sqrt(5000 * 0.4 * 0.6));
  }
}
