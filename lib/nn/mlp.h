// Multilayer perceptrons: the trunk, and the denoiser of vectors made of one.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <vector>

#include "nn/denoiser_inputs.h"
#include "nn/layers.h"

namespace plumb::nn {

/// x [B,*] -> [B,elements], contiguous. Throws Error(kBadInput) if the items are of another size.
Tensor flat_items(const Tensor& x, int64_t elements);

/// linear, silu, linear, silu, ..., linear: [B,in] -> [B,out].
class Mlp : public Module {
 public:
  Mlp(int64_t in, const std::vector<int64_t>& hidden, int64_t out);
  Tensor forward(const Tensor& x);
  Tensor hidden(const Tensor& x, const Tensor& shift = {});   ///< what the last layer sees; shift [B,hidden[0]] is added to the first
  Tensor output(const Tensor& hidden);   ///< the last layer

 private:
  ModuleList<Linear> layers_;
};

struct MlpOptions {
  int64_t elements = 0;                    ///< numbers in an item; required
  std::vector<int64_t> hidden{512, 512};
  int64_t time_dim = 16;                   ///< sine and cosine features of time; even
  int64_t class_dim = 16;                  ///< of the class embedding
  int64_t num_classes = 0;                 ///< 0: unconditional; else the class table has one more row, the null class
  bool value = false;                      ///< conditioned on a value
  int64_t num_train_timesteps = 1000;

  io::Json to_json() const;
  /// Throws Error(kUsage) naming an unknown key, a value of the wrong type or range, or elements that are absent.
  static MlpOptions from_json(const io::Json& json, const std::string& where);
};

/// [z, time, class, value, whether it is known] -> mlp; the columns of the last two start at 0. time: cos and sin of tau times the frequencies of Vaswani et al. 2017, with tau = 1000 t / num_train_timesteps.
class ConditionedMlp : public Module {
 public:
  ConditionedMlp(int64_t in, int64_t out, const MlpOptions& options);
  /// z [B,in]; returns [B,out].
  Tensor forward(const Tensor& z, const Tensor& timestep, const Condition& condition);

 private:
  int64_t num_classes_;
  double per_timestep_;        // 1000 / num_train_timesteps
  Tensor frequencies_;         // [time_dim / 2] float32
  std::unique_ptr<Embedding> class_embedding_;
  Mlp mlp_;
  std::unique_ptr<ZeroLinear> value_proj_;   // the columns of value and flag in the first layer
};

/// x_t [B,*] with `elements` numbers an item -> the same shape. Config form: {"type":"mlp","config":{MlpOptions}}.
class MlpDenoiser : public Denoiser {
 public:
  explicit MlpDenoiser(const MlpOptions& options);
  Tensor forward(const Tensor& x_t, const Tensor& timestep, const Condition& condition) override;
  int64_t num_classes() const override { return options_.num_classes; }
  bool takes_value() const override { return options_.value; }
  io::Json config() const override { return {{"type", "mlp"}, {"config", options_.to_json()}}; }

 private:
  MlpOptions options_;
  ConditionedMlp network_;
};

}  // namespace plumb::nn
