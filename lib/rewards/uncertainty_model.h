// A learned reward together with how far it may be off.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "io/artefact.h"
#include "nn/predictor.h"
#include "rewards/uncertainty_options.h"

namespace plumb::rewards {

using at::Tensor;

/// reward = output * std + mean.
struct TargetScale {
  double mean = 0, std = 1;
};

struct Estimate {
  Tensor mean;          // [B] float64, raw units: rhat
  Tensor uncertainty;   // [B] float64, raw units: g >= 0, not capped
};

/// What there is beside the network, and the network that it needs: none, bonus: any predictor; gp: an RbfGpPredictor; bootstrap: an
/// EnsemblePredictor. g = scale ||L^-1 (phi, 1)|| (bonus; without the 1 if the covariance is centred), scale std (gp), mean - penalised
/// value (bootstrap).
struct UncertaintyModel {
  UncertaintyOptions settings;
  Tensor factor;                          // bonus: L [m,m] float64

  /// x [B,*model shape] float32, differentiable. Error(kUsage) for type none.
  Estimate estimate(nn::Predictor& predictor, const Tensor& x, const TargetScale& scale) const;
  io::Json to_json() const;               ///< the manifest's reward.uncertainty: the settings that the type has
  static UncertaintyModel from_json(const io::Json& json);   ///< throws io::Json::exception, Error(kBadInput)
  /// Each KEY=VALUE: scale (bonus, gp); kappa (with penalty mean-std), tau (with penalty softmin), penalty (bootstrap); cap, if `with_cap`.
  /// Throws Error(kUsage, subject) for others, bad values, and kappa or tau without their penalty.
  void override_settings(const std::vector<std::string>& texts, const std::string& subject, bool with_cap);
};

/// The features that the bonus is of: [B,D], with the constant unless the covariance is centred; float64.
Tensor bonus_features(const Tensor& features, const UncertaintyOptions& options);

/// Adds a network and its uncertainty to a reward artefact: /network/*, or /members/K/* (bootstrap), /uncertainty/*.
void write_reward(io::H5Writer& writer, nn::Predictor& predictor, const UncertaintyModel& model);
/// Rebuilds the predictor from the manifest's reward.network and `model`, and fills in what of the model is in the file. `numel`: numbers
/// in an item in model space. Throws Error(kBadInput) where they do not fit.
std::unique_ptr<nn::Predictor> read_reward(const io::H5Reader& file, const io::Json& network, UncertaintyModel& model, int64_t numel);

}  // namespace plumb::rewards
