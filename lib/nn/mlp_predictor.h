// A multilayer perceptron from vectors to numbers.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "nn/mlp.h"
#include "nn/predictor.h"

namespace plumb::nn {

struct MlpPredictorOptions {
  int64_t elements = 1;                    ///< numbers in an item
  std::vector<int64_t> hidden{256, 256};
  int64_t outputs = 1;
  io::Json to_json() const;
  static MlpPredictorOptions from_json(const io::Json& json, const std::string& where);   ///< Error(kUsage)
};

/// x [B,*] with `elements` numbers an item. The features are what the last layer sees: the last hidden layer after its SiLU.
class MlpPredictor : public Predictor {
 public:
  explicit MlpPredictor(const MlpPredictorOptions& options);
  Tensor features(const Tensor& x) override { return mlp_.hidden(flat_items(x, options_.elements)); }
  Tensor head(const Tensor& features) override { return mlp_.output(features); }
  int64_t feature_dimension() const override { return options_.hidden.back(); }
  int64_t outputs() const override { return options_.outputs; }
  io::Json config() const override { return {{"type", "mlp"}, {"config", options_.to_json()}}; }

 private:
  MlpPredictorOptions options_;
  Mlp mlp_;
};

}  // namespace plumb::nn
