// A multilayer perceptron from vectors to numbers.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "nn/layers.h"
#include "nn/predictor.h"

namespace plumb::nn {

struct MlpPredictorOptions {
  int64_t elements = 1;                    ///< numbers in an item
  std::vector<int64_t> hidden{256, 256};
  int64_t outputs = 1;
  std::string activation = "silu";         ///< silu or relu, after each hidden layer
  double input_scale = 1;                  ///< the items are multiplied by it first
  io::Json to_json() const;
  static MlpPredictorOptions from_json(const io::Json& json, const std::string& where);   ///< Error(kUsage)
};

/// x [B,*] with `elements` numbers an item: input_scale x, linear, activation, linear, ..., linear. The features are what the last layer
/// sees: the last hidden layer after its activation.
class MlpPredictor : public Predictor {
 public:
  explicit MlpPredictor(const MlpPredictorOptions& options);
  Tensor features(const Tensor& x) override;
  Tensor head(const Tensor& features) override { return layers_[layers_.size() - 1].forward(features); }
  int64_t feature_dimension() const override { return options_.hidden.back(); }
  int64_t outputs() const override { return options_.outputs; }
  io::Json config() const override { return {{"type", "mlp"}, {"config", options_.to_json()}}; }

 private:
  MlpPredictorOptions options_;
  ModuleList<Linear> layers_;
};

}  // namespace plumb::nn
