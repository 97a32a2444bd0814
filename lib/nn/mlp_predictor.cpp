// SPDX-License-Identifier: Apache-2.0
#include "nn/mlp_predictor.h"

#include "nn/config_keys.h"

namespace plumb::nn {

io::Json MlpPredictorOptions::to_json() const { return {{"elements", elements}, {"hidden", hidden}, {"outputs", outputs}}; }

MlpPredictorOptions MlpPredictorOptions::from_json(const io::Json& json, const std::string& where) {
  MlpPredictorOptions o;
  ConfigKeys keys(json, where);
  keys.read("elements", o.elements);
  keys.read("hidden", o.hidden);
  keys.read("outputs", o.outputs);
  keys.done();
  keys.at_least("elements", static_cast<double>(o.elements), 1);
  keys.sizes("hidden", o.hidden);
  keys.size("outputs", o.outputs);
  return o;
}

MlpPredictor::MlpPredictor(const MlpPredictorOptions& options) : options_(options), mlp_(options.elements, options.hidden, options.outputs) {
  register_module("mlp", mlp_);
}

}  // namespace plumb::nn
