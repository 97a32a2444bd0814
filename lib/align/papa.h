// PAPA and EPAPA: one class, which differ in the timesteps that are trained on and in who samples the rest.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "align/online.h"
#include "align/papa_loss.h"

namespace plumb::align {

/// Learns from likes and dislikes of single samples, without a reward: online loop of arXiv 2607.00486, alg. 1, and its released code.
class PreferenceAlignment : public OnlineMethod {
 public:
  /// `k`: timesteps below are not trained on.
  PreferenceAlignment(const TuningContext& context, std::string name, int64_t k);

  int64_t updates_per_epoch() const override { return static_cast<int64_t>(updates_.size()); }
  UpdateLog accumulate_gradients(TuningContext& context, int64_t epoch, int64_t index) override;
  bool takes_back() const override { return rule_.guard > 0; }
  /// Whether the error S of the liked samples is rule.guard times the base model's; of the disliked ones while none was liked yet.
  bool has_diverged(TuningContext& context, int64_t epoch, UpdateLog& log) override;
  void save(nn::Checkpoint& checkpoint, bool collected) const override;
  void restore(const nn::Checkpoint& checkpoint, bool collected) override;
  io::Json plan() const override;

 protected:
  bool learn_from(TuningContext& context, const Judged& judged, int64_t epoch) override;
  AnswersSoFar so_far() const override { return {stored_, y_}; }
  std::string why_nothing() const override;

 private:
  /// The samples of each optimiser step of a round: rows of the buffer. A function of the seed, the round and the answers so far.
  void plan_updates(int64_t epoch);
  /// S of the last samples that were liked, or disliked, as a multiple of the base model's: at most 16 of them, at 8 timesteps each.
  std::optional<double> error_to_base(const NoisedSamples& noised, bool liked) const;

  PapaRule rule_;
  TimestepRange range_;
  std::vector<double> weights_;                 // of timesteps
  Tensor stored_, label_;                       // of all answers so far, replayed or not: [N,*space.shape], [N] int64 or undefined
  std::vector<double> y_;                       // [N]
  int64_t fresh_ = 0;                           // of these, the last, that are this round's
  int64_t epoch_ = 0;
  std::vector<std::vector<int64_t>> updates_;
};

}  // namespace plumb::align
