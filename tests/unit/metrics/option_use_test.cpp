// Options that have no effect on what is computed.   SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>

#include "core/error.h"
#include "metrics/option_use.h"

using namespace plumb;
using namespace plumb::metrics;

namespace {

using Names = std::vector<std::string>;

/// What is said of the options `set`; "" if they all have an effect.
std::string said(const Names& set, const Names& computed, bool has_reference = true) {
  int64_t number = 0;
  OptionTable table;
  for (const char* name : {"reference", "metric", "per-class", "seed", "bootstrap", "subspace", "allow-rank-deficient", "vendi.order", "kid.subsets", "prdc.density-k",
                           "memorisation.ratio", "sequences.k", "sequences.edit-pairs", "class-coverage.classes", "inception-score.splits", "other.thing"}) {
    table.add(name, &number, "");
  }
  try {
    refuse_without_effect(table, [&](const std::string& option) { return std::find(set.begin(), set.end(), option) != set.end(); }, computed, has_reference);
  } catch (const Error& e) {
    CHECK(e.exit() == Exit::kUsage);
    return e.what();
  }
  return "";
}

}  // namespace

TEST_SUITE("options of metrics") {
  TEST_CASE("METRIC.option is for that metric, a few others for some") {
    CHECK(said({"vendi.order", "metric", "bootstrap"}, {"vendi"}).empty());
    CHECK(said({"vendi.order"}, {"pairwise"}) == "--vendi.order: has no effect without --metric vendi");
    CHECK(said({"class-coverage.classes"}, {"vendi", "kid"}) == "--class-coverage.classes: has no effect without --metric class-coverage");
    CHECK(said({"inception-score.splits"}, {"kid"}) == "--inception-score.splits: has no effect without --metric inception-score");
    CHECK(said({"bootstrap"}, {"pairwise"}) == "--bootstrap: has no effect without --metric vendi");
    CHECK(said({"allow-rank-deficient"}, {"kid"}) == "--allow-rank-deficient: has no effect without --metric fid");
    CHECK(said({"subspace"}, {"vendi"}) == "--subspace: has no effect without --metric subspace");
    CHECK(said({"per-class"}, {"spectral", "sequences"}).empty());
    CHECK(said({"per-class"}, {"spectral"}) == "--per-class: has no effect without --metric pairwise or sequences or vendi");
    CHECK(said({"other.thing", "reference"}, {"prdc"}).empty());
    CHECK(said({"seed"}, {"prdc", "kid"}).empty());
    CHECK(said({"seed"}, {"prdc"}) == "--seed: has no effect without --metric fid or kid or sequences or spectral or vendi");
    CHECK(said({}, {}, false).empty());
  }
  TEST_CASE("without a reference") {
    CHECK(said({"memorisation.ratio"}, {"vendi", "memorisation"}, false) == "--memorisation.ratio: has no effect without --reference");
    CHECK(said({"memorisation.ratio"}, {"vendi"}, false) == "--memorisation.ratio: has no effect without --metric memorisation");
    CHECK(said({"sequences.edit-pairs"}, {"sequences"}, false).empty());
    CHECK(said({"sequences.k"}, {"sequences"}, false) == "--sequences.k: has no effect without --reference");
    CHECK(said({"sequences.k"}, {"sequences"}).empty());
    CHECK(said({"metric"}, {"memorisation"}, false).empty());   // that error is the metric's own
    CHECK(said({"metric"}, {}, false) == "--metric: has no effect without --reference");
    CHECK(said({"kid.subsets"}, {}, false) == "--kid.subsets: has no effect without --reference");
  }
}
