// Bootstrap ensembles of reward networks: resamples, frozen priors, penalties.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "nn/predictor.h"

namespace plumb::rewards {

using at::Tensor;

/// How M predictions become one that is on the safe side.
struct Penalty {
  std::string kind = "mean-std";   ///< min; mean-std: mean - kappa std, std with M - 1; softmin: weights softmax(-f / tau)
  double kappa = 1;
  double tau = 0.1;                ///< in the units of the predictions
};

/// members [M,B] -> [B], differentiable; at most the mean (for kappa >= 0). A std of 0 has gradient 0 (the variance is clamped at 1e-24).
/// Source: Uehara et al. 2024, "Bridging model-based optimization and generative modeling via conservative fine-tuning of diffusion
/// models", bootstrap variant (min); An et al. 2021, "Uncertainty-based offline reinforcement learning with diversified Q-ensemble", which
/// compares min with mean - kappa std. softmin lies between min (tau to 0) and the mean.
Tensor penalised(const Tensor& members, const Penalty& penalty);

/// As many rows as there are, drawn with replacement by (seed, kEnsemble, member).
std::vector<int64_t> resample(const std::vector<int64_t>& rows, uint64_t seed, int64_t member);
/// The seed of a member's weights, order and augmentation.
uint64_t member_seed(uint64_t seed, int64_t member);

/// f = trained + scale * prior, prior frozen and of the same shape: members disagree where there are no data, since only `trained` can
/// undo its prior there. The prior's state is in buffers, "prior.*", so that an optimiser does not see it; "trained.*" are parameters.
/// Source: Osband et al. 2018, "Randomized prior functions for deep reinforcement learning".
class PriorPredictor : public nn::Predictor {
 public:
  PriorPredictor(std::unique_ptr<nn::Predictor> trained, std::unique_ptr<nn::Predictor> prior, double scale);
  Tensor features(const Tensor& x) override;          ///< those of trained, then those of prior
  Tensor head(const Tensor& features) override;
  int64_t feature_dimension() const override { return trained_->feature_dimension() + prior_->feature_dimension(); }
  int64_t outputs() const override { return trained_->outputs(); }
  io::Json config() const override { return trained_->config(); }

 private:
  std::unique_ptr<nn::Predictor> trained_, prior_;
  double scale_;
};

/// Draws a prior network: each weight of two or more dimensions U(+-1/sqrt(fan-in)) * 1.7, the bias after it U(+-1/sqrt(fan-in)); other
/// parameters (of normalisations) stay. Parameter i uses the draws of (seed, kPriorNetwork, i, member).
void draw_prior(nn::Predictor& prior, uint64_t seed, int64_t member);

/// A network of `config` for one member, with a prior if prior_scale > 0; its weights are drawn anew.
std::unique_ptr<nn::Predictor> make_member(const io::Json& config, const std::string& where, double prior_scale, uint64_t seed, int64_t member);

/// The mean of M networks as one.
class EnsemblePredictor : public nn::Predictor {
 public:
  explicit EnsemblePredictor(std::vector<std::unique_ptr<nn::Predictor>> members);
  Tensor members(const Tensor& x);                    ///< [M,B]
  Tensor features(const Tensor& x) override;          ///< of all members, one after the other
  Tensor head(const Tensor& features) override;       ///< the mean of the members' [B,1]
  Tensor forward(const Tensor& x) override { return members(x).mean(0).unsqueeze(1); }
  int64_t feature_dimension() const override;
  int64_t outputs() const override { return 1; }
  io::Json config() const override { return members_.front()->config(); }
  size_t size() const { return members_.size(); }
  nn::Predictor& member(size_t k) { return *members_[k]; }

 private:
  std::vector<std::unique_ptr<nn::Predictor>> members_;
};

}  // namespace plumb::rewards
