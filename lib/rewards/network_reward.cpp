// SPDX-License-Identifier: Apache-2.0
#include "rewards/network_reward.h"

#include <cmath>

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
  return outputs * network.target_std + network.target_mean;
}

/// x0 as the network knows its items: pictures in their range, letters nearly one-hot in {-1,+1}.
Tensor as_items(const Tensor& x0, const io::Space& space) {
  if (space.type == "image") return x0.clamp(-1.0, 1.0);
  if (space.type == "sequence") return letter_probabilities(x0) * 2.0 - 1.0;
  return x0;
}

}  // namespace

Tensor RewardNetwork::outputs(const Tensor& items) const {
  const std::vector<Tensor> pieces = items.split(kPiece);
  std::vector<Tensor> parts(pieces.size());
  auto work = [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      parts[i] = predictor->forward(codec->encode(pieces[i]).to(device)).to(at::kCPU, at::kDouble);
    }
  };
  const bool by_pieces = device.is_cpu() && predictor->config().at("type") != "torchscript";  // a script may share state
  if (by_pieces) {
    at::parallel_for(0, static_cast<int64_t>(pieces.size()), 1, work);
  } else {
    work(0, static_cast<int64_t>(pieces.size()));
  }
  return interpreted(*this, at::cat(parts));
}

Tensor RewardNetwork::outputs_differentiable(const Tensor& x0) const {
  return interpreted(*this, predictor->forward(as_items(x0.to(device, at::kFloat), space)));
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
    if (network.type == "classifier") {
      network.classes = json.at("classes").get<std::vector<std::string>>();
      network.temperature = json.at("temperature").get<double>();
    } else if (network.type == "regressor") {
      network.target_mean = json.at("target").at("mean").get<double>();
      network.target_std = json.at("target").at("std").get<double>();
    } else {
      throw Error(Exit::kBadInput, where, "its reward type '" + network.type + "' is not known to this version");
    }
    const io::H5Reader file = io::open_artefact(manifest);
    network.predictor = nn::read_predictor(file, json.at("network"));
  } catch (const io::Json::exception&) {
    throw Error(Exit::kBadInput, where, "its manifest's \"reward\" is not understood", "make it anew with reward-train");
  }
  const int64_t wanted = network.type == "classifier" ? static_cast<int64_t>(network.classes.size()) : 1;
  const bool finite = std::isfinite(network.target_mean) && std::isfinite(network.target_std);
  if (network.predictor->outputs() != wanted || wanted < 1 || !(network.temperature > 0) || !finite) {
    throw Error(Exit::kBadInput, where, cat("its network has ", network.predictor->outputs(), " outputs, its manifest speaks of ", wanted));
  }
  network.space = manifest.space();
  network.codec = nn::make_codec(network.space, where);
  network.sha256 = manifest.sha256();
  network.device = device;
  network.predictor->to(device);
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
  if (network.type != type) {
    throw Error(Exit::kBadInput, path, "is a " + network.type + ", " + subject + " needs a " + type,
                network.type == "classifier" ? "use class-logp, class-prob or class-entropy" : "use learned");
  }
  if (!(network.space == spec.space)) {
    throw Error(Exit::kBadInput, path, "was trained on " + network.space.text() + ", the items are " + spec.space.text());
  }
  return network;
}

}  // namespace plumb::rewards
