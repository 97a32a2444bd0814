// Rewards that are watched must not be the ones that are trained on.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "align/monitor.h"
#include "io/manifest.h"

namespace plumb::align {

/// Why `gold` would say nothing of over-optimising `trained` (both as Reward::describe() has them): the same expression, or a file of the
/// same SHA-256, such as a learned reward, in both. "" if neither.
std::string shared_with_trained(const io::Json& trained, const io::Json& gold);

/// The rewards of --gold. Throws Error(kUsage) for one that shared_with_trained() unless --allow-trained-gold; `trained` may be null.
std::vector<GoldReward> make_golds(const FinetuneOptions& options, const rewards::Reward* trained, const io::Space& space, at::Device device);

}  // namespace plumb::align
