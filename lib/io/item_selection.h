// Which items of outside data become a dataset.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/options.h"

namespace plumb::io {

struct ItemSelectionOptions {
  std::vector<std::string> classes;   ///< by name or number, several with commas between them; empty: all, and items without labels
  int64_t skip = 0, limit = 0;        ///< leave out the first `skip` of the source; at most `limit`, 0 = all
  double held_out = 0;                ///< share of the held-out part
  std::string part = "train";         ///< train or held-out
  uint64_t seed = 0;                  ///< of the split
};

/// Adds the rows for all of ItemSelectionOptions to a tool's table.
void describe(OptionTable& table, ItemSelectionOptions& options);

/// Says which items are let through, by their index in the source, that of their group, and their label.
class ItemSelection {
 public:
  /// names: of labels 0, 1, ...; empty: numbers only. Throws Error(kUsage) for a class that is not among them (with the nearest), for
  /// classes of data without labels, and for the held-out part of no split.
  ItemSelection(ItemSelectionOptions options, bool has_labels, const std::vector<std::string>& names);
  bool done() const { return o_.limit > 0 && kept_ >= o_.limit; }
  /// How many items to read at once from `index` on, at most `most`: none beyond the last that may be taken, or what is counted on the
  /// way would depend on the size of the batches.
  int64_t batch(int64_t index, int64_t most) const;
  /// Whether to keep the item; to be asked in order. label: its class, -1 without labels. The split is by (seed, kSplit, group) alone.
  bool take(int64_t index, int64_t group, int64_t label);
  int64_t kept() const { return kept_; }

 private:
  ItemSelectionOptions o_;
  std::vector<int64_t> classes_;
  int64_t kept_ = 0;
};

}  // namespace plumb::io
