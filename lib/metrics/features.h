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

/// A network, or none, that turns items into vectors. Specs:
/// - default: the shipped classifier, for images [1,28,28];
/// - raw: the stored items, flattened (pixels over 255, sequences one-hot);
/// - classifier:FILE.h5: what the last layer of a network of reward-train sees; class probabilities if it is a classifier;
/// - torchscript:FILE.pt[,size=PIXELS][,channels=3][,range=255|1|-1][,probabilities=1]: a module forward(x) -> [B,D].
///   The published FID Inception file (inception-2015-12-05.pt) is known by its digest and needs no keys.
class FeatureNetwork {
 public:
  virtual ~FeatureNetwork() = default;
  virtual FeatureBatch extract(const Tensor& items) = 0;   // stored type [B,*shape]
  virtual int64_t dimension() const = 0;
  virtual std::string digest() const = 0;                  // sha256 of the file; "" for raw
  virtual std::string name() const = 0;
  virtual std::string resize_mode() const { return "none"; }
};
/// Throws Error(kUsage) for a spec that is not understood or a "default" that there is not; Error(kBadInput) for a file that
/// does not fit the items.
std::unique_ptr<FeatureNetwork> make_feature_network(const std::string& spec, const io::Space& space, at::Device device);

struct Features {
  Tensor features;        // [N,D] float32
  Tensor probabilities;   // [N,K] or undefined
  Tensor label;           // [N] or undefined
  std::string extractor, digest, resize_mode;
};
/// Streams the items of a samples or dataset artefact through the network. limit 0 = all, else the first `limit`.
/// Throws Error(kBadNumbers) if a feature is not finite.
Features extract_features(const io::Manifest& items, FeatureNetwork& network, int64_t batch_size, int64_t limit = 0);

}  // namespace plumb::metrics
