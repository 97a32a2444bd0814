// The option table: parsing, ranges, JSON both ways, unknown keys.   SPDX-License-Identifier: Apache-2.0
#include "core/options.h"

#include <doctest/doctest.h>

#include "core/error.h"

namespace plumb {
namespace {

using Json = nlohmann::ordered_json;

struct All {
  bool flag = false;
  int64_t number = 4;
  uint64_t seed = 7;
  double eta = 0.5;
  std::string name = "ddim";
  std::optional<double> clip;
  std::optional<int64_t> limit;
  std::vector<std::string> rewards;
  std::vector<int64_t> sizes{1, 2};
  std::vector<double> weights;
};

OptionTable table_of(All& all) {
  OptionTable table;
  table.add("flag", &all.flag, "a switch");
  table.add("batch-size", &all.number, "a number").range(1, 65536).short_name('n');
  table.add("seed", &all.seed, "a seed");
  table.group("Noise");
  table.add("eta", &all.eta, "scale").range(0, 1);
  table.add("sampler", &all.name, "which").one_of({"ddim", "ddpm"});
  table.add("ddpo.clip-range", &all.clip, "clip").range(0, 1e30);
  table.add("limit", &all.limit, "limit");
  table.add("reward", &all.rewards, "rewards").suggest({"brightness"});
  table.add("sizes", &all.sizes, "sizes").range(1, 9);
  table.add("weights", &all.weights, "weights").runtime();
  return table;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::kUsage);
    return error.what();
  }
  return "";
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("options: text sets values; the last of several wins; lists are replaced") {
  All all;
  OptionTable table = table_of(all);
  table.find("flag")->set({});
  table.find("batch-size")->set({"3", "8"});
  table.find("seed")->set({"18"});
  table.find("eta")->set({"1"});
  table.find("sampler")->set({"ddpm"});
  table.find("ddpo.clip-range")->set({"1e-4"});
  table.find("reward")->set({"a", "b"});
  table.find("sizes")->set({"9"});
  CHECK(all.flag);
  CHECK(all.number == 8);
  CHECK(all.seed == 18);
  CHECK(all.eta == 1);
  CHECK(all.name == "ddpm");
  CHECK(all.clip == 1e-4);
  CHECK_FALSE(all.limit.has_value());
  CHECK(all.rewards == std::vector<std::string>{"a", "b"});
  CHECK(all.sizes == std::vector<int64_t>{9});
  CHECK(table.find("eta")->was_set());
  CHECK_FALSE(table.find("weights")->was_set());
  CHECK(table.find("nothing") == nullptr);
  table.find("seed")->set({"18446744073709551615"});
  CHECK(all.seed == UINT64_MAX);
}

TEST_CASE("options: bad values are refused, never repaired") {
  All all;
  OptionTable table = table_of(all);
  const auto bad = [&](const char* name, const std::vector<std::string>& values, const std::string& what) {
    const std::string message = message_of([&] { table.find(name)->set(values); });
    INFO(message);
    CHECK(has(message, std::string("--") + name));
    CHECK(has(message, what));
  };
  bad("flag", {"yes"}, "not true or false");
  bad("batch-size", {"0"}, "must be 1 to 65536");
  bad("batch-size", {"65537"}, "out of range");
  bad("batch-size", {"1.5"}, "not a whole number");
  bad("batch-size", {}, "needs a value");
  bad("seed", {"-1"}, "not be negative");
  bad("seed", {"18446744073709551616"}, "larger than 2^64 - 1");
  bad("seed", {"7.0"}, "not a whole number");
  bad("eta", {"nan"}, "not a finite number");
  bad("eta", {"1.0001"}, "must be 0 to 1");
  bad("sampler", {"ddmi"}, "did you mean 'ddim'?");
  bad("sampler", {"something"}, "one of ddim, ddpm");
  bad("ddpo.clip-range", {"-1"}, "must be at least 0");
  bad("sizes", {"3", "10"}, "out of range");
  CHECK(all.number == 4);
  CHECK(all.eta == 0.5);
}

TEST_CASE("options: JSON keys are the names with underscores, and values go round") {
  All all;
  OptionTable table = table_of(all);
  table.find("ddpo.clip-range")->set({"0.25"});
  table.find("reward")->set({"a"});
  const Json json = table.to_json(false);
  CHECK(json.dump() == R"({"flag":false,"batch_size":4,"seed":7,"eta":0.5,"sampler":"ddim","ddpo.clip_range":0.25,)"
                       R"("limit":null,"reward":["a"],"sizes":[1,2]})");
  CHECK(table.to_json(true).contains("weights"));
  All other;
  OptionTable copy = table_of(other);
  copy.apply_config(table.to_json(true), "c.json");
  CHECK(copy.to_json(true) == table.to_json(true));
  CHECK(other.clip == 0.25);
}

TEST_CASE("options: a config gives way to the command line, and unknown or bad entries are refused") {
  All all;
  OptionTable table = table_of(all);
  table.find("eta")->set({"0.1"});
  table.apply_config(Json::parse(R"({"eta": 0.9, "batch_size": 16, "flag": true, "sizes": [3, 4]})"), "c.json");
  CHECK(all.eta == 0.1);
  CHECK(all.number == 16);
  CHECK(all.flag);
  CHECK(all.sizes == std::vector<int64_t>{3, 4});
  table.apply_config(Json::parse(R"({"limit": null})"), "c.json");  // as --print-config has it: not chosen
  CHECK_FALSE(all.limit);
  const auto bad = [&](const char* text, const std::string& what) {
    const std::string message = message_of([&] { table_of(all).apply_config(Json::parse(text), "c.json"); });
    INFO(message);
    CHECK(has(message, what));
  };
  bad(R"({"bach_size": 1})", "c.json: unknown key 'bach_size': did you mean 'batch_size'?");
  bad(R"({"batch-size": 1})", "did you mean 'batch_size'?");
  bad(R"({"batch_size": "many"})", "--batch-size");
  bad(R"({"batch_size": 1.5})", "--batch-size");
  bad(R"({"batch_size": 0})", "out of range");
  bad(R"({"flag": 1})", "--flag");
  bad(R"({"batch_size": null})", "--batch-size: null is no value");
  bad(R"({"sampler": 3})", "--sampler");
  bad("[]", "c.json");
}

TEST_CASE("options: rows keep order, groups and texts; a name described twice is a mistake in the program") {
  All all;
  OptionTable table = table_of(all);
  CHECK(table.names().front() == "flag");
  CHECK(table.names().back() == "weights");
  CHECK(table.find("seed")->group_title() == "Options");
  CHECK(table.find("eta")->group_title() == "Noise");
  CHECK(table.find("eta")->default_text() == "0.5");
  CHECK(table.find("eta")->range_text() == "0 to 1");
  CHECK(table.find("ddpo.clip-range")->range_text() == "at least 0");
  CHECK(table.find("ddpo.clip-range")->default_text() == "");
  CHECK(table.find("sizes")->default_text() == "1 2");
  CHECK(table.find("sampler")->metavar_text() == "ddim|ddpm");
  CHECK(table.find("batch-size")->letter() == 'n');
  CHECK(table.find("reward")->suggestions() == std::vector<std::string>{"brightness"});
  CHECK_THROWS_AS(table.add("eta", &all.eta, "again"), std::logic_error);
}

}  // namespace plumb
