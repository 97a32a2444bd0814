// Networks that users bring as TorchScript files. This room's only use of LibTorch's JIT.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "io/space.h"
#include "nn/denoiser.h"
#include "nn/predictor.h"

namespace plumb::nn {

/// The bytes of a TorchScript file as a Denoiser: forward(x_t, t) or forward(x_t, t, label), t and label int64 [B]. Its parameters
/// train and are visited by their own names; num_classes > 0 needs the three-argument form, with class index num_classes as the
/// null class. Throws Error(kBadInput, where) for a file that does not load or a signature that does not fit.
std::unique_ptr<Denoiser> torchscript_denoiser(const std::string& bytes, int64_t num_classes, const std::string& where);

/// The file behind a denoiser made by torchscript_denoiser ("" for others): a model artefact carries it as /torchscript.
const std::string& torchscript_bytes(const Denoiser& denoiser);

/// The bytes of a TorchScript file as a Predictor: forward(x) -> [B,outputs] (or [B] for one output). Its parameters train and are
/// visited by their own names; features() gives the outputs, head() is the identity. Errors as torchscript_denoiser.
std::unique_ptr<Predictor> torchscript_predictor(const std::string& bytes, int64_t outputs, const std::string& where);
const std::string& torchscript_bytes(const Predictor& predictor);   ///< as for denoisers; a reward artefact's /torchscript

/// A user's function of a batch: forward(x [B,*]) -> Tensor, for rewards ([B]) and feature networks ([B,D]).
class TorchScriptFunction {
 public:
  enum class Output { kScalar, kFeatures };   ///< [B] (or [B,1]); [B,D]
  /// Loads the file and runs a probe batch of two zero items of shape `item_shape` to check its output.
  /// With kFeatures, a forward that has an argument `return_features` (the published FID Inception file has) gets it as true.
  /// Throws Error(kBadInput, path, ...) if it does not load, or takes or gives something else.
  TorchScriptFunction(const std::string& path, const std::vector<int64_t>& item_shape, Output output, at::Device device);
  ~TorchScriptFunction();
  TorchScriptFunction(TorchScriptFunction&&) noexcept;
  Tensor operator()(const Tensor& x);          ///< float32 on the device; [B] or [B,D]; differentiable if the file's graph is
  bool gives_probabilities() const;            ///< its forward has `return_features`: without it, class probabilities come out
  Tensor probabilities(const Tensor& x);       ///< that second use: [B,classes]
  int64_t dimension() const;                   ///< D (1 for scalars)
  const std::string& digest() const;           ///< sha256 of the file

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace plumb::nn
