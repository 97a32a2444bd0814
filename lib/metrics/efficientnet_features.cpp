// SPDX-License-Identifier: Apache-2.0
#include "metrics/efficientnet_features.h"

#include <cstdlib>
#include <filesystem>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/log.h"
#include "core/sha256.h"
#include "core/share.h"
#include "core/text.h"
#include "nn/efficientnet_lite.h"

namespace plumb::metrics {
namespace {

const char* const kShipped = "models/efficientnet-lite0.safetensors";
/// sha256 of what share/tools/efficientnet-lite0.py writes.
const char* const kPublished = "3424c79c5798da5e54dda603a1648595b0c7c67509d2f0a96e757a56226b2bad";

std::string weights_path(const std::string& file) {
  const char* variable = std::getenv("PLUMB_EFFICIENTNET_LITE0");
  std::string path = !file.empty() ? file : variable && *variable ? variable : share_path(kShipped);
  const bool none = path.empty();
  if (none) path = cat("share/", kShipped);
  std::error_code ignored;
  if (none || !std::filesystem::exists(path, ignored)) {
    throw Error(Exit::kBadInput, path, "is not there", "share/tools/efficientnet-lite0.py fetches it (19 MB)");
  }
  return path;
}

class EfficientNetFeatures : public FeatureNetwork {
 public:
  EfficientNetFeatures(const std::string& path, at::Device device)
      : network_(nn::load_efficientnet_lite0(path)), device_(device), digest_(sha256_of_file(path)) {
    network_->to(device);
    if (digest_ == kPublished) return;
    log::warn(path, " is not the published EfficientNet-Lite0 (sha256 ", kPublished, "): its distances are not FD-EffNetLite0");
  }
  /// On a CPU a picture at a time, so that its digits do not depend on its batch.
  FeatureBatch extract(const Tensor& items) override {
    const bool cpu = device_.is_cpu();
    return extract_in_pieces(items, cpu ? 1 : 32, cpu, [&](const Tensor& piece) -> FeatureBatch {
      const Tensor features = network_->features(input(piece).to(device_));
      return {features.to(at::kCPU), network_->logits(features).softmax(1).to(at::kCPU)};
    });
  }
  int64_t dimension() const override { return nn::EfficientNetLite0::kFeatures; }
  std::string digest() const override { return digest_; }
  std::string name() const override { return kEfficientNetLite0; }
  std::string resize_mode() const override { return efficientnet_resize_mode(); }

 private:
  /// [B,1 or 3,H,W] uint8 -> [B,3,224,224] float32, resized before grey is repeated.
  static Tensor input(const Tensor& items) {
    const Tensor pixels = resize_bicubic(items.to(at::kFloat), nn::EfficientNetLite0::kSide);
    return ((pixels - 127) / 128).expand({-1, 3, -1, -1});
  }
  std::unique_ptr<nn::EfficientNetLite0> network_;
  at::Device device_;
  std::string digest_;
};

}  // namespace

std::string efficientnet_digest(const std::string& file) { return sha256_of_file(weights_path(file)); }
std::string efficientnet_resize_mode() { return bicubic_mode(nn::EfficientNetLite0::kSide); }

std::unique_ptr<FeatureNetwork> make_efficientnet_features(const std::string& file, const io::Space& space, at::Device device) {
  if (space.type != "image" || (space.shape[0] != 1 && space.shape[0] != 3)) {
    throw Error(Exit::kUsage, "--features", "efficientnet-lite0 takes images of 1 or 3 channels, the items are " + space.text(),
                "classifier:FILE.h5, torchscript:FILE.pt or raw");
  }
  return std::make_unique<EfficientNetFeatures>(weights_path(file), device);
}

}  // namespace plumb::metrics
