// gc: the share of G and C among the letters of a DNA or RNA sequence.   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "rewards/image_reward.h"
#include "rewards/sequence_reward.h"

namespace plumb::rewards {
namespace {

class GcContent : public SequenceReward {
 public:
  explicit GcContent(const RewardSpec& spec)
      : SequenceReward(spec), codes_{alphabet_.code('G'), alphabet_.code('C')} {}
  io::Json describe() const override { return {{"name", "gc"}}; }

 protected:
  Tensor of_letters(const Tensor& p) const override {
    return (p.select(1, codes_[0]) + p.select(1, codes_[1])).mean(1);  // [B,L] -> [B]
  }

 private:
  int64_t codes_[2];
};

}  // namespace

std::unique_ptr<Reward> make_gc(const RewardSpec& spec) {
  need_nucleic(spec);
  need_no_argument(spec);
  return std::make_unique<GcContent>(spec);
}

}  // namespace plumb::rewards
