// What methods share that learn from answers: rounds of asking, and noised samples to learn from.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "align/asking.h"
#include "align/method.h"

namespace plumb::align {

/// Samples at noise levels, row after row.
struct NoisedRows {
  Tensor eps;               // [R,*model shape] the noise that was added
  Tensor x_t, t;            // [R,*model shape], [R] int64
  nn::Condition condition;
};

/// Networks of a policy as predictors of the noise, on rows of samples.
class NoisedSamples {
 public:
  /// stored [N,*space.shape], label [N] or undefined; both are kept as they are. `without_class`: the null class is shown.
  NoisedSamples(const TuningContext& context, Tensor stored, Tensor label, bool without_class);
  /// Row r is sample rows[r] at timestep t[r] with the noise of draw number draw[r]: rows of one draw share it.
  NoisedRows at_levels(const std::vector<int64_t>& rows, const std::vector<int64_t>& t, const std::vector<int64_t>& draw) const;
  /// The tuned model's and the base model's noise, [R,*model shape]; the latter never has a gradient.
  Tensor noise(const NoisedRows& rows) const;
  Tensor base_noise(const NoisedRows& rows) const;

 private:
  Tensor noise_of(const Tensor& output, const NoisedRows& rows) const;
  const TuningContext& context_;
  Tensor stored_, label_;
  bool without_class_;
};

/// `count` timesteps of {first .. last}, drawn without replacement for draw number `draw` and sorted; 0 or all there are: all.
std::vector<int64_t> draw_timesteps(int64_t first, int64_t last, int64_t count, uint64_t seed, int64_t draw);

/// A method whose epoch is a round of answers.
class OnlineMethod : public Method {
 public:
  OnlineMethod(const TuningContext& context, std::string name, bool as_pairs);
  std::string name() const override { return name_; }
  bool collect(TuningContext& context, int64_t epoch) final;
  bool is_dear() const override { return true; }
  io::Json plan() const override;

 protected:
  /// Takes what it learns from out of a round's answers. False: a stop was asked for meanwhile.
  virtual bool learn_from(TuningContext& context, const Judged& judged, int64_t epoch) = 0;
  virtual AnswersSoFar so_far() const { return {}; }
  /// Why a round has no update, for the person to read.
  virtual std::string why_nothing() const { return "no answer prefers one sample to another"; }
  const FinetuneOptions& options() const { return options_; }
  bool without_class() const { return without_class_; }
  /// Draw number of sample `index` of a round: noise and timesteps hang on it.
  static int64_t draw_number(int64_t epoch, int64_t index) { return (epoch << 24) + index; }
  std::map<std::string, double>& epoch_log() { return epoch_log_; }
  void start(UpdateLog& log) const;   ///< the figures of the round
  void save_round(nn::Checkpoint& checkpoint) const { checkpoint.state["round"] = epoch_log_; }
  void restore_round(const nn::Checkpoint& checkpoint) { epoch_log_ = checkpoint.state.at("round").get<std::map<std::string, double>>(); }

 private:
  FinetuneOptions options_;
  std::string name_;
  bool as_pairs_, without_class_;
  std::map<std::string, double> epoch_log_;
};

}  // namespace plumb::align
