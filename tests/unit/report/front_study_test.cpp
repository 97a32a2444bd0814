// Points of the reward-diversity plane: what a lineage says, means, fronts, comparisons, the page.
// SPDX-License-Identifier: Apache-2.0
#include "report/front_study.h"

#include <cmath>
#include <filesystem>

#include <doctest/doctest.h>

#include "core/error.h"
#include "io/artefact.h"
#include "report/front_figures.h"
#include "report/front_report.h"
#include "report/page.h"
#include "xml.h"

using namespace plumb;
using namespace plumb::report;
using io::Json;
using io::Manifest;

namespace {

Json node(const std::string& kind, const Json& more) {
  Json json{{"format", "plumb/1"}, {"kind", kind}};
  json.update(more);
  return json;
}

/// The base model, or one tuned from it with a seed, by ddpo-is towards `jpeg`.
Json model(std::optional<uint64_t> seed = {}, const Json& config = Json::object(), const std::string& reward = "jpeg") {
  const Json base = node("model", {{"sha256", "base"}, {"config", {{"seed", 77}}}});
  if (!seed) return base;
  Json all{{"method", "ddpo-is"}, {"reward", reward}, {"seed", *seed}, {"epochs", 10}, {"kl_coef", nullptr}, {"kl_form", "exact"},
           {"kl_penalty", 0.0}};
  all.update(config);
  return node("model", {{"sha256", "tuned" + std::to_string(*seed) + all.dump()},
                        {"config", all},
                        {"finetune", {{"reward", {{"expression", reward}}}, {"plan", {{"updates_per_epoch", 4}}},
                                      {"result", {{"steps", 36}}}}},
                        {"inputs", {{"model", base}}}});
}

Json samples_of(const Json& model, const Json& config) {
  static int number = 0;
  return node("samples", {{"sha256", "samples" + std::to_string(++number)}, {"config", config}, {"inputs", {{"model", model}}}});
}

/// What the pipe sample | score | diversity | evaluate-fid prints: a reward, a Vendi score, and an FID of 20 minus it.
Manifest point(const Json& samples, double reward, double vendi, double gold = 1) {
  const Json scores = node("scores", {{"sha256", "scores of " + samples.value("sha256", "")},
                                      {"rewards", {{"gold", {{"expression", "brisque"}, {"mean", gold}}},
                                                   {"jpeg", {{"expression", "jpeg"}, {"mean", reward}}}}},
                                      {"inputs", {{"samples", samples}}}});
  const Json kernel{{"kernel", "cosine"}, {"scores", {{{"order", "1"}, {"value", vendi}}}}};
  const Json extractor{{"name", "classifier"}, {"digest", "0123456789abcdef"}};
  const Json diversity = node("metrics", {{"metrics", {{"vendi", {{"order", "1"}, {"value", vendi}, {"kernels", Json::array({kernel})}}}}},
                                          {"extractor", extractor},
                                          {"inputs", {{"samples", samples}, {"previous", scores}}}});
  // The reference was sampled and measured too: none of that is the point's.
  const Json other = samples_of(model(), Json::object());
  const Json reference = node("metrics", {{"metrics", {{"prdc", {{"recall", 0.5}}}}}, {"inputs", {{"samples", other}}}});
  return Manifest(node("metrics", {{"metrics", {{"fid", {{"value", 20 - vendi}}}}},
                                   {"extractor", extractor},
                                   {"inputs", {{"samples", samples}, {"previous", diversity}, {"reference", reference}}}}));
}

Manifest aig(uint64_t seed, const std::string& schedule, double reward, double vendi) {
  return point(samples_of(model(seed), {{"aig", schedule}, {"lora_scale", 1.0}}), reward, vendi);
}
Manifest lora(uint64_t seed, double scale, double reward, double vendi) {
  return point(samples_of(model(seed), {{"aig", "ft"}, {"lora_scale", scale}}), reward, vendi);
}
Manifest base(double reward = 0, double vendi = 10) { return point(samples_of(model(), {{"aig", "ft"}}), reward, vendi); }

/// Two seeds. In units of the study (reward 0 to 4, Vendi score 4 to 10):
///   AIG 1: (1/2, 5/6) (1, 4/6), area 4/6 + 1/2 * 1/6 = 0.75      LoRA 1: (1/2, 3/6) (1, 0), area 0.25
///   AIG 2: (1/2, 4/6) (1, 4/6), area 4/6                         LoRA 2: (1/2, 2/6) (1, 0), area 1/6
std::vector<Manifest> two_seeds() {
  return {lora(1, 0.5, 2, 7), base(),         lora(1, 0.8, 4, 4), aig(1, "linear", 2, 9), aig(1, "power:2", 4, 8),
          lora(2, 0.5, 2, 6), lora(2, 0.8, 4, 4), aig(2, "linear", 2, 8), aig(2, "power:2", 4, 8)};
}

FrontStudy study_of(const std::vector<Manifest>& manifests, const std::string& reward = "") {
  std::vector<FrontPoint> points;
  for (const Manifest& m : manifests) points.push_back(read_front_point(m));
  std::vector<std::string> notes;
  const std::vector<FrontStudy> studies = front_studies(points, reward, notes);
  REQUIRE(studies.size() == 1);
  return studies[0];
}

std::string raw(const Table& table, size_t row, const std::string& key) {
  for (size_t i = 0; i < table.columns.size(); ++i)
    if (table.columns[i].key == key) return table.rows.at(row).at(i).raw;
  FAIL("no column " << key);
  return "";
}

/// The first for programs.
Table file_table(const std::vector<Table>& tables) {
  for (const Table& t : tables)
    if (t.use == Table::Use::kFile) return t;
  FAIL("no such table");
  return {};
}

}  // namespace

TEST_SUITE("front points") {
  TEST_CASE("the regulariser of a point, from its lineage") {
    const auto of = [](const Json& tuned, const Json& config) {
      const Regularisation r = regularisation_of(Manifest(node("samples", {{"config", config}})), Manifest(tuned));
      return r.name + "|" + r.strength;
    };
    const Json plain = model(1);
    CHECK(of(model(), Json::object()) == "base|");
    CHECK(of(model(), {{"aig", "ft"}, {"lora_scale", 1.0}}) == "base|");
    CHECK(of(plain, Json::object()) == "plain|");
    CHECK(of(plain, {{"aig", "ft"}, {"lora_scale", 1.0}}) == "plain|");
    CHECK(of(plain, {{"aig", "base"}}) == "base|");
    CHECK(of(plain, {{"lora_scale", 0.0}}) == "base|");
    CHECK(of(plain, {{"lora_scale", 0.4}}) == "LoRA scaling|0.4");
    CHECK(of(plain, {{"aig", "power:2"}, {"lora_scale", 1.0}}) == "AIG|power:2");
    CHECK(of(plain, {{"aig", "power:2"}, {"lora_scale", 0.4}}) == "LoRA scaling + AIG|0.4, power:2");
    for (const char* all_of_it : {"constant:1", "step:0"}) CHECK(of(plain, {{"aig", all_of_it}}) == "plain|");
    for (const char* none_of_it : {"constant:0", "constant:0.0", "step:1"}) CHECK(of(plain, {{"aig", none_of_it}}) == "base|");
    for (const char* some : {"constant:0.5", "step:0.6", "linear"}) CHECK(of(plain, {{"aig", some}}) == std::string("AIG|") + some);
    CHECK(of(model(1, {{"kl_coef", 0.01}}), Json::object()) == "KL|0.01");
    CHECK(of(model(1, {{"kl_coef", 0.01}, {"kl_form", "plain"}}), {{"aig", "linear"}}) == "KL + AIG|0.01, plain form, linear");
    CHECK(of(model(1, {{"kl_penalty", 0.1}}), Json::object()) == "KL|penalty 0.1");
    CHECK(of(model(1, {{"kl_penalty", 0.1}, {"kl_target", 5.0}}), Json::object()) == "KL|penalty 0.1, target 5");
    Json dpok = model(1);  // an option left alone is null there; the plan knows the method's default
    dpok["finetune"]["plan"]["kl_coef"] = 0.001;
    CHECK(of(dpok, Json::object()) == "KL|0.001");
    const auto with_alpha = [](const char* method, double alpha, const Json& more = Json::object()) {
      Json config{{"method", method}};
      config.update(more);
      Json tuned = model(1, config);
      tuned["finetune"]["plan"]["alpha"] = alpha;
      return tuned;
    };
    CHECK(of(with_alpha("strl", 0.1), Json::object()) == "KL|alpha 0.1");
    CHECK(of(with_alpha("braid", 0.5), {{"lora_scale", 0.4}}) == "KL + LoRA scaling|alpha 0.5, 0.4");
    CHECK(of(with_alpha("strl", 0.1, {{"strl.kl_reduce", "mean"}}), Json::object()) == "KL|alpha 0.1, mean over coordinates");
    CHECK(of(with_alpha("drakes", 0.001, {{"drakes.kl", "published"}, {"strl.kl_reduce", "mean"}}), Json::object()) ==
          "KL|alpha 0.001, published form");
    CHECK(of(with_alpha("drakes", 0), Json::object()) == "plain|");
    for (const char* other : {"papa", "epapa"}) CHECK(of(with_alpha(other, 0.1), Json::object()) == "plain|");  // their alpha is no KL
  }

  TEST_CASE("rewards, figures and seed of a point") {
    const FrontPoint p = read_front_point(aig(3, "linear", 2.5, 7));
    CHECK(p.seed == 3);
    CHECK(p.method == "ddpo-is");
    CHECK(p.steps == 40);  // planned: a rule ended the run at 36
    CHECK(p.trained == "jpeg");
    CHECK(p.reward("jpeg") == 2.5);
    CHECK(p.reward("gold") == 1);
    CHECK(std::isnan(p.reward("other")));
    const auto measure = [&](const std::string& key) {
      for (const Measure& m : known_measures())
        if (m.key == key) return p.measure(m);
      return -1.0;
    };
    CHECK(measure("vendi") == 7);
    CHECK(measure("fid") == 13);
    CHECK(std::isnan(measure("recall")));  // the reference's own
    CHECK_FALSE(read_front_point(base()).seed.has_value());  // 77 is that of its training
    CHECK(read_front_point(base()).is_base());
  }

  TEST_CASE("the sampled model is the one called model, and the mean over classes is a measure of its own") {
    Json samples = samples_of(model(1), {{"aig", "linear"}});
    samples["inputs"] = Json{{"base", model()}, {"model", model(1)}};
    CHECK(read_front_point(point(samples, 1, 1)).regularisation.name == "AIG");
    Manifest m = point(samples, 1, 6);
    m.json()["inputs"]["previous"]["metrics"]["vendi"]["class_mean"] = 3.5;
    CHECK(read_front_point(m).measure(known_measures()[1]) == 3.5);
    CHECK(read_front_point(m).measure(known_measures()[0]) == 6);
    m.json()["inputs"]["previous"]["metrics"]["vendi"]["kernels"][0]["kernel"] = "rbf";  // then it is rbf's
    CHECK(std::isnan(read_front_point(m).measure(known_measures()[1])));
  }

  TEST_CASE("what is no point is refused") {
    CHECK_THROWS_AS(read_front_point(Manifest(node("metrics", Json::object()))), Error);
    CHECK_THROWS_AS(read_front_point(Manifest(samples_of(model(), Json::object()))), Error);                     // no scores
    CHECK_THROWS_AS(read_front_point(Manifest(node("samples", {{"sha256", "x"}, {"config", Json::object()}}))), Error);  // no model
  }
}

TEST_SUITE("front studies") {
  TEST_CASE("one study a trained reward; the base model is in all of them") {
    std::vector<FrontPoint> points;
    const auto add = [&](const Json& samples) { points.push_back(read_front_point(point(samples, 1, 5))); };
    add(samples_of(model(1), Json::object()));
    add(samples_of(model(), Json::object()));
    add(samples_of(model(1, Json::object(), "brisque"), Json::object()));  // column "gold"
    std::vector<std::string> notes;
    const std::vector<FrontStudy> studies = front_studies(points, "", notes);
    REQUIRE(studies.size() == 2);
    CHECK(notes.empty());
    CHECK(studies[0].reward == "jpeg");
    CHECK(studies[1].reward == "gold");
    for (const FrontStudy& s : studies) {
      CHECK(s.tuned.size() == 1);
      CHECK(s.base.size() == 1);
      CHECK(s.tuned[0].regularisation.strength == "40 steps");
    }
    CHECK(studies[0].golds == std::vector<std::string>{"gold"});
    CHECK(front_studies(points, "gold", notes).size() == 1);
    CHECK(front_studies(points, "gold", notes)[0].tuned.size() == 2);
    CHECK_THROWS_AS(front_studies(points, "nosuch", notes), Error);
    points.resize(2);
    notes.clear();
    points[0].trained = "learned:p.h5";  // nobody scored by it
    CHECK(front_studies(points, "", notes)[0].reward == "gold");
    REQUIRE(notes.size() == 1);
    CHECK(notes[0].find("learned:p.h5") != std::string::npos);
  }

  TEST_CASE("base points count where they were sampled as the tuned ones") {
    const auto sampled = [](const Json& m, const std::string& chosen, double reward) {
      return read_front_point(point(samples_of(m, {{"class", chosen}, {"steps", 20}, {"seed", 3}}), reward, 9));
    };
    std::vector<std::string> notes;
    const FrontStudy study = front_studies({sampled(model(), "none", 1), sampled(model(), "balanced", 5), sampled(model(1), "none", 2)}, "", notes).at(0);
    REQUIRE(study.base.size() == 1);
    CHECK(study.base[0].reward("jpeg") == 1);
    CHECK(notes.empty());
    const FrontStudy other = front_studies({sampled(model(), "balanced", 5), sampled(model(1), "none", 2)}, "", notes).at(0);
    CHECK(other.base.size() == 1);
    REQUIRE(notes.size() == 1);
    CHECK(notes[0].find("sampled with other options") != std::string::npos);
  }

  TEST_CASE("strengths differ in training length and method where these differ") {
    const auto p = [](const Json& config, const char* schedule) {
      return point(samples_of(model(1, config), {{"aig", schedule}}), 1, 5);
    };
    const FrontStudy same = study_of({p(Json::object(), "linear"), p(Json::object(), "power:2")});
    CHECK(same.tuned[0].regularisation.strength == "linear");
    const FrontStudy longer = study_of({p(Json::object(), "linear"), p({{"epochs", 20}}, "linear"), p(Json::object(), "ft")});
    CHECK(longer.tuned[0].regularisation.strength == "linear, 40 steps");
    CHECK(longer.tuned[1].regularisation.strength == "linear, 80 steps");
    CHECK(longer.regularisers == std::vector<std::string>{"AIG", "plain"});
    const FrontStudy methods = study_of({p(Json::object(), "linear"), p({{"method", "grpo"}}, "linear")});
    CHECK(methods.tuned[1].regularisation.strength == "linear, grpo");
  }

  TEST_CASE("means over seeds; points of one seed are averaged first") {
    std::vector<Manifest> all = two_seeds();
    all.push_back(aig(2, "linear", 4, 10));  // again: with (2,8) the seed's mean is (3,9)
    std::vector<FrontPoint> points;
    for (const Manifest& m : all) points.push_back(read_front_point(m));
    std::vector<std::string> notes;
    const FrontStudy study = front_studies(points, "", notes).at(0);
    REQUIRE(notes.size() == 1);
    CHECK(notes[0].find("1 point has the regulariser") != std::string::npos);
    const std::vector<StrengthMean> means = strength_means(study);
    REQUIRE(means.size() == 5);
    CHECK(means[0].regulariser == "base");
    CHECK(means[0].reward.n == 1);
    CHECK(means[1].strength == "linear");
    CHECK(means[1].reward.n == 2);
    CHECK(means[1].reward.mean == 2.5);
    CHECK(means[1].reward.half == doctest::Approx(12.7062 * 0.5));  // of 2 and 3
    CHECK(means[1].measures[0].mean == 9);
    CHECK(means[3].regulariser == "LoRA scaling");
    CHECK(means[3].measures[0].mean == 6.5);
    CHECK(seed_points(study, "AIG", 2, study.measures[0])[1].reward == 3);
  }

  TEST_CASE("fronts of means: each regulariser's own, and of all") {
    const FrontStudy study = study_of(two_seeds());
    REQUIRE(study.measures.size() == 2);
    CHECK(study.measures[0].key == "vendi");
    CHECK(study.measures[1].key == "fid");
    const std::vector<StrengthMean> means = strength_means(study);  // base, linear, power:2, 0.5, 0.8
    CHECK(on_front(study, means, 0, "AIG") == std::vector<bool>{true, true, true, false, false});
    CHECK(on_front(study, means, 0, "LoRA scaling") == std::vector<bool>{true, false, false, true, true});
    CHECK(on_front(study, means, 0, "") == std::vector<bool>{true, true, true, false, false});
    CHECK(on_front(study, means, 1, "") == std::vector<bool>{true, true, true, false, false});  // FID: lower is better
  }

  TEST_CASE("hypervolumes by hand") {
    const FrontStudy study = study_of(two_seeds());
    for (const Measure& m : study.measures) {  // FID is 20 minus the Vendi score: the same areas
      const ByRegulariser volumes = hypervolumes(study, m);
      CHECK(volumes.at("AIG").at(1) == doctest::Approx(0.75).epsilon(1e-12));
      CHECK(volumes.at("AIG").at(2) == doctest::Approx(4.0 / 6).epsilon(1e-12));
      CHECK(volumes.at("LoRA scaling").at(1) == doctest::Approx(0.25).epsilon(1e-12));
      CHECK(volumes.at("LoRA scaling").at(2) == doctest::Approx(1.0 / 6).epsilon(1e-12));
    }
    const Table file = file_table(hypervolume_tables(study));
    REQUIRE(file.rows.size() == 4);
    CHECK(raw(file, 0, "regulariser") == "AIG");
    CHECK(std::stod(raw(file, 0, "hypervolume")) == doctest::Approx((0.75 + 4.0 / 6) / 2));
    CHECK(std::stod(raw(file, 0, "hypervolume_ci95")) == doctest::Approx(12.7062 * (0.75 - 4.0 / 6) / 2));
    CHECK(raw(file, 0, "aig_minus_this").empty());
    CHECK(std::stod(raw(file, 1, "aig_minus_this")) == doctest::Approx(0.5));  // in both seeds
    CHECK(std::stod(raw(file, 1, "aig_minus_this_ci95")) < 1e-12);
    CHECK(raw(file, 1, "pairs") == "2");
    std::vector<Manifest> no_base = two_seeds();
    no_base.erase(no_base.begin() + 1);
    CHECK(hypervolume_tables(study_of(no_base)).empty());
    CHECK(std::isnan(hypervolumes(study_of(no_base), study.measures[0]).at("AIG").at(1)));
  }

  TEST_CASE("the base point of a seed: its own, else of its proxy, else any") {
    std::vector<Manifest> all = two_seeds();
    all.push_back(base(2, 20));
    const FrontStudy shared = study_of(all);
    CHECK(base_point(shared, 1, shared.measures[0]).reward == 1);  // of 0 and 2
    CHECK(base_point(shared, 1, shared.measures[0]).diversity == 15);
    all.push_back(aig(2, "base", 0.5, 12));
    const FrontStudy own = study_of(all);
    CHECK(own.base.size() == 3);
    CHECK(base_point(own, 2, own.measures[0]).diversity == 12);
    CHECK(base_point(own, 1, own.measures[0]).reward == doctest::Approx(2.5 / 3));
    const auto proxy = [](const Json& samples, const std::string& file, double reward) {
      Manifest m = point(samples, reward, 5);
      m.json()["inputs"]["previous"]["inputs"]["previous"]["rewards"]["jpeg"]["expression"] = "learned:" + file;
      return m;
    };
    const auto tuned = [&](uint64_t seed, const std::string& file) {
      return proxy(samples_of(model(seed, Json::object(), "learned:" + file), Json::object()), file, 3);
    };
    const FrontStudy proxies = study_of({tuned(1, "1.h5"), tuned(2, "2.h5"), proxy(samples_of(model(), Json::object()), "1.h5", 0.1),
                                         proxy(samples_of(model(), Json::object()), "2.h5", 0.2)});
    CHECK(proxies.seeds == std::vector<uint64_t>{1, 2});
    CHECK(base_point(proxies, 1, proxies.measures[0]).reward == 0.1);
    CHECK(base_point(proxies, 2, proxies.measures[0]).reward == 0.2);
  }

  TEST_CASE("diversity at equal reward by hand") {
    const FrontStudy study = study_of(two_seeds());
    const BySeed half = reward_levels(study, 0.5);
    CHECK(half == BySeed{{1, 2.0}, {2, 2.0}});
    const ByRegulariser at_half = diversity_at_levels(study, study.measures[0], half);
    CHECK(at_half.at("AIG").at(1) == doctest::Approx(9));
    CHECK(at_half.at("AIG").at(2) == doctest::Approx(9));  // linear (2,8) is dominated: between (0,10) and (4,8)
    CHECK(at_half.at("LoRA scaling").at(1) == doctest::Approx(7));
    CHECK(at_half.at("LoRA scaling").at(2) == doctest::Approx(6));
    const ByRegulariser late = diversity_at_levels(study, study.measures[0], reward_levels(study, 0.75));
    CHECK(late.at("AIG").at(1) == doctest::Approx(8.5));
    CHECK(late.at("LoRA scaling").at(1) == doctest::Approx(5.5));  // between (2,7) and (4,4)
    const Table file = file_table(equal_reward_tables(study));
    REQUIRE(file.rows.size() == 12);  // two measures, three levels, two regularisers
    CHECK(raw(file, 2, "level") == "0.5");
    CHECK(raw(file, 2, "reward") == "2");
    CHECK(std::stod(raw(file, 3, "value")) == doctest::Approx(6.5));
    CHECK(std::stod(raw(file, 3, "aig_minus_this")) == doctest::Approx(2.5));  // of 2 and 3
    CHECK(std::stod(raw(file, 3, "aig_minus_this_ci95")) == doctest::Approx(12.7062 * 0.5));
    CHECK(raw(file, 9, "measure") == "fid");
    CHECK(std::stod(raw(file, 9, "value")) == doctest::Approx(13.5));           // as reported,
    CHECK(std::stod(raw(file, 9, "aig_minus_this")) == doctest::Approx(2.5));  // better is positive
    std::vector<Manifest> higher = two_seeds();
    higher[1] = base(1);
    CHECK(reward_levels(study_of(higher), 0.5).at(1) == 2.5);  // half way from 1 to 4
    // A regulariser that reaches less lowers the common level; one that never exceeds the base model leaves none.
    std::vector<Manifest> weak = two_seeds();
    weak.push_back(point(samples_of(model(1, {{"kl_coef", 1.0}}), Json::object()), 3, 9));
    CHECK(reward_levels(study_of(weak), 0.5).at(1) == 1.5);
    CHECK(common_rewards(study_of(weak)).at(1).set_by == "KL");
    CHECK(reward_levels(study_of(weak), 0.5).at(2) == 2);
    weak.back() = point(samples_of(model(1, {{"kl_coef", 1.0}}), Json::object()), -1, 9);
    CHECK(std::isnan(reward_levels(study_of(weak), 0.5).at(1)));
    CHECK(common_rewards(study_of(weak)).count(1) == 0);
  }

  TEST_CASE("the claim, as its intervals have it") {
    const std::vector<std::string> open = claim_sentences(study_of(two_seeds()));
    REQUIRE(open.size() == 1);
    CHECK(open[0].find("LoRA scaling at equal jpeg: cannot be told for Vendi score and FID. ") != std::string::npos);
    CHECK(open[0].find("half way: AIG − LoRA scaling = 2.5 ± 6.4 (2 seeds)") != std::string::npos);
    const auto twice = [](double aig_vendi) {  // two seeds that agree
      std::vector<Manifest> all{base()};
      for (const uint64_t seed : {1, 2}) {
        all.push_back(aig(seed, "linear", 4, aig_vendi));
        all.push_back(lora(seed, 0.5, 4, 6));
      }
      return claim_sentences(study_of(all)).at(0);
    };
    CHECK(twice(8).find("jpeg: holds for Vendi score and FID. ") != std::string::npos);
    CHECK(twice(6).find("jpeg: holds for Vendi score and FID. ") != std::string::npos);  // at least as diverse
    CHECK(twice(5).find("jpeg: does not hold for Vendi score and FID. ") != std::string::npos);
    CHECK(claim_sentences(study_of({base(), lora(1, 0.5, 2, 6)})).empty());  // no AIG
  }

  TEST_CASE("the figure: a panel each, the front joined from the base model on") {
    const FrontStudy study = study_of(two_seeds());
    const Figure figure = front_figure(study);
    CHECK(figure.id == "front-jpeg");
    REQUIRE(figure.panels.size() == 3);  // Vendi score, FID, gold
    const Panel& vendi = figure.panels[0];
    REQUIRE(vendi.series.size() == 3);
    CHECK(vendi.series[0].name == "AIG");
    CHECK(vendi.series[0].x == std::vector<double>{0, 2, 4});
    CHECK(vendi.series[0].y == std::vector<double>{10, 8.5, 8});
    CHECK(vendi.series[0].joined == std::vector<bool>{true, true, true});
    CHECK(vendi.series[0].low[1] == doctest::Approx(8.5 - 12.7062 * 0.5));
    CHECK(std::isnan(vendi.series[0].low[0]));  // one base point
    CHECK(vendi.series[2].square);
    CHECK(figure.panels[2].title == "gold");
    CHECK(figure.panels[2].series[0].joined.empty());
    CHECK(test::xml_problem(render_figure(figure, true)) == "");
    const Table points = file_table(point_tables(study));
    CHECK(raw(points, 0, "vendi_front") == "all");
    CHECK(raw(points, 3, "strength") == "0.5");
    CHECK(raw(points, 3, "vendi_front") == "own");
    CHECK(raw(points, 3, "vendi") == "6.5");
    CHECK(raw(points, 3, "reward/gold") == "1");
  }
}

TEST_SUITE("front page") {
  TEST_CASE("a whole page: grids at equal reward, what is gone is noted") {
    const test::Folder folder("front");
    const auto with_images = [&](const std::string& name, const Json& json) {
      io::H5Writer writer(folder / name);
      const std::vector<uint8_t> pixels(4 * 4, 100);
      writer.write("images", io::Type::kU8, {4, 1, 2, 2}, pixels.data());
      Json all = json;
      all.erase("sha256");
      all.update({{"count", 4}, {"space", {{"type", "image"}, {"shape", {1, 2, 2}}}}});
      return io::commit_artefact(writer, Manifest(all)).json();
    };
    const Json tuned = model(1);
    const std::vector<Manifest> inputs{
        point(with_images("b.h5", samples_of(model(), Json::object())), 0, 10),
        point(with_images("a.h5", samples_of(tuned, {{"aig", "linear"}})), 2, 9),
        point(with_images("far.h5", samples_of(tuned, {{"aig", "power:2"}})), 9, 5),
        point(with_images("l.h5", samples_of(tuned, {{"lora_scale", 0.5}})), 4, 7)};
    std::filesystem::remove(folder / "l.h5");
    const ReportOptions options{"", folder.path, 8, 8};
    const Report report = build_front_report(inputs, "", options);
    REQUIRE(report.sections.size() == 2);
    CHECK(report.sections[0].id == "front-jpeg");
    CHECK(report.sections[1].id == "samples-jpeg");
    REQUIRE(report.sections[1].grids.size() == 2);  // half way is 2
    CHECK(report.sections[1].grids[0].title == "Base model");
    CHECK(report.sections[1].grids[1].title == "AIG, linear");
    CHECK(report.sections[1].grids[1].caption == "jpeg 2, Vendi score 9.");
    REQUIRE(report.notes.size() == 2);
    CHECK(report.notes[0] == "l.h5 (samples) is gone: it is not drawn.");
    REQUIRE(report.summary.size() == 1);
    CHECK(report.summary[0].find("cannot be told") != std::string::npos);  // one seed
    const std::string page = render_page(report);
    CHECK(test::xml_problem(page, true) == "");
    CHECK(page == render_page(build_front_report(inputs, "", options)));
    CHECK(page.find(folder.path) == std::string::npos);
    std::string names;
    for (const SideFile& file : tsv_files(report)) names += file.name + " ";
    CHECK(names == "front-jpeg.tsv front-points-jpeg.tsv front-seeds-jpeg.tsv equal-reward-jpeg.tsv hypervolume-jpeg.tsv provenance.tsv ");
    CHECK(svg_files(report)[0].name == "front-jpeg.svg");
  }
}
