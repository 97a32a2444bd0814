// SPDX-License-Identifier: Apache-2.0
#include "nn/conv1d_predictor.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "nn/config_keys.h"

namespace plumb::nn {

io::Json Conv1dPredictorOptions::to_json() const {
  return {{"channels", channels}, {"width", width}, {"first_kernel", first_kernel}, {"kernel", kernel}, {"blocks", blocks},
          {"hidden", hidden}, {"outputs", outputs}};
}

Conv1dPredictorOptions Conv1dPredictorOptions::from_json(const io::Json& json, const std::string& where) {
  Conv1dPredictorOptions o;
  ConfigKeys keys(json, where);
  keys.read("channels", o.channels);
  keys.read("width", o.width);
  keys.read("first_kernel", o.first_kernel);
  keys.read("kernel", o.kernel);
  keys.read("blocks", o.blocks);
  keys.read("hidden", o.hidden);
  keys.read("outputs", o.outputs);
  keys.done();
  keys.size("channels", o.channels);
  keys.size("width", o.width);
  keys.size("first_kernel", o.first_kernel);
  keys.size("kernel", o.kernel);
  keys.size("hidden", o.hidden);
  keys.size("outputs", o.outputs);
  if (o.blocks < 0 || o.blocks > 16) keys.refuse("blocks", cat(o.blocks, " is not from 0 to 16"));
  if (o.first_kernel % 2 == 0) keys.refuse("first_kernel", cat(o.first_kernel, " is even, so the length would change"));
  if (o.kernel % 2 == 0) keys.refuse("kernel", cat(o.kernel, " is even, so the length would change"));
  return o;
}

Conv1dPredictor::Conv1dPredictor(const Conv1dPredictorOptions& options)
    : options_(options), conv_in_(options.channels, options.width, options.first_kernel, Conv1d::same_padding(options.first_kernel)),
      hidden_(options.width, options.hidden), head_(options.hidden, options.outputs) {
  register_module("conv_in", conv_in_);
  for (int64_t i = 0; i < options.blocks; ++i) {
    convs_.add(std::make_unique<Conv1d>(options.width, options.width, options.kernel, Conv1d::same_padding(options.kernel)));
  }
  register_module("convs", convs_);
  register_module("hidden", hidden_);
  register_module("head", head_);
}

Tensor Conv1dPredictor::features(const Tensor& x) {
  if (x.dim() != 3 || x.size(1) != options_.channels || x.size(2) >> options_.blocks < 1) {
    throw Error(Exit::kBadInput, "x", cat("is ", shape_text(x.sizes().vec()), ", the network takes [B,", options_.channels,
                                          ",L] with L at least ", int64_t{1} << options_.blocks));
  }
  Tensor h = at::gelu(conv_in_.forward(x));
  for (size_t i = 0; i < convs_.size(); ++i) h = at::max_pool1d(at::gelu(convs_[i].forward(h)), 2);
  return at::gelu(hidden_.forward(h.mean(2)));
}

}  // namespace plumb::nn
