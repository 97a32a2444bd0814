// SPDX-License-Identifier: Apache-2.0
#include "nn/resnet.h"

#include <algorithm>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"

namespace plumb::nn {

io::Json ResNetOptions::to_json() const {
  return {{"in_channels", in_channels}, {"channels", channels},   {"blocks_per_stage", blocks_per_stage},
          {"stem_stride", stem_stride}, {"norm_num_groups", norm_num_groups}, {"outputs", outputs}};
}

ResNetOptions ResNetOptions::from_json(const io::Json& json, const std::string& where) {
  ResNetOptions options;
  const std::vector<std::pair<std::string, int64_t*>> numbers{
      {"in_channels", &options.in_channels}, {"blocks_per_stage", &options.blocks_per_stage},
      {"stem_stride", &options.stem_stride}, {"norm_num_groups", &options.norm_num_groups}, {"outputs", &options.outputs}};
  auto whole = [&](const std::string& key, const io::Json& value) {
    if (!value.is_number_integer() || value.get<int64_t>() < 1 || value.get<int64_t>() > 65536) {
      throw Error(Exit::kUsage, where, "resnet option " + key + " is not a whole number from 1 to 65536");
    }
    return value.get<int64_t>();
  };
  if (!json.is_object()) throw Error(Exit::kUsage, where, "a resnet's config is not an object");
  for (const auto& [key, value] : json.items()) {
    const auto number = std::find_if(numbers.begin(), numbers.end(), [&, &name = key](const auto& row) { return row.first == name; });
    if (number != numbers.end()) {
      *number->second = whole(key, value);
    } else if (key == "channels") {
      if (!value.is_array() || value.empty()) throw Error(Exit::kUsage, where, "resnet option channels is not a list");
      options.channels.clear();
      for (const io::Json& one : value) options.channels.push_back(whole("channels", one));
    } else {
      throw Error(Exit::kUsage, where, "unknown resnet option '" + key + "'",
                  "known: in_channels, channels, blocks_per_stage, stem_stride, norm_num_groups, outputs");
    }
  }
  for (int64_t channels : options.channels) {
    if (channels % options.norm_num_groups != 0) {
      throw Error(Exit::kUsage, where, cat("resnet: ", channels, " channels are no multiple of norm_num_groups ", options.norm_num_groups));
    }
  }
  return options;
}

ResidualBlock::ResidualBlock(int64_t in, int64_t out, int64_t stride, int64_t groups)
    : norm1_(groups, in), norm2_(groups, out), conv1_(in, out, 3, stride, 1, false), conv2_(out, out, 3, 1, 1, false) {
  register_module("norm1", norm1_);
  register_module("conv1", conv1_);
  register_module("norm2", norm2_);
  register_module("conv2", conv2_);
  if (in != out || stride != 1) {
    shortcut_ = std::make_unique<Conv2d>(in, out, 1, stride, 0, false);
    register_module("shortcut", *shortcut_);
  }
}

Tensor ResidualBlock::forward(const Tensor& x) {
  const Tensor h = norm1_.forward_silu(x);
  const Tensor around = shortcut_ ? shortcut_->forward(h) : x;
  return around + conv2_.forward(norm2_.forward_silu(conv1_.forward(h)));
}

ResNet::ResNet(const ResNetOptions& options)
    : options_(options), conv_in_(options.in_channels, options.channels.front(), 3, options.stem_stride, 1, false),
      norm_out_(options.norm_num_groups, options.channels.back()), head_(options.channels.back(), options.outputs) {
  register_module("conv_in", conv_in_);
  int64_t in = options.channels.front();
  for (size_t stage = 0; stage < options.channels.size(); ++stage) {
    for (int64_t block = 0; block < options.blocks_per_stage; ++block) {
      const int64_t stride = stage > 0 && block == 0 ? 2 : 1;
      blocks_.add(std::make_unique<ResidualBlock>(in, options.channels[stage], stride, options.norm_num_groups));
      in = options.channels[stage];
    }
  }
  register_module("blocks", blocks_);
  register_module("norm_out", norm_out_);
  register_module("head", head_);
}

Tensor ResNet::features(const Tensor& x) {
  Tensor h = conv_in_.forward(x);
  for (size_t i = 0; i < blocks_.size(); ++i) h = blocks_[i].forward(h);
  return norm_out_.forward_silu(h).mean({2, 3});
}

}  // namespace plumb::nn
