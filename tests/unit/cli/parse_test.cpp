// Arguments -> option table: every type, every refusal.   SPDX-License-Identifier: Apache-2.0
#include "cli/parse.h"

#include <doctest/doctest.h>

#include "unit/cli/table.h"

using plumb::cli::parse_arguments;
using Texts = std::vector<std::string>;

namespace {

/// Options after parsing `args`.
Everything parsed(const Texts& args) {
  Everything o;
  plumb::OptionTable t;
  describe(t, o);
  parse_arguments(args, t, "tool");
  return o;
}

std::string refusal(const Texts& args) {
  plumb::Exit exit = plumb::Exit::kDone;
  const std::string message = error_of([&] { parsed(args); }, &exit);
  CHECK(exit == plumb::Exit::kUsage);
  return message;
}

}  // namespace

TEST_SUITE("parse") {
  TEST_CASE("scalars in every spelling") {
    CHECK(parsed({"--steps", "7"}).steps == 7);
    CHECK(parsed({"--steps=7"}).steps == 7);
    CHECK(parsed({"-n", "7"}).steps == 7);
    CHECK(parsed({"-n7"}).steps == 7);
    CHECK(parsed({"--eta", "0.25"}).eta == 0.25);
    CHECK(parsed({"--seed", "9"}).seed == 9);
    CHECK(parsed({"--model", "a b.h5"}).model == "a b.h5");
    CHECK(parsed({"--model", "-"}).model == "-");
    CHECK(parsed({"--ddpo.clip-range", "1e-4"}).clip == 1e-4);
    CHECK_FALSE(parsed({}).clip.has_value());
  }
  TEST_CASE("the last of two values wins") { CHECK(parsed({"--steps", "7", "-n", "8"}).steps == 8); }
  TEST_CASE("flags and counters") {
    CHECK(parsed({}).keep);
    CHECK_FALSE(parsed({"--no-keep"}).keep);
    CHECK(parsed({"--no-keep", "--keep"}).keep);
    CHECK(parsed({"-m"}).merge);
    CHECK(parsed({"--merge=true"}).merge);
    CHECK_FALSE(parsed({"--merge=false"}).merge);
    CHECK(parsed({"-vv", "-v"}).verbose == 3);
    CHECK(parsed({"-vm"}).merge);
  }
  TEST_CASE("lists: open texts keep their commas, numbers and choices are split") {
    CHECK(parsed({"--reward", "exec:a,b", "--reward", "c"}).reward == Texts{"exec:a,b", "c"});
    CHECK(parsed({"--kernel", "rbf,cosine"}).kernel == Texts{"rbf", "cosine"});
    CHECK(parsed({"--order", "1,2", "--order", "3"}).order == std::vector<double>{1, 2, 3});
    CHECK(parsed({}).order == std::vector<double>{0.5, 1, 2});
  }
  TEST_CASE("a list option takes one value per occurrence, so what follows is the input") {
    const Everything o = parsed({"--reward", "a", "in.h5"});
    CHECK(o.reward == Texts{"a"});
    CHECK(o.input == Texts{"in.h5"});
    CHECK(parsed({"-", "--steps", "3"}).input == Texts{"-"});
    CHECK(parsed({"--", "--steps"}).input == Texts{"--steps"});
  }
  TEST_CASE("negative numbers are values") {
    CHECK(parsed({"--ddpo.clip-range", "-2.5"}).clip == -2.5);
    CHECK(parsed({"--order", "-1,2"}).order == std::vector<double>{-1, 2});
  }
  TEST_CASE("requests set nothing") {
    Everything o;
    plumb::OptionTable t;
    describe(t, o);
    CHECK(parse_arguments({"--steps", "7", "--help"}, t, "tool").help);
    CHECK(parse_arguments({"--version", "--json"}, t, "tool").json);
    CHECK(parse_arguments({"--dump-options"}, t, "tool").dump_options);
    CHECK(o.steps == 50);
  }
  TEST_CASE("refusals name the option and the way out") {
    CHECK(refusal({"--step", "3"}) == "--step: unknown option: did you mean '--steps'? try 'tool --help'");
    CHECK(refusal({"--step=3"}) == "--step: unknown option: did you mean '--steps'? try 'tool --help'");
    CHECK(refusal({"--zzzzzzzzz"}) == "--zzzzzzzzz: unknown option: try 'tool --help'");
    CHECK(refusal({"-z"}) == "-z: unknown option: try 'tool --help'");
    CHECK(refusal({"--steps"}) == "--steps: needs a value: try 'tool --help'");
    CHECK(refusal({"--model="}) == "--model: needs a value: try 'tool --help'");
    CHECK(refusal({"--steps", "0"}) == "--steps: 0 is out of range: must be 1 to 1000");
    CHECK(refusal({"--steps", "ten"}) == "--steps: 'ten' is not a whole number");
    CHECK(refusal({"--eta", "nan"}) == "--eta: 'nan' is not a finite number");
    CHECK(refusal({"--seed", "-1"}) == "--seed: must not be negative");
    CHECK(refusal({"--sampler", "ddmi"}) == "--sampler: unknown value 'ddmi': did you mean 'ddim'?");
    CHECK(refusal({"--kernel", "rbf,linear"}) == "--kernel: unknown value 'linear': one of cosine, rbf");
    CHECK(refusal({"--merge=maybe"}) == "--merge: 'maybe' is not true or false");
    CHECK(refusal({"--json"}) == "--json: goes with --version only: try 'tool --help'");
  }
  TEST_CASE("without a positional a stray word is refused") {
    plumb::OptionTable t;
    int64_t n = 1;
    t.add("n", &n, "number");
    CHECK(error_of([&] { parse_arguments({"word"}, t, "tool"); }) == "word: unexpected argument: try 'tool --help'");
  }
}
