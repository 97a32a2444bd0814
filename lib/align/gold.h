// Rewards that are watched must not be the ones that are trained on.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include "io/manifest.h"

namespace plumb::align {

/// Why `gold` would say nothing of over-optimising `trained` (both as Reward::describe() has them): the same expression, or a file of the
/// same SHA-256, such as a learned reward, in both. "" if neither.
std::string shared_with_trained(const io::Json& trained, const io::Json& gold);

}  // namespace plumb::align
