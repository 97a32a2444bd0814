// SPDX-License-Identifier: Apache-2.0
#include "nn/efficientnet_lite.h"

#include <algorithm>
#include <cstring>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "io/safetensors.h"

namespace plumb::nn {
namespace {

constexpr double kEps = 1e-3;            // TensorFlow's default, which the weights were trained with
constexpr int64_t kStemChannels = 32;

/// Rows of table 1 of Tan & Le: `repeats` blocks, of which only the first has the stride.
struct Stage {
  int64_t repeats, kernel, stride, expand, out;
};
constexpr Stage kStages[] = {{1, 3, 1, 1, 16}, {2, 3, 2, 6, 24},  {2, 5, 2, 6, 40}, {3, 3, 2, 6, 80},
                             {3, 5, 1, 6, 112}, {4, 5, 2, 6, 192}, {1, 3, 1, 6, 320}};
constexpr int64_t kLastStageChannels = 320;

/// Zeros that "SAME" adds to a side of n pixels.
int64_t same_zeros(int64_t n, int64_t kernel, int64_t stride) {
  return std::max<int64_t>(((n + stride - 1) / stride - 1) * stride + kernel - n, 0);
}

Tensor tensor_of(const io::SafetensorsReader& file, const std::string& name) {
  const io::TensorView& view = file.tensor(name);
  if (view.dtype == "I64") {
    Tensor values = at::empty(view.shape, at::kLong);
    std::memcpy(values.mutable_data_ptr(), view.data, view.bytes);
    return values;
  }
  const std::vector<float> values = file.read_f32(name);
  return at::tensor(at::ArrayRef<float>(values), at::kFloat).view(view.shape);
}

}  // namespace

SameConv2d::SameConv2d(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t groups)
    : weight_(at::zeros({out, in / groups, kernel, kernel})), stride_(stride), groups_(groups) {
  register_parameter("weight", weight_);
}

Tensor SameConv2d::forward(const Tensor& x) {
  const int64_t kernel = weight_.size(2);
  if (kernel == 1 && stride_ == 1 && groups_ == 1) return pixelwise(x);
  const int64_t rows = same_zeros(x.size(2), kernel, stride_), columns = same_zeros(x.size(3), kernel, stride_);
  // The convolution adds as many zeros before as after; the odd one comes after.
  const Tensor padded = rows % 2 || columns % 2 ? at::constant_pad_nd(x, {0, columns % 2, 0, rows % 2}) : x;
  return at::conv2d(padded, weight_, {}, stride_, {rows / 2, columns / 2}, 1, groups_);
}

/// A 1x1 kernel is a matrix. ATen's convolution takes another path for it by the number of threads and of items, which shows in the
/// last digits; this is as fast.
Tensor SameConv2d::pixelwise(const Tensor& x) {
  const Tensor matrix = weight_.flatten(1).unsqueeze(0).expand({x.size(0), -1, -1});   // [B,out,in]
  return at::bmm(matrix, x.flatten(2)).view({x.size(0), weight_.size(0), x.size(2), x.size(3)});
}

BatchNorm2d::BatchNorm2d(int64_t channels, double eps)
    : weight_(at::ones({channels})), bias_(at::zeros({channels})), running_mean_(at::zeros({channels})),
      running_var_(at::ones({channels})), num_batches_tracked_(at::zeros({}, at::kLong)), eps_(eps) {
  register_parameter("weight", weight_);
  register_parameter("bias", bias_);
  register_buffer("running_mean", running_mean_);
  register_buffer("running_var", running_var_);
  register_buffer("num_batches_tracked", num_batches_tracked_);
}

Tensor BatchNorm2d::forward(const Tensor& x) {
  return at::batch_norm(x, weight_, bias_, running_mean_, running_var_, /*training=*/false, /*momentum=*/0, eps_, /*cudnn_enabled=*/true);
}

Tensor BatchNorm2d::forward_relu6(const Tensor& x) { return forward(x).clamp_(0, 6); }

InvertedResidual::InvertedResidual(const InvertedResidualOptions& o)
    : depthwise_(o.in * o.expand, o.in * o.expand, o.kernel, o.stride, o.in * o.expand), norm1_(o.in * o.expand, kEps),
      project_(o.in * o.expand, o.out, 1), norm2_(o.out, kEps), around_(o.stride == 1 && o.in == o.out) {
  if (o.expand != 1) {
    expand_ = std::make_unique<SameConv2d>(o.in, o.in * o.expand, 1);
    norm0_ = std::make_unique<BatchNorm2d>(o.in * o.expand, kEps);
    register_module("_expand_conv", *expand_);
    register_module("_bn0", *norm0_);
  }
  register_module("_depthwise_conv", depthwise_);
  register_module("_bn1", norm1_);
  register_module("_project_conv", project_);
  register_module("_bn2", norm2_);
}

Tensor InvertedResidual::forward(const Tensor& x) {
  Tensor h = expand_ ? norm0_->forward_relu6(expand_->forward(x)) : x;
  h = norm1_.forward_relu6(depthwise_.forward(h));
  h = norm2_.forward(project_.forward(h));
  return around_ ? h + x : h;
}

EfficientNetLite0::EfficientNetLite0()
    : stem_(3, kStemChannels, 3, 2), norm0_(kStemChannels, kEps), last_(kLastStageChannels, kFeatures, 1), norm1_(kFeatures, kEps),
      classes_(kFeatures, kClasses) {
  register_module("_conv_stem", stem_);
  register_module("_bn0", norm0_);
  int64_t in = kStemChannels;
  for (const Stage& stage : kStages) {
    for (int64_t i = 0; i < stage.repeats; ++i) {
      const InvertedResidualOptions options{in, stage.out, stage.kernel, i == 0 ? stage.stride : 1, stage.expand};
      blocks_.add(std::make_unique<InvertedResidual>(options));
      in = stage.out;
    }
  }
  register_module("_blocks", blocks_);
  register_module("_conv_head", last_);
  register_module("_bn1", norm1_);
  register_module("_fc", classes_);
}

Tensor EfficientNetLite0::features(const Tensor& x) {
  if (x.dim() != 4 || x.size(1) != 3) {
    throw Error(Exit::kBadInput, "efficientnet-lite0", "takes pictures [B,3,H,W], got " + shape_text(x.sizes().vec()));
  }
  Tensor h = norm0_.forward_relu6(stem_.forward(x));
  for (size_t i = 0; i < blocks_.size(); ++i) h = blocks_[i].forward(h);
  return norm1_.forward_relu6(last_.forward(h)).mean({2, 3});
}

std::unique_ptr<EfficientNetLite0> load_efficientnet_lite0(const std::string& path) {
  const io::SafetensorsReader file(path);
  NamedTensors weights;
  for (const auto& [name, view] : file.tensors()) weights.emplace_back(name, tensor_of(file, name));
  auto network = std::make_unique<EfficientNetLite0>();
  network->load_state(weights, path);
  network->set_requires_grad(false);
  network->train(false);
  return network;
}

}  // namespace plumb::nn
