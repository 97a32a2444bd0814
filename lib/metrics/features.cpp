// SPDX-License-Identifier: Apache-2.0
#include "metrics/features.h"

#include <algorithm>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/sha256.h"
#include "core/text.h"
#include "metrics/efficientnet_features.h"
#include "nn/data.h"
#include "nn/torchscript.h"
#include "rewards/network_reward.h"

namespace plumb::metrics {
namespace {

/// sha256 of inception-2015-12-05.pt, the TorchScript file of the network that published FID values are made with.
const char* const kFidInception = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4";

std::string file_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

std::string classifier_name(const std::string& path) { return "classifier:" + file_name(path); }

/// The stored items, flattened: pixels over 255, sequences one-hot, vectors and latents as they are.
class RawFeatures : public FeatureNetwork {
 public:
  explicit RawFeatures(io::Space space) : space_(std::move(space)) {}
  FeatureBatch extract(const Tensor& items) override {
    const int64_t n = items.size(0);
    if (space_.type == "sequence") {
      return {at::one_hot(items.to(at::kLong), letters()).view({n, -1}).to(at::kFloat), {}};
    }
    const Tensor flat = items.reshape({n, -1}).to(at::kFloat);
    return {space_.stored_as_bytes() ? flat / 255 : flat, {}};
  }
  int64_t dimension() const override { return space_.numel() * (space_.type == "sequence" ? letters() : 1); }
  std::string digest() const override { return ""; }
  std::string name() const override { return "raw"; }

 private:
  int64_t letters() const { return static_cast<int64_t>(space_.alphabet.size()); }
  io::Space space_;
};

/// What the last layer of a classifier or learned reward of ours sees.
class PredictorFeatures : public FeatureNetwork {
 public:
  PredictorFeatures(const std::string& path, const io::Space& space, at::Device device)
      : network_(rewards::load_reward_network(io::Manifest::read(path), device)), name_(classifier_name(path)) {
    if (network_.space == space) return;
    throw Error(Exit::kBadInput, path, "is a network for " + network_.space.text() + ", the items are " + space.text());
  }
  FeatureBatch extract(const Tensor& items) override {
    const bool parallel = network_.device.is_cpu() && network_.predictor->config().at("type") != "torchscript";  // may share state
    return extract_in_pieces(items, 32, parallel, [&](const Tensor& piece) -> FeatureBatch {
      const Tensor x = network_.predictor->features(network_.codec->encode(piece).to(network_.device));
      if (!is_classifier()) return {x.to(at::kCPU), {}};
      return {x.to(at::kCPU), (network_.predictor->head(x) / network_.temperature).softmax(1).to(at::kCPU)};
    });
  }
  int64_t dimension() const override { return network_.predictor->feature_dimension(); }
  std::string digest() const override { return network_.sha256; }
  std::string name() const override { return name_; }

 private:
  bool is_classifier() const { return network_.type == "classifier"; }
  rewards::RewardNetwork network_;
  std::string name_;
};

/// The text after "torchscript:", FILE.pt[,KEY=VALUE]... The published FID Inception file sets its own defaults.
struct ScriptSpec {
  std::string path, digest;
  int64_t size = 0;            // pixels a side; 0: as stored
  int64_t channels = 0;        // 3: grey is repeated; 0: as stored
  std::string range = "1";     // "255": [0,255], "1": [0,1], "-1": [-1,1]
  bool probabilities = false;  // a second pass for class probabilities

  explicit ScriptSpec(const std::string& text) {
    const std::vector<std::string> parts = split(text, ',');
    path = parts.empty() ? "" : parts[0];
    if (path.empty()) throw Error(Exit::kUsage, "torchscript:", "names no file", "torchscript:FILE.pt");
    digest = sha256_of_file(path);
    if (digest == kFidInception) {
      size = 299;
      channels = 3;
      range = "255";
    } else if (file_name(path).find("inception") != std::string::npos) {
      log::warn(path, " is not the published FID Inception file (sha256 ", kFidInception, "): do not compare its distances with published FID");
    }
    for (size_t i = 1; i < parts.size(); ++i) {
      const size_t equals = parts[i].find('=');
      const std::string key = parts[i].substr(0, equals), value = equals == std::string::npos ? "" : parts[i].substr(equals + 1);
      if (key == "size") {
        size = parse_int(value, "torchscript: size");
      } else if (key == "channels") {
        channels = parse_int(value, "torchscript: channels");
      } else if (key == "range" && (value == "255" || value == "1" || value == "-1")) {
        range = value;
      } else if (key == "probabilities" && (value == "1" || value == "0")) {
        probabilities = value == "1";
      } else {
        throw Error(Exit::kUsage, "torchscript:", "'" + parts[i] + "' is not understood",
                    "size=PIXELS, channels=3, range=255|1|-1, probabilities=1");
      }
    }
    if (size < 0 || (channels != 0 && channels != 3)) {
      throw Error(Exit::kUsage, "torchscript:", cat("size=", size, ",channels=", channels), "size at least 1, channels 3");
    }
  }
  std::string name() const { return digest == kFidInception ? "fid-inception" : "torchscript:" + file_name(path); }
  std::string resize_mode() const { return size ? bicubic_mode(size) : "none"; }
  std::string input_mode(const io::Space& space) const {
    return space.type == "image" ? cat("range ", range, channels ? cat(", ", channels, " channels") : std::string()) : "";
  }
};

/// A user's TorchScript module. Images: scaled to the range it wants, grey repeated, resized.
class ScriptFeatures : public FeatureNetwork {
 public:
  ScriptFeatures(ScriptSpec spec, const io::Space& space, at::Device device)
      : spec_(std::move(spec)), space_(space), function_(spec_.path, input_shape(), nn::TorchScriptFunction::Output::kFeatures, device) {
    if (spec_.probabilities && !function_.gives_probabilities()) {
      throw Error(Exit::kUsage, "torchscript:", spec_.path + " has no argument return_features, so no second output",
                  "leave out probabilities=1");
    }
  }
  FeatureBatch extract(const Tensor& items) override {
    const Tensor x = input(items);
    return {function_(x), spec_.probabilities ? function_.probabilities(x) : Tensor()};
  }
  int64_t dimension() const override { return function_.dimension(); }
  std::string digest() const override { return function_.digest(); }
  std::string name() const override { return spec_.name(); }
  std::string resize_mode() const override { return spec_.resize_mode(); }
  std::string input_mode() const override { return spec_.input_mode(space_); }

 private:
  std::vector<int64_t> input_shape() const {
    if (space_.type != "image") {
      if (spec_.size || spec_.channels) {
        throw Error(Exit::kUsage, "torchscript:", "size and channels are for images, the items are " + space_.text());
      }
      return space_.shape;
    }
    std::vector<int64_t> shape = space_.shape;
    if (spec_.channels && shape[0] != 1 && shape[0] != spec_.channels) {
      throw Error(Exit::kBadInput, spec_.path, cat("needs ", spec_.channels, " channels, the items are ", space_.text()));
    }
    if (spec_.channels) shape[0] = spec_.channels;
    if (spec_.size) shape[1] = shape[2] = spec_.size;
    return shape;
  }
  Tensor input(const Tensor& items) const {
    Tensor x = items.to(at::kFloat);
    if (space_.type != "image") return x;
    if (spec_.size) x = resize_bicubic(x, spec_.size);
    if (spec_.channels) x = x.expand({-1, spec_.channels, -1, -1});
    return spec_.range == "255" ? x : spec_.range == "1" ? x / 255 : x / 127.5 - 1;
  }
  ScriptSpec spec_;
  io::Space space_;
  nn::TorchScriptFunction function_;
};

Error not_understood(const std::string& spec) {
  return Error(Exit::kUsage, "--features", "'" + spec + "' is not understood",
               "default, raw, efficientnet-lite0, classifier:FILE.h5 or torchscript:FILE.pt");
}

bool is_raw(const std::string& spec, const io::Space& space) { return spec == "raw" || (spec == "default" && space.type == "sequence"); }

std::string shipped_classifier(const io::Space& space) {
  if (space.type != "image" || space.shape != std::vector<int64_t>{1, 28, 28}) {
    throw Error(Exit::kUsage, "--features", "there is no default network for " + space.text(),
                "classifier:FILE.h5, torchscript:FILE.pt, efficientnet-lite0 (images) or raw");
  }
  const std::string path = rewards::shipped_classifier_path();
  if (path.empty()) {
    throw Error(Exit::kBadInput, "share/models/fashion-mnist-classifier.h5", "is not there",
                "make -f share/make/models.mk, or choose --features");
  }
  return path;
}

/// The classes that a reward manifest names; none of a regressor.
std::vector<std::string> class_names(const io::Manifest& manifest) {
  std::vector<std::string> names;
  const io::Json reward = manifest.json().value("reward", io::Json::object());
  if (!reward.is_object() || !reward.contains("classes") || !reward.at("classes").is_array()) return names;
  for (const io::Json& name : reward.at("classes")) names.push_back(name.is_string() ? name.get<std::string>() : name.dump());
  return names;
}

}  // namespace

std::unique_ptr<FeatureNetwork> make_feature_network(const std::string& spec, const io::Space& space, at::Device device) {
  const size_t colon = spec.find(':');
  const std::string type = spec.substr(0, colon), argument = colon == std::string::npos ? "" : spec.substr(colon + 1);
  if (is_raw(spec, space)) return std::make_unique<RawFeatures>(space);
  if (spec == "default") return std::make_unique<PredictorFeatures>(shipped_classifier(space), space, device);
  if (type == "classifier" && !argument.empty()) return std::make_unique<PredictorFeatures>(argument, space, device);
  if (type == "torchscript") return std::make_unique<ScriptFeatures>(ScriptSpec(argument), space, device);
  if (type == kEfficientNetLite0 && (colon == std::string::npos || !argument.empty())) {
    return make_efficientnet_features(argument, space, device);
  }
  throw not_understood(spec);
}

NetworkIdentity identify_feature_network(const std::string& spec, const io::Space& space) {
  const size_t colon = spec.find(':');
  const std::string type = spec.substr(0, colon), argument = colon == std::string::npos ? "" : spec.substr(colon + 1);
  if (is_raw(spec, space)) return {"raw", "", "none", "", false, {}};
  if (type == "torchscript") {
    const ScriptSpec script(argument);
    return {script.name(), script.digest, script.resize_mode(), script.input_mode(space), script.probabilities, {}};
  }
  if (type == kEfficientNetLite0) return {kEfficientNetLite0, efficientnet_digest(argument), efficientnet_resize_mode(), "", false, {}};
  if (spec != "default" && (type != "classifier" || argument.empty())) throw not_understood(spec);
  const std::string path = spec == "default" ? shipped_classifier(space) : argument;
  const io::Manifest manifest = io::Manifest::read(path);
  return {classifier_name(path), manifest.sha256(), "none", "", false, class_names(manifest)};
}

FeatureBatch extract_in_pieces(const Tensor& items, int64_t size, bool parallel, const std::function<FeatureBatch(const Tensor&)>& f) {
  const std::vector<Tensor> pieces = items.split(size);
  std::vector<Tensor> features(pieces.size()), probabilities(pieces.size());
  const auto work = [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      const FeatureBatch batch = f(pieces[i]);
      features[i] = batch.features;
      probabilities[i] = batch.probabilities;
    }
  };
  const auto count = static_cast<int64_t>(pieces.size());
  if (parallel) {
    at::parallel_for(0, count, 1, work);
  } else {
    work(0, count);
  }
  return {at::cat(features), probabilities[0].defined() ? at::cat(probabilities) : Tensor()};
}

Tensor resize_bicubic(const Tensor& pictures, int64_t side) {
  return at::_upsample_bicubic2d_aa(pictures, at::IntArrayRef{side, side}, false).clamp_(0, 255);
}

std::string bicubic_mode(int64_t side) { return cat("bicubic antialiased, ", side, "x", side); }

Features extract_features(const io::Manifest& items, FeatureNetwork& network, int64_t batch_size, int64_t limit) {
  const io::H5Reader file = io::open_artefact(items);
  const std::string dataset = items.space().dataset();
  const int64_t count = file.info(dataset).shape.at(0);
  const int64_t n = limit > 0 ? std::min(limit, count) : count;
  if (n == 0) throw Error(Exit::kBadInput, items.label(), "holds no items");
  Features out;
  out.extractor = network.name();
  out.digest = network.digest();
  out.resize_mode = network.resize_mode();
  out.input_mode = network.input_mode();
  const at::NoGradGuard no_grad;
  Progress progress("features", n);
  for (int64_t first = 0; first < n; first += batch_size) {
    const int64_t rows = std::min(batch_size, n - first);
    const FeatureBatch batch = network.extract(nn::read_rows(file, dataset, first, rows));
    const auto keep = [&](Tensor& whole, const Tensor& part) {
      if (!whole.defined()) whole = at::empty({n, part.size(1)}, at::kFloat);
      whole.slice(0, first, first + rows).copy_(part);
    };
    keep(out.features, batch.features);
    if (batch.probabilities.defined()) keep(out.probabilities, batch.probabilities);
    progress.update(first + rows);
  }
  if (!out.features.isfinite().all().item<bool>()) {
    throw Error(Exit::kBadNumbers, items.label(), "the feature network gives NaN or infinite numbers", "look at the items and " + network.name());
  }
  if (file.has("label")) out.label = nn::read_rows(file, "label", 0, n);
  return out;
}

}  // namespace plumb::metrics
