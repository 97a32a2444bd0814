// Low-rank adapters on Linear, Conv1d and Conv2d layers.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "io/manifest.h"
#include "nn/module.h"

namespace plumb::nn {

/// y = W x + scale * (alpha / rank) * B (A x). Source: Hu et al. 2022, "LoRA", sec. 4.1; on convolutions A keeps the kernel
/// and B has kernel 1 (as PEFT and Kohya do).
struct LoraOptions {
  int64_t rank = 4;
  double alpha = 0;                    ///< 0: equal to rank (scale 1)
  std::vector<std::string> targets;    ///< suffixes of module names, e.g. "to_q"; {"all"} = each Linear, Conv1d and Conv2d
  io::Json to_json() const;            ///< the manifest's model.lora: {"rank","alpha","targets"}
  static LoraOptions from_json(const io::Json& json, const std::string& where);
};

/// A layer that can carry an adapter. lora_A [rank,in,(kernel)] ~ N(0, 1/rank^2), lora_B [out,rank,(1..)] = 0.
class LoraTarget : public Module {
 public:
  void attach_lora(int64_t rank, double alpha, uint64_t seed, uint64_t index);
  bool has_lora() const { return lora_a_.defined(); }
  void set_lora_scale(double scale) { lora_scale_ = scale; }
  Tensor lora_a_, lora_b_;
  virtual std::vector<int64_t> weight_shape() const = 0;   // [out,in], [out,in,k] or [out,in,kh,kw]
  virtual Tensor& weight() = 0;
  void merge_lora();    ///< W <- W + delta, then detaches
  void detach_lora();

 protected:
  bool lora_active() const { return lora_a_.defined() && lora_scale_ != 0; }
  double lora_factor() const { return lora_scale_ * lora_alpha_over_rank_; }
  double lora_scale_ = 1.0, lora_alpha_over_rank_ = 1.0;
};

/// Attaches to each matching layer; returns how many. Zero matches: Error(kUsage) listing the suffixes there are.
int64_t attach_lora(Module& network, const LoraOptions& options, uint64_t seed);
/// Adapter tensors by PEFT names: "<module>.lora_A.weight", "<module>.lora_B.weight".
NamedTensors lora_parameters(Module& network);
void set_lora_scale(Module& network, double scale);
bool has_lora(Module& network);
/// W <- W + scale*(alpha/rank)*B A, and takes the adapters off.
void merge_lora(Module& network);

}  // namespace plumb::nn
