// The network of a diffusion model, whatever its architecture.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "io/artefact.h"
#include "io/space.h"
#include "nn/module.h"

namespace plumb::nn {

/// What a sample is conditioned on. Undefined tensors = no condition of that sort. Later spaces add members.
struct Condition {
  Tensor label;       // [B] int64, class index; the null class (for guidance) is num_classes
  Tensor value = {};  // [B] float32, standardised number such as a reward; NaN: none (for guidance)
  Condition to(at::Device device) const;
  Condition slice(int64_t begin, int64_t end) const;
  Condition index(const Tensor& order) const;   // rows by an int64 index tensor
};

/// model_output = denoiser(x_t, t, condition). What it predicts (epsilon, v, sample) is the schedule's business.
/// A conditional denoiser knows num_classes() classes and the null class of index num_classes().
class Denoiser : public Module {
 public:
  /// x_t [B, *model shape] float32; timestep [B] int64 or float32; returns the shape of x_t.
  virtual Tensor forward(const Tensor& x_t, const Tensor& timestep, const Condition& condition) = 0;
  virtual int64_t num_classes() const { return 0; }     ///< 0: no classes
  virtual bool takes_value() const { return false; }    ///< whether Condition::value is read
  virtual io::Json config() const = 0;                  ///< the manifest's model.denoiser: {"type", "config", ...}
};

/// Builds an untrained denoiser from its manifest form. Weights are drawn by initialise().
/// types: "unet2d" (optionally behind a pixel fold, "patch"), "conv1d" (conv1d_denoiser.h), "mlp" (mlp.h), "papa-unet" (papa_unet.h), "subspace"
/// (subspace_denoiser.h), "torchscript" (needs "path" of the .pt file).
/// Throws Error(kUsage) naming an unknown type, key or value.
std::unique_ptr<Denoiser> make_denoiser(const io::Json& config, const std::string& where);

/// The denoiser config of a preset, with what the data decides filled in where the preset leaves it open: channels and size from
/// the space, and a class table of num_classes + 1 rows (the last is the null class) if num_classes > 0; what the noise schedule
/// decides is in denoiser_fit.h. `preset`: a name
/// (share/presets/denoiser-NAME.json), "auto" (by the space), FILE.json of that form, or a TorchScript FILE.pt.
/// Throws Error(kUsage) for an unknown name, naming the nearest, or a preset that does not fit the space.
io::Json denoiser_preset(const std::string& preset, const io::Space& space, int64_t num_classes);

/// Draws the weights as PyTorch's layers do (Kaiming-uniform, zeros for biases where torch has them) from (seed, kInit,
/// parameter index); so the result does not depend on the order or device of creation.
void initialise(Module& module, uint64_t seed);

/// A loaded model: denoiser + what the diffusion room needs to know.
struct Model {
  std::unique_ptr<Denoiser> denoiser;
  io::Json schedule;       // manifest's model.schedule (diffusion::NoiseSchedule::from_json reads it)
  io::Space space;
  io::Manifest manifest;
};

/// Name prefixes inside a model file. An adapter artefact has /lora and no /denoiser.
inline constexpr const char* kDenoiserGroup = "denoiser";
inline constexpr const char* kLoraGroup = "lora";

/// Loads a model artefact; for a LoRA adapter, its base first (checked by digest), then the adapter attached with `lora_scale`.
/// An adapter's manifest has model.lora (LoraOptions) and its base as an input of kind "model". The weights come back frozen and in
/// evaluation mode: call set_requires_grad(true), train(true) to train them. Throws Error(kBadInput) when shapes or names do not fit.
Model load_model(const io::Manifest& manifest, at::Device device, double lora_scale = 1.0);

/// The model that this one was tuned from: its input of kind "model", checked by digest. Throws Error(kBadInput) if it names none,
/// or one that is gone or changed.
io::Manifest base_model(const io::Manifest& tuned);

/// Adds /denoiser/<name> of a model to a file; `values` (EMA weights), when given, instead of the network's own.
/// A network with adapters on is written as an adapter: /lora/<name>, values then by adapter names. merge_lora() first for a whole model.
void write_denoiser(io::H5Writer& writer, Denoiser& denoiser, const NamedTensors* values = nullptr);

}  // namespace plumb::nn
