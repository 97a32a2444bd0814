// SPDX-License-Identifier: Apache-2.0
#include "rewards/ensemble.h"

#include <cmath>
#include <numeric>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/philox.h"
#include "nn/denoiser.h"

namespace plumb::rewards {
namespace {

constexpr double kSmallestVariance = 1e-24;
constexpr double kPriorGain = 1.7;   // of weights: keeps the size of a ReLU network's activations from layer to layer

}  // namespace

Tensor penalised(const Tensor& members, const Penalty& penalty) {
  if (penalty.kind == "min") return members.amin(0);
  if (penalty.kind == "softmin") return ((members / -penalty.tau).softmax(0) * members).sum(0);
  if (penalty.kind != "mean-std") throw Error(Exit::kUsage, "penalty", "unknown value '" + penalty.kind + "'", "use min, mean-std or softmin");
  const Tensor mean = members.mean(0);
  const Tensor variance = (members - mean).square().sum(0) / static_cast<double>(members.size(0) - 1);
  return mean - penalty.kappa * variance.clamp_min(kSmallestVariance).sqrt();
}

std::vector<int64_t> resample(const std::vector<int64_t>& rows, uint64_t seed, int64_t member) {
  Philox random(seed, Stream::kEnsemble, static_cast<uint64_t>(member));
  std::vector<int64_t> drawn;
  for (size_t i = 0; i < rows.size(); ++i) drawn.push_back(rows[random.below(rows.size())]);
  return drawn;
}

uint64_t member_seed(uint64_t seed, int64_t member) {
  Philox random(seed, Stream::kEnsemble, static_cast<uint64_t>(member), 1);
  const uint64_t high = random.next();
  return (high << 32) | random.next();
}

PriorPredictor::PriorPredictor(std::unique_ptr<nn::Predictor> trained, std::unique_ptr<nn::Predictor> prior, double scale)
    : trained_(std::move(trained)), prior_(std::move(prior)), scale_(scale) {
  register_module("trained", *trained_);
  prior_->set_requires_grad(false);
  prior_->train(false);
  auto keep = [this](const std::string& name, Tensor& tensor) { register_buffer("prior." + name, tensor); };
  prior_->each_parameter(keep);
  prior_->each_buffer(keep);
}

Tensor PriorPredictor::features(const Tensor& x) { return at::cat({trained_->features(x), prior_->features(x)}, 1); }

Tensor PriorPredictor::head(const Tensor& features) {
  const int64_t first = trained_->feature_dimension();
  return trained_->head(features.narrow(1, 0, first)) + scale_ * prior_->head(features.narrow(1, first, prior_->feature_dimension()));
}

void draw_prior(nn::Predictor& prior, uint64_t seed, int64_t member) {
  nn::initialise(prior, seed);
  uint64_t index = 0;
  double bound = 0;   // of the bias that follows a weight; 0: it belongs to a normalisation
  prior.each_parameter([&](const std::string& name, Tensor& parameter) {
    const bool matrix = parameter.dim() >= 2, bias = name.ends_with("bias");
    if (!bias) bound = matrix ? 1 / std::sqrt(static_cast<double>(parameter.numel() / parameter.size(0))) : 0;
    Philox random(seed, Stream::kPriorNetwork, index++, static_cast<uint32_t>(member));
    if (bound == 0) return;
    const at::NoGradGuard no_grad;
    Tensor values = at::empty(parameter.sizes(), at::kFloat);
    float* out = values.mutable_data_ptr<float>();
    const double size = bound * (matrix ? kPriorGain : 1);
    for (int64_t i = 0; i < values.numel(); ++i) out[i] = static_cast<float>((2 * random.uniform() - 1) * size);
    parameter.copy_(values);
  });
}

std::unique_ptr<nn::Predictor> make_member(const io::Json& config, const std::string& where, double prior_scale, uint64_t seed, int64_t member) {
  auto network = nn::make_predictor(config, where);
  nn::initialise(*network, member_seed(seed, member));
  if (prior_scale == 0) return network;
  auto prior = nn::make_predictor(config, where);
  draw_prior(*prior, seed, member);
  return std::make_unique<PriorPredictor>(std::move(network), std::move(prior), prior_scale);
}

EnsemblePredictor::EnsemblePredictor(std::vector<std::unique_ptr<nn::Predictor>> members) : members_(std::move(members)) {
  for (size_t k = 0; k < members_.size(); ++k) register_module(std::to_string(k), *members_[k]);
}

Tensor EnsemblePredictor::members(const Tensor& x) {
  std::vector<Tensor> outputs;
  for (const auto& member : members_) outputs.push_back(member->forward(x).squeeze(1));
  return at::stack(outputs);
}

Tensor EnsemblePredictor::features(const Tensor& x) {
  std::vector<Tensor> parts;
  for (const auto& member : members_) parts.push_back(member->features(x));
  return at::cat(parts, 1);
}

Tensor EnsemblePredictor::head(const Tensor& features) {
  std::vector<Tensor> outputs;
  int64_t first = 0;
  for (const auto& member : members_) {
    outputs.push_back(member->head(features.narrow(1, first, member->feature_dimension())));
    first += member->feature_dimension();
  }
  return at::stack(outputs).mean(0);
}

int64_t EnsemblePredictor::feature_dimension() const {
  return std::accumulate(members_.begin(), members_.end(), int64_t{0}, [](int64_t sum, const auto& m) { return sum + m->feature_dimension(); });
}

}  // namespace plumb::rewards
