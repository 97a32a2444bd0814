// A convolutional network from sequences to numbers.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "nn/layers.h"
#include "nn/predictor.h"

namespace plumb::nn {

struct Conv1dPredictorOptions {
  int64_t channels = 4;       ///< letters of the alphabet
  int64_t width = 128;
  int64_t first_kernel = 15;  ///< odd; of the first convolution, about the length of a motif
  int64_t kernel = 5;         ///< odd; of each later one
  int64_t blocks = 3;         ///< of convolution, GELU, max-pool by 2
  int64_t hidden = 64;        ///< units of the layer before the last: the features
  int64_t outputs = 1;
  io::Json to_json() const;
  static Conv1dPredictorOptions from_json(const io::Json& json, const std::string& where);   ///< Error(kUsage)
};

/// Convolution and GELU, `blocks` times convolution, GELU and max-pooling by 2, mean over positions, linear and GELU (the features),
/// linear head. "Same" padding; an odd last position is left out by a pool. No normalisation: an item does not see its batch.
/// x [B,channels,L], L at least 2^blocks: one-hot letters in {-1,+1}, or a relaxation of them.
class Conv1dPredictor : public Predictor {
 public:
  explicit Conv1dPredictor(const Conv1dPredictorOptions& options);
  Tensor features(const Tensor& x) override;
  Tensor head(const Tensor& features) override { return head_.forward(features); }
  int64_t feature_dimension() const override { return options_.hidden; }
  int64_t outputs() const override { return options_.outputs; }
  io::Json config() const override { return {{"type", "conv1d"}, {"config", options_.to_json()}}; }

 private:
  Conv1dPredictorOptions options_;
  Conv1d conv_in_;
  ModuleList<Conv1d> convs_;
  Linear hidden_, head_;
};

}  // namespace plumb::nn
