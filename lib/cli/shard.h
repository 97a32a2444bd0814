// Which of a run's items one of several jobs makes.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <utility>

namespace plumb::cli {

/// [begin, end) of the items first .. first + count - 1 that `shard` "I/N" (I from 0; "" = all) is to make.
/// Throws Error(kUsage, "--shard") for anything else, or N above count.
std::pair<int64_t, int64_t> item_range(int64_t first, int64_t count, const std::string& shard);

}  // namespace plumb::cli
