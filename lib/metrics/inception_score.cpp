// SPDX-License-Identifier: Apache-2.0
#include "metrics/inception_score.h"

#include <cmath>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "metrics/bootstrap.h"
#include "metrics/gram.h"
#include "metrics/registry.h"

namespace plumb::metrics {
namespace {

double score_of(const Tensor& p) {
  const Tensor marginal = p.mean(0, true);
  const Tensor terms = at::xlogy(p, p) - at::xlogy(p, marginal);  // xlogy(0, 0) = 0
  return std::exp(terms.sum(1).mean().item<double>());
}

/// Of the score over all items. Leaving item i out takes its answer from the marginal and its own entropy from the mean. Of 2 items that
/// leaves 1, which always scores 1: there is no error.
double standard_error_of(const Tensor& p) {
  const double n = static_cast<double>(p.size(0));
  if (n < 3) return 0;
  const Tensor own = at::xlogy(p, p).sum(1);                                   // [N]
  const Tensor marginal = ((p.sum(0, true) - p) / (n - 1)).clamp_min(0);       // [N,K]; rounding may leave -1e-17
  const Tensor logs = (own.sum() - own) / (n - 1) - at::xlogy(marginal, marginal).sum(1);
  return std::sqrt(jackknife_variance(logs.exp()));
}

}  // namespace

InceptionScoreResult inception_score(const Tensor& probabilities, const InceptionScoreOptions& options) {
  check_features(probabilities, "inception-score");
  const Tensor p = probabilities.to(at::kDouble);
  if ((p < 0).any().item<bool>() || ((p.sum(1) - 1).abs() > 1e-3).any().item<bool>()) {
    throw Error(Exit::kBadNumbers, "inception-score", "class probabilities are negative or do not sum to 1",
                "does the network return logits?");
  }
  InceptionScoreResult out;
  out.n = p.size(0);
  out.classes = p.size(1);
  out.splits = options.splits;
  if (options.splits < 1 || out.n < options.splits) {
    throw NotApplicable(Exit::kBadNumbers, "inception-score", cat(out.n, " items in ", options.splits, " splits"),
                        "lower --inception-score.splits");
  }
  out.value = check_finite(score_of(p), "inception-score");
  out.standard_error = standard_error_of(p);
  std::vector<double> scores;
  for (int64_t s = 0; s < out.splits; ++s) {
    scores.push_back(score_of(p.slice(0, s * out.n / out.splits, (s + 1) * out.n / out.splits)));
  }
  const Tensor all = at::tensor(scores, at::kDouble);
  out.split_mean = all.mean().item<double>();
  out.split_std = all.std(0, false).item<double>();
  return out;
}

io::Json InceptionScoreResult::to_json() const {
  io::Json out{{"value", value}};
  if (n > 2) add_interval(out, normal_interval(value, standard_error));
  out.update({{"split_mean", split_mean}, {"split_std", split_std}, {"splits", splits}, {"n", n}, {"classes", classes}});
  return out;
}

io::Json inception_score_metric(const MetricInput& in, const Settings& settings) {
  if (!in.samples.probabilities.defined()) {
    throw NotApplicable(Exit::kUsage, "inception-score", "the feature network gives no class probabilities",
                        "use --features classifier:FILE.h5");
  }
  return inception_score(in.samples.probabilities, settings.inception_score).to_json();
}

}  // namespace plumb::metrics
