// Features of an ImageNet classifier whose weights can be had.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "metrics/features.h"

namespace plumb::metrics {

/// The network's name in specs and results. A Fréchet distance on it is called FD-EffNetLite0, never FID.
inline const char* const kEfficientNetLite0 = "efficientnet-lite0";

/// EfficientNet-Lite0 (nn/efficientnet_lite.h): features [B,1280], the mean over pixels of its last convolution, and probabilities
/// [B,1000] of the ImageNet classes. Grey is repeated, images are resized to 224x224, pixels u become (u - 127) / 128.
/// `file`: the weights; "" = $PLUMB_EFFICIENTNET_LITE0, else models/efficientnet-lite0.safetensors of share/.
/// Throws Error(kUsage) for items that are not images of 1 or 3 channels; Error(kBadInput) if there are no weights, naming the
/// script that fetches them, or they do not fit.
std::unique_ptr<FeatureNetwork> make_efficientnet_features(const std::string& file, const io::Space& space, at::Device device);
/// What it would say of itself; the weights are looked for as above.
std::string efficientnet_digest(const std::string& file);
std::string efficientnet_resize_mode();

}  // namespace plumb::metrics
