// Stop rules as a table, and options that do not fit together.   SPDX-License-Identifier: Apache-2.0
#include <set>

#include "align/options.h"
#include "align/stop_rules.h"
#include "core/error.h"
#include "oracle.h"

using namespace plumb;
using namespace plumb::align;

namespace {

MonitorPoint point(double gold_z, bool rose, double kl = 0, double vendi_ratio = 1) {
  return {.gold = {{.z = gold_z, .proxy_rose = rose}}, .kl = kl, .vendi_ratio = vendi_ratio};
}
/// Two golds, both with a reward that rose.
MonitorPoint two(double z, double other) {
  MonitorPoint p = point(z, true);
  p.gold.push_back({.z = other, .proxy_rose = true});
  return p;
}

std::string message(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::kUsage);
    return error.what();
  }
  return "";
}

FinetuneOptions resolved(FinetuneOptions options, const std::set<std::string>& set = {}) {
  if (options.reward.empty() && !learns_from_answers(options))
    options.reward = "brightness";
  resolve(options, [&](const std::string& name) { return set.contains(name); });
  return options;
}

}  // namespace

TEST_CASE("stop rules: when they hold") {
  struct Row {
    const char* rule;
    std::vector<MonitorPoint> history;
    bool holds;
  };
  const std::vector<Row> table = {
      {"gold-drop:z=2,k=3", {}, false},
      {"gold-drop:z=2,k=3", {point(3, true), point(3, true)}, false},
      {"gold-drop:z=2,k=3", {point(3, true), point(2, true), point(2.5, true)}, true},
      {"gold-drop:z=2,k=3", {point(3, true), point(1.9, true), point(2.5, true)}, false},
      {"gold-drop:z=2,k=3", {point(3, true), point(3, false), point(3, true)}, false},
      {"gold-drop", {point(0, false), point(3, true), point(3, true), point(3, true)}, true},
      {"gold-drop:k=1", {point(2, true)}, true},
      {"gold-drop:z=2.5,k=1", {point(2, true)}, false},
      {"gold-drop:z=2,k=3", {two(3, 0), two(0, 3), two(3, 0)}, false},  // neither stayed below
      {"gold-drop:z=2,k=3", {two(3, 2), two(0, 2), two(3, 2)}, true},
      {"kl:12", {point(0, false, 12.5)}, true},
      {"kl:12", {point(0, false, 20), point(0, false, 12)}, false},
      {"vendi-ratio:.5", {point(0, false, 0, 0.49)}, true},
      {"vendi-ratio:.5", {point(0, false, 0, 0.5)}, false},
  };
  for (const Row& row : table) {
    CAPTURE(row.rule);
    CAPTURE(row.history.size());
    CHECK(parse_stop_rule(row.rule).holds(row.history) == row.holds);
  }
}

TEST_CASE("stop rules: what is refused, and how") {
  const auto error = [](const std::string& rule) { return message([&] { parse_stop_rule(rule); }); };
  CHECK(error("gold-dorp:z=2").find("did you mean 'gold-drop'?") != std::string::npos);
  CHECK(error("fid:2").find("gold-drop, kl, vendi-ratio") != std::string::npos);
  CHECK(error("gold-drop:y=2").find("unknown setting 'y'") != std::string::npos);
  CHECK(error("gold-drop:z=two").find("--stop") != std::string::npos);
  CHECK(error("gold-drop:").find("nothing after the colon") != std::string::npos);
  CHECK(error("gold-drop:z=0").find("z must be above 0") != std::string::npos);
  CHECK(error("gold-drop:k=0").find("k must be at least 1") != std::string::npos);
  CHECK(error("kl").find("the limit is missing") != std::string::npos);
  CHECK(error("kl:-1").find("above 0") != std::string::npos);
  CHECK(error("vendi-ratio:1.5").find("below 1") != std::string::npos);
}

TEST_CASE("the epoch is halved by default, and whole for the score function") {
  FinetuneOptions o;
  CHECK(resolved(o).train_batch_size == 32);
  o.grad_accumulation = 4;
  CHECK(resolved(o).train_batch_size == 8);
  o.method = "ddpo-sf";
  CHECK(resolved(o).train_batch_size == 16);
}

TEST_CASE("options that would be ignored are refused") {
  const auto error = [](FinetuneOptions o, const std::set<std::string>& set) {
    return message([&] { resolved(o, set); });
  };
  FinetuneOptions o;
  CHECK(error(o, {"seed"}).empty());
  o.method = "ddpo-sf";
  CHECK(error(o, {"clip-range"}).find("--clip-range") != std::string::npos);
  o = {};
  o.full = true;
  CHECK(error(o, {"lora-rank"}).find("--lora-rank") != std::string::npos);
  CHECK(error(o, {"merge"}).find("--merge") != std::string::npos);
  o = {};
  o.advantage = "global";
  CHECK(error(o, {"tracker-size"}).find("--tracker-size") != std::string::npos);
  o.advantage = "running";
  CHECK(error(o, {"tracker-size"}).find("--tracker-size") != std::string::npos);
  o = {};
  o.method = "dpok";
  CHECK(error(o, {"advantage", "tracker-size"}).empty());
  o.dpok.reward = "raw";
  CHECK(error(o, {"advantage"}).find("--advantage") != std::string::npos);
  CHECK(error(o, {"tracker-size"}).find("--tracker-size") != std::string::npos);
  o = {};
  o.method = "tdpo-r";
  CHECK(error(o, {"tdpo.reset-every"}).empty());
  o.tdpo.reset = "none";
  CHECK(error(o, {"tdpo.reset-every"}).find("--tdpo.reset-every") != std::string::npos);
  o = {};
  o.method = "raft";
  const auto of_model = [&](int64_t num_classes) {
    return message([&] { check_model(o, "gaussian", num_classes, [](const std::string& name) { return name == "raft.label-drop"; }); });
  };
  CHECK(of_model(10).empty());
  CHECK(of_model(0).find("--raft.label-drop") != std::string::npos);
  o.classes = {"none"};
  CHECK(of_model(10).find("--raft.label-drop") != std::string::npos);
  o = {};
  o.kl_penalty = 1;
  o.kl_target = 1;
  o.kl_horizon = 5 * o.samples_per_epoch;
  CHECK(error(o, {}).empty());
  o.kl_horizon = o.samples_per_epoch / 5;  // 1 - 0.2 N / horizon would be 0
  CHECK(error(o, {}).find("--kl-horizon") != std::string::npos);
  o = {};
  CHECK(error(o, {"kl-shape"}).find("--kl-penalty") != std::string::npos);
  o.eta = 0;
  CHECK(error(o, {}).find("--eta") != std::string::npos);
  o = {};
  o.keep = "best-gold";
  CHECK(error(o, {}).find("--gold") != std::string::npos);
  o = {};
  o.stop = {"gold-drop"};
  CHECK(error(o, {}).find("--gold") != std::string::npos);
  o.gold = {"brightness"};
  CHECK(error(o, {}).empty());
  o.monitor_every = 0;
  CHECK(error(o, {"gold"}).find("--gold") != std::string::npos);
}

TEST_CASE("methods that follow the reward's gradient: no noise needed, no option of policy gradients") {
  const auto error = [](const std::string& method, const std::set<std::string>& set) {
    FinetuneOptions o;
    o.method = method;
    o.eta = method == "ddpo-is" ? 1 : 0;
    return message([&] { resolved(o, set); });
  };
  for (const std::string method : {"alignprop", "draft", "draft-lv", "refl"}) {
    CAPTURE(method);
    CHECK(error(method, {"eta", "grad-accumulation", "direct.checkpoint", "kl-coef"}).empty());
    CHECK(error(method, {"max-step-gain"}).find("--eta 0") != std::string::npos);
    FinetuneOptions noisy;
    noisy.method = method;
    CHECK(message([&] { resolved(noisy, {"max-step-gain"}); }).empty());  // of the monitor's KL
    noisy.monitor_every = 0;
    CHECK(message([&] { resolved(noisy, {"max-step-gain"}); }).find("--monitor-every 0") != std::string::npos);
    for (const std::string option : {"clip-range", "advantage", "tracker-size", "inner-epochs", "timestep-fraction",
                                      "constraint", "kl-penalty", "step-order", "tdpo.gamma", "grpo.std"}) {
      CAPTURE(option);
      CHECK(error(method, {option}).find("--" + option + ": has no effect with --method " + method) != std::string::npos);
    }
    for (const std::string option : {"draft.k", "draft.lv-n", "alignprop.target", "refl.last"}) {
      CAPTURE(option);
      const bool own = (option == "draft.k" && method == "draft") || (option == "draft.lv-n" && method == "draft-lv") ||
                       option.rfind(method + ".", 0) == 0;
      CHECK(error(method, {option}).empty() == (own && !(option == "draft.lv-n" && method == "draft")));
    }
  }
  for (const std::string option : {"draft.k", "alignprop.scale", "refl.target", "direct.checkpoint"})
    CHECK(error("ddpo-is", {option}).find("--" + option) != std::string::npos);
  FinetuneOptions o;
  o.method = "draft";
  o.train_batch_size = 4;
  o.grad_accumulation = 8;
  CHECK(resolved(o).batch_size == 4);  // of a minibatch
}

TEST_CASE("method names are unique, sorted and kebab-case") {
  const std::vector<std::string> names = method_names();
  CHECK(std::is_sorted(names.begin(), names.end()));
  CHECK(std::set<std::string>(names.begin(), names.end()).size() == names.size());
  for (const std::string& name : names)
    CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos);
}
