// Feature networks: items -> [N,D] float32 features (and class probabilities where the network has them).   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "io/artefact.h"

namespace plumb::metrics {

using at::Tensor;

struct FeatureBatch {
  Tensor features;        // [B,D] float32
  Tensor probabilities;   // [B,K] or undefined
};

/// A network, or none, that turns items into vectors. Specs:
/// - default: the shipped classifier, for images [1,28,28]; raw for sequences;
/// - raw: the stored items, flattened (pixels over 255, sequences one-hot);
/// - efficientnet-lite0[:FILE.safetensors]: an ImageNet classifier, for images of 1 or 3 channels, with its class probabilities;
///   without FILE the weights are $PLUMB_EFFICIENTNET_LITE0 or what share/tools/efficientnet-lite0.py put into share/models;
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
  virtual std::string input_mode() const { return ""; }    // what else a spec says about the input: "range 255, 3 channels"
};
/// Throws Error(kUsage) for a spec that is not understood, or of a network that is not for such items; Error(kBadInput) for a file
/// that is not there or does not fit the items.
std::unique_ptr<FeatureNetwork> make_feature_network(const std::string& spec, const io::Space& space, at::Device device);

/// What a network says of itself, told without loading it: the digest is that of its file as it is now. Throws as above.
struct NetworkIdentity {
  std::string name, digest, resize_mode = "none", input_mode;
  bool probabilities = false;   ///< the spec asks for class probabilities; a classifier gives them unasked
  std::vector<std::string> classes = {};   ///< of a classifier of ours, their names
};
NetworkIdentity identify_feature_network(const std::string& spec, const io::Space& space);

/// f(items) in pieces of `size`, joined, so that the batch size, in multiples of `size`, changes no digit. `parallel`: each piece on
/// one thread. Without gradient.
FeatureBatch extract_in_pieces(const Tensor& items, int64_t size, bool parallel, const std::function<FeatureBatch(const Tensor&)>& f);
/// Pictures [B,C,H,W] float32, pixels of 0 to 255, at side x side: bicubic, antialiased, on floats, clamped to [0,255] after it (what
/// clean-fid does with Pillow; ATen's filter is within 0.004 of it). bicubic_mode(side) is its name in results.
Tensor resize_bicubic(const Tensor& pictures, int64_t side);
std::string bicubic_mode(int64_t side);

struct Features {
  Tensor features;        // [N,D] float32
  Tensor probabilities;   // [N,K] or undefined
  Tensor label;           // [N] or undefined
  std::string extractor, digest, resize_mode;
  std::string input_mode = {};
};
/// Streams the items of a samples or dataset artefact through the network. limit 0 = all, else the first `limit`.
/// Throws Error(kBadNumbers) if a feature is not finite.
Features extract_features(const io::Manifest& items, FeatureNetwork& network, int64_t batch_size, int64_t limit = 0);

}  // namespace plumb::metrics
