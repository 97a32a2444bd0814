// Networks from items to numbers: classifiers and learned rewards.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "io/artefact.h"
#include "io/space.h"
#include "nn/module.h"

namespace plumb::nn {

/// outputs = head(features(x)). What the outputs mean (logits, a reward) is the rewards room's business.
class Predictor : public Module {
 public:
  virtual Tensor features(const Tensor& x) = 0;          ///< [B,*model shape] float32 -> [B,D], what the last layer sees
  virtual Tensor head(const Tensor& features) = 0;       ///< [B,D] -> [B,outputs]
  virtual Tensor forward(const Tensor& x) { return head(features(x)); }
  virtual int64_t feature_dimension() const = 0;         ///< D
  virtual int64_t outputs() const = 0;
  virtual io::Json config() const = 0;                   ///< {"type", ...}: make_predictor builds the same network from it
};

/// Builds an untrained predictor from its config. Weights are drawn by initialise(). types: "resnet" (resnet.h), "cnn"
/// (cnn_predictor.h), "conv1d" (conv1d_predictor.h), "mlp" (mlp_predictor.h), "linear" (linear_predictor.h), "torchscript" (needs "path", the
/// .pt file: forward(x) -> [B,outputs]; trains from the weights in the file; its features are its outputs). In training mode a forward pass
/// may need a DropoutScope.
/// Throws Error(kUsage) naming an unknown type, key or value.
std::unique_ptr<Predictor> make_predictor(const io::Json& config, const std::string& where);

/// The config of a preset, fitted to the data: input channels or size from the space, and the number of outputs. `preset`: a name
/// (share/presets/reward-NAME.json), "auto" (by the space: small, sequence or vector), FILE.json, or FILE.pt. Throws Error(kUsage) for
/// an unknown name or a network that does not fit the space.
io::Json predictor_preset(const std::string& preset, const io::Space& space, int64_t outputs);

/// Adds /network/<parameter> (and /torchscript, a user's file) to a reward artefact.
void write_predictor(io::H5Writer& writer, Predictor& predictor);
/// Rebuilds what write_predictor wrote; `config` is the manifest's reward.network. Weights frozen, evaluation mode, on the CPU.
/// Throws Error(kBadInput) when config, names or shapes do not fit.
std::unique_ptr<Predictor> read_predictor(const io::H5Reader& file, const io::Json& config);

}  // namespace plumb::nn
