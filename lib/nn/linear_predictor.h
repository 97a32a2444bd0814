// A linear function of items, or of the words of sequences.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "nn/layers.h"
#include "nn/predictor.h"

namespace plumb::nn {

struct LinearPredictorOptions {
  std::string features = "items";   ///< items: the numbers of an item in model space; kmer: how often each word of k letters occurs
  int64_t elements = 1;             ///< items: numbers in an item
  int64_t letters = 4;              ///< kmer: letters of the alphabet
  int64_t k = 3;                    ///< kmer: letters of a word; letters^k is at most 65536
  int64_t outputs = 1;
  int64_t dimension() const;        ///< of the features: elements, or letters^k
  io::Json to_json() const;
  static LinearPredictorOptions from_json(const io::Json& json, const std::string& where);   ///< Error(kUsage)
};

/// outputs = W phi(x) + b. phi of "items": x flattened. Of "kmer": the counts of all words over the L - k + 1 places, x [B,letters,L] in
/// {-1,+1}; where x lies between, with p = (x + 1) / 2, the mean counts under independent letters, a polynomial of x. Words are in the
/// order of their codes, the first letter most significant.
class LinearPredictor : public Predictor {
 public:
  explicit LinearPredictor(const LinearPredictorOptions& options);
  Tensor features(const Tensor& x) override;
  Tensor head(const Tensor& features) override { return head_.forward(features); }
  int64_t feature_dimension() const override { return options_.dimension(); }
  int64_t outputs() const override { return options_.outputs; }
  io::Json config() const override { return {{"type", "linear"}, {"config", options_.to_json()}}; }
  /// Sets W [outputs,D] and b [outputs].
  void set_head(const Tensor& weight, const Tensor& bias);

 private:
  LinearPredictorOptions options_;
  Linear head_;
};

/// Counts of all words of k letters: p [B,K,L] letter probabilities -> [B,K^k]. Throws Error(kBadInput) if L < k.
Tensor word_counts(const Tensor& p, int64_t k);

}  // namespace plumb::nn
