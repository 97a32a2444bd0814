// SPDX-License-Identifier: Apache-2.0
#include "cli/shard.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/text.h"

namespace plumb::cli {

std::pair<int64_t, int64_t> item_range(int64_t first, int64_t count, const std::string& shard) {
  if (shard.empty()) return {first, first + count};
  const std::vector<std::string> parts = split(shard, '/');
  const auto number = [&](size_t i) { return parts.size() == 2 ? parse_int(parts[i], "--shard") : -1; };
  const int64_t part = number(0), parts_in_all = number(1);
  if (part < 0 || part >= parts_in_all || parts_in_all > count) {
    throw Error(Exit::kUsage, "--shard", cat("'", shard, "' is not I/N with 0 <= I < N <= count"), "for example 0/4");
  }
  const auto cut = [&](int64_t i) { return first + count / parts_in_all * i + std::min(i, count % parts_in_all); };
  return {cut(part), cut(part + 1)};
}

}  // namespace plumb::cli
