// SPDX-License-Identifier: Apache-2.0
#include "io/item_selection.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"

namespace plumb::io {
namespace {

int64_t find_class(const std::string& wanted, const std::vector<std::string>& names) {
  const auto named = std::find(names.begin(), names.end(), wanted);
  if (named != names.end()) return named - names.begin();
  int64_t index = -1;
  const auto [end, status] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), index);
  const bool number = status == std::errc() && end == wanted.data() + wanted.size() && index >= 0;
  if (number && (names.empty() || index < static_cast<int64_t>(names.size()))) return index;
  const std::string near = nearest(wanted, names);
  throw Error(Exit::kUsage, "--class", "the data have no class '" + wanted + "'",
              !near.empty() ? "did you mean '" + near + "'?" : names.empty() ? "classes have numbers here, from 0; --class-names names them" : "there are: " + join(names, ", "));
}

}  // namespace

void describe(OptionTable& t, ItemSelectionOptions& o) {
  t.add("class", &o.classes, "keep the items of these classes only, by name or number, comma-separated; may be repeated; their labels stay as they are").metavar("CLASS,...");
  t.add("skip", &o.skip, "leave out the first N items").range(0, 1e15);
  t.add("limit", &o.limit, "at most N items; 0 = all").range(0, 1e15);
  t.add("held-out", &o.held_out, "share of the items that belongs to the held-out part").range(0, 1);
  t.add("part", &o.part, "which part to keep: it depends on --seed and an item's index only, for sequences on their record's")
      .one_of({"train", "held-out"});
  t.add("seed", &o.seed, "seed of the split");
}

ItemSelection::ItemSelection(ItemSelectionOptions options, bool has_labels, const std::vector<std::string>& names) : o_(std::move(options)) {
  if (o_.part == "held-out" && o_.held_out == 0) throw Error(Exit::kUsage, "--part", "held-out is empty", "give its share by --held-out");
  if (!o_.classes.empty() && !has_labels) throw Error(Exit::kUsage, "--class", "the data have no labels");
  for (const std::string& one : o_.classes) {   // a name may hold commas of its own
    const bool whole = std::find(names.begin(), names.end(), one) != names.end();
    for (const std::string& part : whole ? std::vector<std::string>{one} : split(one, ',')) classes_.push_back(find_class(whole ? part : trim(part), names));
  }
}

int64_t ItemSelection::batch(int64_t index, int64_t most) const {
  if (o_.limit == 0) return most;
  return std::min(most, o_.limit - kept_ + std::max<int64_t>(o_.skip - index, 0));
}

bool ItemSelection::take(int64_t index, int64_t group, int64_t label) {
  if (index < o_.skip || done()) return false;
  if (!classes_.empty() && std::find(classes_.begin(), classes_.end(), label) == classes_.end()) return false;
  if (o_.held_out > 0 || o_.part == "held-out") {
    const bool out = Philox(o_.seed, Stream::kSplit, static_cast<uint64_t>(group)).uniform() < o_.held_out;
    if (out != (o_.part == "held-out")) return false;
  }
  ++kept_;
  return true;
}

}  // namespace plumb::io
