// SPDX-License-Identifier: Apache-2.0
#include "nn/cnn_predictor.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "nn/config_keys.h"
#include "nn/dropout.h"

namespace plumb::nn {
namespace {

constexpr int64_t kCut = 4;   // rows and columns that two 3x3 convolutions without padding take off

/// Elements of an item after the pool.
int64_t pooled(const CnnPredictorOptions& o) { return o.channels[1] * ((o.height - kCut) / 2) * ((o.width - kCut) / 2); }

}  // namespace

io::Json CnnPredictorOptions::to_json() const {
  return {{"in_channels", in_channels}, {"height", height}, {"width", width}, {"channels", channels}, {"hidden", hidden},
          {"dropout", dropout}, {"outputs", outputs}};
}

CnnPredictorOptions CnnPredictorOptions::from_json(const io::Json& json, const std::string& where) {
  CnnPredictorOptions o;
  ConfigKeys keys(json, where);
  keys.read("in_channels", o.in_channels);
  keys.read("height", o.height);
  keys.read("width", o.width);
  keys.read("channels", o.channels);
  keys.read("hidden", o.hidden);
  keys.read("dropout", o.dropout);
  keys.read("outputs", o.outputs);
  keys.done();
  keys.size("in_channels", o.in_channels);
  keys.size("height", o.height);
  keys.size("width", o.width);
  keys.sizes("channels", o.channels);
  keys.size("hidden", o.hidden);
  keys.size("outputs", o.outputs);
  keys.at_least("height", static_cast<double>(o.height), kCut + 2);
  keys.at_least("width", static_cast<double>(o.width), kCut + 2);
  if (o.channels.size() != 2) keys.refuse("channels", "needs two, one for each convolution");
  if (o.dropout.size() != 2) keys.refuse("dropout", "needs two, after the pool and of the features");
  for (const double p : o.dropout) {
    if (!(p >= 0 && p < 1)) keys.refuse("dropout", "must be from 0 up to, not including, 1");
  }
  return o;
}

CnnPredictor::CnnPredictor(const CnnPredictorOptions& options)
    : options_(options), conv1_(options.in_channels, options.channels[0], 3), conv2_(options.channels[0], options.channels[1], 3),
      fc1_(pooled(options), options.hidden), fc2_(options.hidden, options.outputs) {
  register_module("conv1", conv1_);
  register_module("conv2", conv2_);
  register_module("fc1", fc1_);
  register_module("fc2", fc2_);
}

Tensor CnnPredictor::features(const Tensor& x) {
  if (x.dim() != 4 || x.size(1) != options_.in_channels || x.size(2) != options_.height || x.size(3) != options_.width) {
    throw Error(Exit::kBadInput, "x", cat("is ", shape_text(x.sizes().vec()), ", the network takes [B,", options_.in_channels, ",",
                                          options_.height, ",", options_.width, "]"));
  }
  Tensor h = at::max_pool2d(at::relu(conv2_.forward(at::relu(conv1_.forward(x)))), 2);
  if (is_training() && options_.dropout[0] > 0) h = dropout(h, options_.dropout[0]);
  return at::relu(fc1_.forward(h.flatten(1)));
}

Tensor CnnPredictor::head(const Tensor& features) {
  const bool drop = is_training() && options_.dropout[1] > 0;
  return fc2_.forward(drop ? dropout(features, options_.dropout[1]) : features);
}

}  // namespace plumb::nn
