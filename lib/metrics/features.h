// Feature networks: items -> [N,D] float32 features (and class probabilities where the network has them).   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

#include "io/artefact.h"

namespace plumb::metrics {

using at::Tensor;

struct FeatureBatch {
  Tensor features;        // [B,D] float32
  Tensor probabilities;   // [B,K] or undefined
};

/// "raw" (the stored items, flattened, [0,1]), "classifier:FILE.h5" (penultimate layer; the shipped one by default for 28x28 grey
/// images), "torchscript:FILE.pt" (the published FID Inception file is one).
class FeatureNetwork {
 public:
  virtual ~FeatureNetwork() = default;
  virtual FeatureBatch extract(const Tensor& items) = 0;   // stored type [B,*shape]
  virtual int64_t dimension() const = 0;
  virtual std::string digest() const = 0;                  // sha256 of the weights; "raw" has none
  virtual std::string name() const = 0;
  virtual std::string resize_mode() const { return "none"; }
};
/// "default": the shipped classifier if the space is image [1,28,28], else Error(kUsage) saying what to pass.
std::unique_ptr<FeatureNetwork> make_feature_network(const std::string& spec, const io::Space& space, at::Device device);

struct Features {
  Tensor features;        // [N,D] float32
  Tensor probabilities;   // [N,K] or undefined
  Tensor label;           // [N] or undefined
  std::string extractor, digest, resize_mode;
};
/// Streams the items of a samples or dataset artefact through the network. limit 0 = all.
Features extract_features(const io::Manifest& items, FeatureNetwork& network, int64_t batch_size, int64_t limit = 0);

}  // namespace plumb::metrics
