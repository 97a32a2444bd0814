// SPDX-License-Identifier: Apache-2.0
#include "rewards/network_reward.h"

#include <cmath>
#include <functional>
#include <numeric>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/error.h"
#include "core/share.h"
#include "core/text.h"
#include "rewards/sequence_reward.h"

namespace plumb::rewards {
namespace {

constexpr int64_t kPiece = 32;

/// What the outputs of `network` mean, applied: [B,K].
Tensor interpreted(const RewardNetwork& network, const Tensor& outputs) {
  if (network.type == "classifier") return outputs / network.temperature;
  return outputs * network.target.std + network.target.mean;
}

/// x0 as the network knows its items: pictures in their range, letters nearly one-hot in {-1,+1}.
Tensor as_items(const Tensor& x0, const io::Space& space) {
  if (space.type == "image") return x0.clamp(-1.0, 1.0);
  if (space.type == "sequence") return letter_probabilities(x0) * 2.0 - 1.0;
  return x0;
}

/// f(model-space piece [b,*]) -> [b,K], of all stored items [B,*]: [B,K] float64 on the CPU, without gradient.
Tensor by_pieces(const RewardNetwork& network, const Tensor& items, const std::function<Tensor(const Tensor&)>& f) {
  const std::vector<Tensor> pieces = items.split(kPiece);
  std::vector<Tensor> parts(pieces.size());
  auto work = [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      parts[i] = f(network.codec->encode(pieces[i]).to(network.device)).to(at::kCPU, at::kDouble);
    }
  };
  const auto count = static_cast<int64_t>(pieces.size());
  const bool in_parallel = network.device.is_cpu() && network.predictor->config().at("type") != "torchscript";  // a script may share state
  if (in_parallel) at::parallel_for(0, count, 1, work);
  else work(0, count);
  return at::cat(parts);
}

}  // namespace

Tensor RewardNetwork::outputs(const Tensor& items) const {
  return interpreted(*this, by_pieces(*this, items, [this](const Tensor& x) { return predictor->forward(x); }));
}

Tensor RewardNetwork::outputs_differentiable(const Tensor& x0) const {
  const Tensor x = x0.to(device, at::kFloat);
  return interpreted(*this, predictor->forward(noised ? x : as_items(x, space)));
}

Estimate RewardNetwork::estimates(const Tensor& items) const {
  const Tensor both = by_pieces(*this, items, [this](const Tensor& x) {
    const Estimate estimate = uncertainty.estimate(*predictor, x, target);
    return at::stack({estimate.mean, estimate.uncertainty}, 1);
  });
  return {both.select(1, 0), both.select(1, 1)};
}

Estimate RewardNetwork::estimates_differentiable(const Tensor& x0) const {
  return uncertainty.estimate(*predictor, as_items(x0.to(device, at::kFloat), space), target);
}

RewardNetwork load_reward_network(const io::Manifest& manifest, at::Device device) {
  const std::string where = manifest.label();
  if (manifest.kind() != "reward" || !manifest.json().contains("reward")) {
    throw Error(Exit::kBadInput, where, "is no reward artefact", "make one with reward-train");
  }
  RewardNetwork network;
  try {
    const io::Json& json = manifest.json().at("reward");
    network.type = json.at("type").get<std::string>();
    network.noised = json.contains("noised");
    if (network.type == "classifier") {
      network.classes = json.at("classes").get<std::vector<std::string>>();
      network.temperature = json.at("temperature").get<double>();
    } else if (network.type == "regressor" || network.type == "preference") {
      network.target.mean = json.at("target").at("mean").get<double>();
      network.target.std = json.at("target").at("std").get<double>();
      if (json.contains("uncertainty")) network.uncertainty = UncertaintyModel::from_json(json.at("uncertainty"));
    } else {
      throw Error(Exit::kBadInput, where, "its reward type '" + network.type + "' is not known to this version");
    }
    const io::H5Reader file = io::open_artefact(manifest);
    network.space = manifest.space();
    network.codec = nn::make_codec(network.space, where);
    const std::vector<int64_t> shape = network.codec->model_shape();
    const int64_t numel = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
    network.predictor = read_reward(file, json.at("network"), network.uncertainty, numel);
  } catch (const io::Json::exception&) {
    throw Error(Exit::kBadInput, where, "its manifest's \"reward\" is not understood", "make it anew with reward-train");
  }
  const int64_t wanted = network.type == "classifier" ? static_cast<int64_t>(network.classes.size()) : 1;
  const bool finite = std::isfinite(network.target.mean) && std::isfinite(network.target.std);
  if (network.predictor->outputs() != wanted || wanted < 1 || !(network.temperature > 0) || !finite) {
    throw Error(Exit::kBadInput, where, cat("its network has ", network.predictor->outputs(), " outputs, its manifest speaks of ", wanted));
  }
  network.sha256 = manifest.sha256();
  network.device = device;
  network.predictor->to(device);
  if (network.uncertainty.factor.defined()) network.uncertainty.factor = network.uncertainty.factor.to(device);
  return network;
}

std::string shipped_classifier_path() { return share_path("models/fashion-mnist-classifier.h5"); }

RewardNetwork load_reward_network(const std::string& file, const RewardSpec& spec, const std::string& type) {
  const std::string subject = "reward '" + spec.name + "'";
  std::string path = file;
  if (path.empty()) {
    path = spec.space == io::Space{"image", {1, 28, 28}, ""} ? shipped_classifier_path() : "";
    if (path.empty()) throw Error(Exit::kUsage, subject, "needs a reward artefact", spec.name + ":FILE.h5, made by reward-train");
  }
  RewardNetwork network = load_reward_network(io::Manifest::read(path), spec.device);
  const bool fits = network.type == type || (network.type == "preference" && type == "regressor");  // both give a number
  if (!fits) {
    throw Error(Exit::kBadInput, path, "is a " + network.type + ", " + subject + " needs a " + type,
                network.type == "classifier" ? "use class-logp, class-prob or class-entropy" : "use learned");
  }
  if (!(network.space == spec.space)) {
    throw Error(Exit::kBadInput, path, "was trained on " + network.space.text() + ", the items are " + spec.space.text());
  }
  return network;
}

}  // namespace plumb::rewards
