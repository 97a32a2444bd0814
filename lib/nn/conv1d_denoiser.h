// The dilated residual network of sequence diffusion models.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nn/denoiser_inputs.h"
#include "nn/layers.h"

namespace plumb::nn {

/// Defaults: the published network's widths, with fewer blocks (share/presets/denoiser-sequence*.json say how many).
struct Conv1dOptions {
  int64_t channels = 0;                       ///< letters of the alphabet, or channels of a [C,L] item; required
  int64_t width = 64;
  int64_t kernel = 9;                         ///< of the first convolution and of each block; odd
  std::vector<int64_t> dilations{1, 1, 4, 16, 1, 1, 4, 16};   ///< one block each
  int64_t embedding_dim = 256;                ///< of time and class
  int64_t num_classes = 0;                    ///< 0: unconditional; else the class table has one more row, the null class
  bool value = false;                         ///< conditioned on a value: its embedding is added to the time embedding, before the silu
  int64_t num_train_timesteps = 1000;         ///< the time that counts as 1
  double fourier_scale = 30;                  ///< standard deviation of the random frequencies
  /// Pairs [t, s], t ascending: the output is multiplied by s(t), interpolated linearly, constant outside. Empty: 1. For networks that
  /// predict the score of a process whose scores differ in size over t (s = sqrt(w_t) of a simplex diffusion).
  std::vector<std::pair<double, double>> output_scale;
  bool subtract_mean = false;                 ///< subtract the mean over the channels (a score on the simplex has none)
  int64_t out_channels = 0;                   ///< 0: as `channels`; K for the K + 1 symbols of masked letters
  std::string norm = "group";                 ///< of a block: "group", one group over the whole item; "layer", the channels of each position
  std::string activation = "silu";            ///< "silu" (GELU in the head), or "relu" everywhere
  bool use_time = true;                       ///< false: time counts as 0, for networks whose answer does not depend on it

  io::Json to_json() const;
  /// Throws Error(kUsage) naming an unknown key, a value of the wrong type or range, or channels that are absent.
  static Conv1dOptions from_json(const io::Json& json, const std::string& where);
};

/// Normalises the channels of each position by themselves, x [B,C,L], with a weight and a bias a channel. Source: Ba et al. 2016.
class ChannelNorm : public Module {
 public:
  explicit ChannelNorm(int64_t channels);
  Tensor forward(const Tensor& x) const;
  void reset_parameters(WeightInit& init) override;

 private:
  Tensor weight_, bias_;
};

/// out + silu(conv(norm(out + time(e_t) + class(e_c)))), a group norm of one group, "same" padding.
class Conv1dBlock : public Module {
 public:
  Conv1dBlock(const Conv1dOptions& options, int64_t dilation);
  /// out [B,width,L]; time [B,embedding_dim]; of_class [B,embedding_dim] or undefined.
  Tensor forward(const Tensor& out, const Tensor& time, const Tensor& of_class);

 private:
  bool relu_;
  std::unique_ptr<GroupNorm> group_norm_;  // one of the two
  std::unique_ptr<ChannelNorm> channel_norm_;
  Conv1d conv_;
  Linear time_proj_;
  std::unique_ptr<Linear> class_proj_;
};

/// x_t [B,channels,L] -> [B,out_channels,L]. e_t = silu(linear(Fourier(t / num_train_timesteps))); input convolution, silu; the blocks; 1x1
/// convolution, GELU, 1x1 convolution. Config form: {"type":"conv1d","config":{Conv1dOptions}}.
/// Time: the published network sees t/2 for t in [0,4]; here a timestep of a schedule of T levels counts as t/T in [0,1).
/// Source: masa-ue/RLfinetuning_Diffusion_Bioseq (GitHub), after Avdeyev et al. 2023, "Dirichlet diffusion score model". With norm "layer",
/// activation "relu" and no time it is the network of Wang et al. 2025 (DRAKES).
class Conv1dDenoiser : public Denoiser {
 public:
  explicit Conv1dDenoiser(const Conv1dOptions& options);
  Tensor forward(const Tensor& x_t, const Tensor& timestep, const Condition& condition) override;
  int64_t num_classes() const override { return options_.num_classes; }
  bool takes_value() const override { return options_.value; }
  io::Json config() const override { return {{"type", "conv1d"}, {"config", options_.to_json()}}; }

 private:
  Tensor output_scale(const Tensor& t) const;   // [B] -> [B,1,1]

  Conv1dOptions options_;
  FourierProjection time_proj_;
  Linear time_embedding_;
  std::unique_ptr<Embedding> class_embedding_;
  Conv1d conv_in_;
  ModuleList<Conv1dBlock> blocks_;
  Conv1d head_, conv_out_;
  std::unique_ptr<ValueEmbedding> value_embedding_;
  Tensor scale_times_, scale_values_;           // of output_scale, float32; undefined without
};

}  // namespace plumb::nn
