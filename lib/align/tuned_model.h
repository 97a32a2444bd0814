// The network to tune, and the artefact it becomes.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "align/options.h"
#include "nn/denoiser.h"
#include "nn/lora.h"

namespace plumb::align {

/// A model ready for gradients: with a fresh adapter (weights frozen), or with all weights free and a frozen copy to
/// measure against.
class TunedModel {
 public:
  /// An input that is an adapter is merged first; as adapters do not stack, the result must then be --merge or --full
  /// (else Error(kUsage)).
  TunedModel(const io::Manifest& base, const FinetuneOptions& options, at::Device device);

  nn::Denoiser& network() { return *model_.denoiser; }
  nn::Denoiser* frozen() { return frozen_.get(); }  ///< null: the network without its adapter is the reference
  const io::Json& schedule() const { return model_.schedule; }
  const io::Space& space() const { return model_.space; }
  std::vector<std::string> class_names() const;  ///< empty: none known

  /// Writes the network with `weights` (by the names of Policy::trainable) to an artefact: /lora, or a whole /denoiser
  /// with --merge or --full; and sets the manifest's space, classes and model.
  void write(io::H5Writer& writer, io::Manifest& manifest, const nn::NamedTensors& weights) const;

 private:
  nn::LoraOptions lora_;
  bool full_, merge_;
  uint64_t seed_;
  nn::Model model_;
  int64_t base_below_;  // epapa
  std::unique_ptr<nn::Denoiser> frozen_;
};

}  // namespace plumb::align
