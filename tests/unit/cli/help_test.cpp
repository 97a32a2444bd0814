// --help, --dump-options and --version texts.   SPDX-License-Identifier: Apache-2.0
#include "cli/help.h"

#include <doctest/doctest.h>

#include "core/text.h"
#include "core/version.h"
#include "unit/cli/table.h"

namespace {
const plumb::cli::ToolInfo kInfo{"tool", "do things to samples", "samples -> scores"};
bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
}  // namespace

TEST_SUITE("help") {
  TEST_CASE("shows groups, spellings, defaults, ranges and choices") {
    Everything o;
    plumb::OptionTable t;
    describe(t, o);
    const std::string text = plumb::cli::help_text(kInfo, t, 80);
    CHECK(text.rfind("Usage: tool [OPTION]... [INPUT]\ndo things to samples (samples -> scores)\n", 0) == 0);
    CHECK(holds(text, "\nSampling:\n"));
    CHECK(text.find("\nSampling:\n") < text.find("\nRest:\n"));
    CHECK(holds(text, "  -n, --steps N           denoising steps [1 to 1000; default 50]\n"));
    CHECK(holds(text, "--sampler ddim|ddpm|dpm-solver++\n"));
    CHECK(holds(text, "sampler to use [default ddim]\n"));
    CHECK(holds(text, "--[no-]keep         keep it [default on]\n"));
    CHECK(holds(text, "  -m, --merge             merge it\n"));
    CHECK(holds(text, "--order X...        orders [default 0.5,1,2]\n"));
    CHECK(holds(text, "Exit status: 0 done"));
  }
  TEST_CASE("keeps to the width and loses no word") {
    plumb::OptionTable t;
    int64_t n = 1;
    t.add("n", &n, "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen");
    const std::string text = plumb::cli::help_text(kInfo, t, 60);
    for (const std::string& line : plumb::split(text, '\n')) {
      if (line.rfind("  ", 0) == 0) CHECK(line.size() <= 60);
    }
    for (const char* word : {"one", "nine", "sixteen", "[default"}) CHECK(holds(text, word));
  }
  TEST_CASE("the dump says all that a row knows") {
    Everything o;
    plumb::OptionTable t;
    describe(t, o);
    const plumb::io::Json json = plumb::cli::options_json(kInfo, t);
    CHECK(json["tool"] == "tool");
    CHECK(json["positional"]["metavar"] == "INPUT");
    const auto row = [&](const std::string& name) {
      for (const auto& entry : json["options"]) {
        if (entry["name"] == name) return entry;
      }
      return plumb::io::Json();
    };
    CHECK(json["options"].size() == t.rows().size());
    CHECK(row("steps").dump() == R"({"name":"steps","group":"Sampling","help":"denoising steps","letter":"n","takes":"value",)"
                                 R"("metavar":"N","default":"50","range":"1 to 1000"})");
    CHECK(row("keep")["default"] == "on");
    CHECK(row("merge")["takes"] == "nothing");
    CHECK(row("kernel")["takes"] == "list");
    CHECK(row("kernel")["allowed"] == plumb::io::Json({"cosine", "rbf"}));
    CHECK(row("model")["file"] == true);
    CHECK(row("verbose")["runtime"] == true);
  }
  TEST_CASE("version") {
    CHECK(plumb::cli::version_text(kInfo) == std::string("tool (plumb) ") + plumb::kVersion);
    const plumb::io::Json json = plumb::cli::version_json(kInfo);
    CHECK(json["version"] == plumb::kVersion);
    CHECK(json["format"] == "plumb/1");
    CHECK(plumb::split(json["hdf5"], '.').size() == 3);
  }
}
