// SPDX-License-Identifier: Apache-2.0
#include "rewards/expression.h"

#include "helpers.h"

namespace plumb::rewards {
using namespace test;

namespace {

/// The value of an expression whose terms are worth `values`, in order of appearance.
double value_of(const std::string& text, const std::vector<double>& values) {
  std::vector<at::Tensor> terms;
  for (double value : values) terms.push_back(at::full({1}, value, at::kDouble));
  return Expression::parse(text).evaluate(terms)[0].item<double>();
}

std::string message_of(const std::string& text) {
  std::string message;
  CHECK(exit_of([&] { Expression::parse(text); }, &message) == Exit::kUsage);
  return message;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("expression: values") {
  struct Row {
    const char* text;
    std::vector<double> terms;
    double want;
  };
  const std::vector<Row> rows{
      {"a", {3}, 3},
      {"a+b*2", {3, 5}, 13},
      {"(a+b)*2", {3, 5}, 16},
      {"a*2+b", {3, 5}, 11},
      {"a - b - a", {3, 5}, -5},
      {"a / 2 / b", {3, 5}, 0.3},
      {"-a", {3}, -3},
      {"-a*b", {3, 5}, -15},
      {"a*-2", {3}, -6},
      {"--a", {3}, 3},
      {"2*-(a + 1)", {3}, -8},
      {"1e-3*a", {3}, 0.003},
      {".5*a+1.5", {3}, 3},
      {"  a  ", {3}, 3},
      {"2-a", {3}, -1},             // no name can start before the minus
      {"a*a + a", {3}, 12},         // one term
      {"a:x.h5,3*2+b", {3, 5}, 11},
      {"a:dir/x-1.h5 / 2", {3}, 1.5},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(value_of(row.text, row.terms) == doctest::Approx(row.want).epsilon(1e-15));
  }
}

TEST_CASE("expression: names, arguments, columns") {
  const Expression logp = Expression::parse("class-logp:runs/a-b.h5,3*2+jpeg-compressibility");
  REQUIRE(logp.terms().size() == 2);
  CHECK(logp.terms()[0] == RewardTerm{"class-logp", "runs/a-b.h5,3"});
  CHECK(logp.terms()[1] == RewardTerm{"jpeg-compressibility", ""});

  CHECK(Expression::parse("brightness-1").terms()[0].name == "brightness-1");  // one name: minus needs blanks
  CHECK(Expression::parse("brightness - 1").terms()[0].name == "brightness");

  const Expression quoted = Expression::parse("2*exec:'python3 a.py -k (1+2)' + learned:\"my file.h5\"");
  REQUIRE(quoted.terms().size() == 2);
  CHECK(quoted.terms()[0] == RewardTerm{"exec", "python3 a.py -k (1+2)"});
  CHECK(quoted.terms()[1] == RewardTerm{"learned", "my file.h5"});

  const Expression command = Expression::parse("exec:awk '{print $1*2}' + (");  // one command to its end
  REQUIRE(command.terms().size() == 1);
  CHECK(command.terms()[0].argument == "awk '{print $1*2}' + (");
  CHECK(command.is_single_term());

}

TEST_CASE("expression: what is stored under which name") {
  CHECK(reward_dataset_name("jpeg-compressibility") == "jpeg-compressibility");
  CHECK(reward_dataset_name(" a*2+b ") == "a*2+b");
  CHECK(reward_dataset_name("class-logp:runs/c.h5,3") == "class-logp:c.h5,3");
  CHECK(reward_dataset_name("class-logp:/a/b/c.h5*2+brightness/3") == "class-logp:c.h5*2+brightness_3");
  CHECK(reward_dataset_name("(learned:m/r.h5)/2") == "(learned:r.h5)_2");   // the path ends where the argument does
  CHECK(reward_dataset_name("learned:m/r.h5+brightness/2") == "learned:r.h5+brightness_2");
  CHECK(reward_dataset_name("learned:'my m/r.h5'/4") == "learned:'r.h5'_4");
  CHECK(reward_dataset_name("kB=jpeg-incompressibility/2") == "kB");
  CHECK(reward_dataset_name("exec:A=1 ./x") == "exec:A=1 ._x");  // '=' after ':' names nothing
  CHECK(Expression::parse("kB=jpeg-incompressibility").column() == "kB");
  CHECK(Expression::parse("kB=exec:./x").terms()[0].name == "exec");
}

TEST_CASE("expression: errors say what and where") {
  CHECK(contains(message_of(""), "expected a reward"));
  CHECK(contains(message_of("a+"), "at its end"));
  CHECK(contains(message_of("a b"), "expected + - * /"));
  CHECK(contains(message_of("(a"), "'(' is not closed"));
  CHECK(contains(message_of("a)"), "')' too many"));
  CHECK(contains(message_of("a**b"), "at '*b'"));
  CHECK(contains(message_of("3*4"), "no reward"));
  CHECK(contains(message_of("a:"), "argument after 'a:' is missing"));
  CHECK(contains(message_of("a:'x"), "not closed"));
  CHECK(contains(message_of("exec: "), "command after 'exec:'"));
  CHECK(contains(message_of("a*1e999"), "bad number"));
  CHECK(contains(message_of("a$"), "'$'"));
  CHECK(contains(message_of(std::string(5000, '(') + "a"), "nested too deeply"));
  CHECK(contains(message_of("a=3*"), "reward 'a=3*'"));
  CHECK(contains(message_of("kB = brightness"), "before '= brightness'"));  // '=' follows the column at once
}

TEST_CASE("reward: unknown names get the nearest one") {
  std::string message;
  CHECK(exit_of([&] { make_reward("jpeg-compresibility", image_space(1, 8, 8), at::kCPU); }, &message) == Exit::kUsage);
  CHECK(contains(message, "'jpeg-compressibility'"));
  CHECK(exit_of([&] { make_reward("brightness-1", image_space(1, 8, 8), at::kCPU); }, &message) == Exit::kUsage);
  CHECK(contains(message, "minus needs blanks"));
  CHECK(exit_of([&] { make_reward("brightness:3", image_space(1, 8, 8), at::kCPU); }, &message) == Exit::kUsage);
  CHECK(exit_of([&] { make_reward("brightness", {"vector", {4}, ""}, at::kCPU); }, &message) == Exit::kBadInput);
  CHECK(contains(message, "vector [4]"));
}

TEST_CASE("reward: division by zero is an error that names the item") {
  at::Tensor images = random_images(3, 1, 4, 4);
  images[1].zero_();
  auto reward = make_reward("1 / brightness", image_space(1, 4, 4), at::kCPU);
  std::string message;
  CHECK(exit_of([&] { reward->score({images, {}, 40}); }, &message) == Exit::kBadNumbers);
  CHECK(contains(message, "item 41"));
}

TEST_CASE("reward set: columns, shared terms") {
  const io::Space space = image_space(1, 4, 4);
  RewardSet set({"brightness", "half=brightness / 2", "brightness*2"}, space, at::kCPU, 10);
  REQUIRE(set.size() == 3);
  CHECK(set.column(1) == "half");
  const at::Tensor images = at::full({2, 1, 4, 4}, 51, at::kByte);
  const std::vector<at::Tensor> values = set.score({images, {}, 0});
  CHECK(values[0][1].item<double>() == doctest::Approx(0.2).epsilon(1e-15));
  CHECK(values[1][1].item<double>() == doctest::Approx(0.1).epsilon(1e-15));
  CHECK(values[2][1].item<double>() == doctest::Approx(0.4).epsilon(1e-15));
  CHECK(exit_of([&] { RewardSet({"brightness", "brightness"}, space, at::kCPU, 10); }) == Exit::kUsage);
}

TEST_CASE("reward set: a program that occurs in two columns runs once") {
  const std::string tally = "/tmp/plumb-test-tally-" + std::to_string(getpid());
  const std::string command = "exec:'echo >> " + tally + "; echo 1; echo 2 #'";
  RewardSet set({"a=1*" + command, "b=2*" + command}, image_space(1, 4, 4), at::kCPU, 10);
  CHECK(set.score({random_images(2, 1, 4, 4), {}, 0})[1][1].item<double>() == 4);
  std::ifstream file(tally);
  const std::string lines((std::istreambuf_iterator<char>(file)), {});
  CHECK(lines.size() == 1);
  unlink(tally.c_str());
}

}  // namespace plumb::rewards
