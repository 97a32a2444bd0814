// A round of asking: samples of the policy as an artefact, questions about them, the answers as an artefact. The files are those that
// `sample | feedback` would write, so that both ways of going round give the same bits.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "align/pair_loss.h"
#include "align/policy.h"
#include "align/preference_options.h"
#include "io/artefact.h"
#include "metrics/features.h"
#include "nn/data.h"

namespace plumb::feedback {
class Asker;
class Items;
}

namespace plumb::align {

/// Items that were judged, and how. One of y and pairs is filled.
struct Judged {
  io::Manifest samples;            ///< the artefact that the items are of
  std::vector<int64_t> item;       ///< rows of it that were judged, ascending
  Tensor stored;                   ///< [N,*space.shape], these rows
  Tensor label;                    ///< [N] int64, or undefined
  std::vector<double> y;           ///< [N] in [-1, 1], the mean over raters and repeats
  std::vector<JudgedPair> pairs;   ///< of positions in `item`; ties are left out
  int64_t answers = 0;             ///< without skips
};

/// Reads a feedback artefact. `as_pairs`: judgements of single items become the pairs that differ (pairs_of_scores), of samples that
/// share a start if they do. Throws Error(kBadInput) if the samples are gone or changed, Error(kUsage) for a kind of question that the method
/// cannot learn from.
Judged read_judged(const io::Manifest& feedback, bool as_pairs, const std::string& method);

/// Whether a model of this space and so many classes can learn from them. Throws Error(kBadInput) naming their file.
void check_judged(const Judged& judged, const io::Space& space, int64_t num_classes);

/// Where a run asks, and what of.
struct AskingContext {
  std::string folder;              ///< OUT.rounds
  io::Manifest model;              ///< the base: input of each round's samples
  std::function<io::Manifest(const std::string& kind, const std::vector<std::pair<std::string, io::Manifest>>& inputs)> new_manifest;
  /// A reward's values of all items, for --ask oracle.
  std::function<std::vector<double>(const std::string& expression, const feedback::Items& items)> score;
  metrics::FeatureNetwork* features = nullptr;   ///< for --choose diverse and uncertain
  std::optional<io::Manifest> answers;           ///< --step: the answers to learn from
  std::shared_ptr<feedback::Asker> page = nullptr;   ///< --ask page: open from the first round to the last
  bool anew = false;                             ///< --resume never: answers to other questions are set aside, not refused
};

/// Answers so far, for --choose uncertain.
struct AnswersSoFar {
  Tensor stored;             // [N,*space.shape] or undefined
  std::vector<double> y;
};

/// How far apart the predictions of heads are, ridge regressions of y on the features of `so_far`, each of another bootstrap resample:
/// the standard deviation over `members` of them for each of `candidates`, [C] float64. features [N,d], candidates [C,d]; both are
/// standardised by the former. Source: Lakshminarayanan et al. 2017, "Simple and scalable predictive uncertainty estimation using deep
/// ensembles", with bagged linear members (Breiman 1996).
Tensor disagreement(const Tensor& features, const std::vector<double>& y, const Tensor& candidates, int64_t members, uint64_t seed);

/// AskingContext::score: makes each reward once.
std::function<std::vector<double>(const std::string&, const feedback::Items&)> reward_scorer(at::Device device, double timeout_s);

/// Draws the samples of a round, asks, and returns the answers: those of a record that is there are not asked for again. nullopt: a stop
/// was asked for, or the person quit; the same call goes on.
std::optional<Judged> ask_round(AskingContext& asking, const AskOptions& options, Policy& policy, const nn::Codec& codec, uint64_t seed,
                                int64_t batch_size, int64_t round, bool as_pairs, const AnswersSoFar& so_far);

/// Tells a person at a page that no round comes any more.
void end_asking(AskingContext& asking);

/// Samples drawn in a round: --candidates, or as many as the questions show.
int64_t samples_per_round(const AskOptions& options);

}  // namespace plumb::align
