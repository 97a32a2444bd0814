// The plain convolutional classifier of PAPA's experiments, with its parameter names.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "nn/layers.h"
#include "nn/predictor.h"

namespace plumb::nn {

struct CnnPredictorOptions {
  int64_t in_channels = 1, height = 28, width = 28;   ///< of an item; at least 6x6
  std::vector<int64_t> channels{32, 64};              ///< of the two convolutions
  int64_t hidden = 128;                               ///< units of the layer before the last: the features
  std::vector<double> dropout{0.25, 0.5};             ///< in training: after the pool, and of the features; from 0 up to, not including, 1
  int64_t outputs = 10;
  io::Json to_json() const;
  static CnnPredictorOptions from_json(const io::Json& json, const std::string& where);   ///< Error(kUsage)
};

/// 3x3 convolution without padding and ReLU, twice; max-pool by 2, dropout, linear and ReLU (the features), dropout, linear head.
/// x [B,in_channels,height,width]. Outputs are logits, where the published network goes on to log-softmax. 1,199,882 parameters for
/// 1x28x28 and 10 outputs, by the published names: conv1, conv2, fc1, fc2. In training mode it needs a DropoutScope.
/// Source: NasikNafi/papa (GitHub), the classifier that stands for the user; it is PyTorch's MNIST example.
class CnnPredictor : public Predictor {
 public:
  explicit CnnPredictor(const CnnPredictorOptions& options);
  Tensor features(const Tensor& x) override;             ///< [B,hidden]; Error(kBadInput) for items of another shape
  Tensor head(const Tensor& features) override;
  int64_t feature_dimension() const override { return options_.hidden; }
  int64_t outputs() const override { return options_.outputs; }
  io::Json config() const override { return {{"type", "cnn"}, {"config", options_.to_json()}}; }

 private:
  CnnPredictorOptions options_;
  Conv2d conv1_, conv2_;
  Linear fc1_, fc2_;
};

}  // namespace plumb::nn
