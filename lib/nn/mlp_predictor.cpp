// SPDX-License-Identifier: Apache-2.0
#include "nn/mlp_predictor.h"

#include <cmath>

#include <ATen/ATen.h>

#include "nn/config_keys.h"
#include "nn/mlp.h"

namespace plumb::nn {

io::Json MlpPredictorOptions::to_json() const {
  return {{"elements", elements}, {"hidden", hidden}, {"outputs", outputs}, {"activation", activation}, {"input_scale", input_scale}};
}

MlpPredictorOptions MlpPredictorOptions::from_json(const io::Json& json, const std::string& where) {
  MlpPredictorOptions o;
  ConfigKeys keys(json, where);
  keys.read("elements", o.elements);
  keys.read("hidden", o.hidden);
  keys.read("outputs", o.outputs);
  keys.read("activation", o.activation);
  keys.read("input_scale", o.input_scale);
  keys.done();
  keys.at_least("elements", static_cast<double>(o.elements), 1);
  keys.sizes("hidden", o.hidden);
  keys.size("outputs", o.outputs);
  keys.one_of("activation", o.activation, {"silu", "relu"});
  if (!std::isfinite(o.input_scale) || o.input_scale == 0) keys.refuse("input_scale", cat(o.input_scale, " is no scale"));
  return o;
}

MlpPredictor::MlpPredictor(const MlpPredictorOptions& options) : options_(options) {
  int64_t in = options.elements;
  for (const int64_t width : options.hidden) {
    layers_.add(std::make_unique<Linear>(in, width));
    in = width;
  }
  layers_.add(std::make_unique<Linear>(in, options.outputs));
  register_module("mlp.layers", layers_);
}

Tensor MlpPredictor::features(const Tensor& x) {
  Tensor h = flat_items(x, options_.elements);
  if (options_.input_scale != 1) h = h * options_.input_scale;
  for (size_t i = 0; i + 1 < layers_.size(); ++i) {
    h = layers_[i].forward(h);
    h = options_.activation == "relu" ? at::relu(h) : at::silu(h);
  }
  return h;
}

}  // namespace plumb::nn
