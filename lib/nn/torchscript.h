// Networks that users bring as TorchScript files. This room's only use of LibTorch's JIT.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "io/space.h"
#include "nn/denoiser.h"

namespace plumb::nn {

/// The bytes of a TorchScript file as a Denoiser: forward(x_t, t) or forward(x_t, t, label), t and label int64 [B]. Its parameters
/// train and are visited by their own names; num_classes > 0 needs the three-argument form, with class index num_classes as the
/// null class. Throws Error(kBadInput, where) for a file that does not load or a signature that does not fit.
std::unique_ptr<Denoiser> torchscript_denoiser(const std::string& bytes, int64_t num_classes, const std::string& where);

/// The file behind a denoiser made by torchscript_denoiser ("" for others): a model artefact carries it as /torchscript.
const std::string& torchscript_bytes(const Denoiser& denoiser);

/// A user's function of a batch: forward(x [B,*]) -> Tensor, for rewards ([B]) and feature networks ([B,D]).
class TorchScriptFunction {
 public:
  enum class Output { kScalar, kFeatures };   ///< [B] (or [B,1]); [B,D]
  /// Loads the file and runs a probe batch of two zero items of shape `item_shape` to check its output.
  /// Throws Error(kBadInput, path, ...) if it does not load, or takes or gives something else.
  TorchScriptFunction(const std::string& path, const std::vector<int64_t>& item_shape, Output output, at::Device device);
  ~TorchScriptFunction();
  TorchScriptFunction(TorchScriptFunction&&) noexcept;
  Tensor operator()(const Tensor& x);          ///< float32 on the device; [B] or [B,D]; differentiable if the file's graph is
  int64_t dimension() const;                   ///< D (1 for scalars)
  const std::string& digest() const;           ///< sha256 of the file

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace plumb::nn
