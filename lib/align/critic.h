// The temporal critic of TDPO: a value of every state x_i of a chain, read off a frozen network's embedding of the picture it
// decodes to, and the neurons that TDPO-R resets.
// Source: Zhang, Zhang, Zhan, Luo, Wen, Tao 2024, "Confronting reward overoptimization for diffusion models: a perspective
// of inductive and primacy biases" (ICML), sec. 4, and its code.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "align/surrogate.h"
#include "nn/adamw.h"
#include "nn/layers.h"

namespace plumb::align {

/// kPublished: every weight ~ N(0, (1/(in+1))^2), biases 0. The value of a unit embedding is then about 1e-7, so it
/// stays constant for hundreds of updates. kDefault: PyTorch's layer default.
enum class CriticInit { kPublished, kDefault };
CriticInit parse_critic_init(const std::string& text);

struct CriticOptions {
  std::vector<int64_t> widths = {1024, 128, 64, 16};  ///< of the hidden layers; one output follows
  std::vector<double> dropout = {0.2, 0.2, 0.1, 0.0};  ///< after each hidden layer, in training mode only
  bool relu = false;                                   ///< the published critic has no nonlinearity
  CriticInit init = CriticInit::kPublished;
};

/// V(e) = W5 (W4 (... W1 e + b1 ...) + b4) + b5.
class Critic : public nn::Module {
 public:
  Critic(int64_t embedding_dimension, const CriticOptions& options, uint64_t seed);
  /// embedding [B,E] float32 -> [B]. In training mode the caller holds an nn::DropoutScope of B items.
  Tensor forward(const Tensor& embedding);
  /// What each hidden layer's Linear gives, before ReLU and dropout: [B,width_k] each, in evaluation mode.
  std::vector<Tensor> hidden(const Tensor& embedding);
  nn::ModuleList<nn::Linear>& layers() { return layers_; }  ///< hidden layers, then the output

 private:
  Tensor after(size_t layer, const Tensor& h) const;
  CriticOptions options_;
  nn::ModuleList<nn::Linear> layers_;
};

/// 1/2 mean max((V - R)^2, (clamp(V, V_old - clip, V_old + clip) - R)^2); clip <= 0: 1/2 mean (V - R)^2. All [B] float64.
/// Means: critic_loss, critic_clip_fraction (the clipped branch is strictly larger).
LossTerms critic_loss(const Tensor& value, const Tensor& value_old, const Tensor& returns, double clip_range);

/// 1 - Var(R - V) / Var(R): 1 is a perfect critic, 0 a constant one; 0 if R does not vary.
double explained_variance(const Tensor& value, const Tensor& returns);

// --- Neurons -----------------------------------------------------------------------------------------------------------

/// Activity of each hidden neuron on a probe batch, by layer: s_n = mean_b max(h_bn, 0), over its layer's mean (+ 1e-9).
/// The max is virtual: the network itself may be linear. hidden: [B,width_k]; returns [width_k] float64.
std::vector<Tensor> neuron_activity(const std::vector<Tensor>& hidden);

/// Dormant: activity <= threshold. [width_k] bool each.
std::vector<Tensor> dormant_neurons(const std::vector<Tensor>& activity, double threshold);

struct DormantCount {
  int64_t total = 0, dormant = 0;
  double share() const { return total > 0 ? static_cast<double>(dormant) / static_cast<double>(total) : 0; }
};
DormantCount count_dormant(const std::vector<Tensor>& dormant);
/// |A and B| / min(|A|, |B|) of two probes' dormant sets, 1 if either is empty. (The published statistic counts elements
/// instead of members and is always 1.)
double dormant_overlap(const std::vector<Tensor>& a, const std::vector<Tensor>& b);

/// A [rows,columns] tensor ~ N(0, sd^2) for a reset.
using ResetDraw = std::function<Tensor(int64_t rows, int64_t columns, double sd)>;

/// Layer by layer, re-initialises the neurons of `mask` ([width_k] bool each): the rows of their incoming weights and the
/// columns of their outgoing ones are drawn with sd 1/(in+1) of the layer they belong to, their biases become 0, and AdamW's
/// moments of exactly these entries become 0; its step counters stay. The last layer's bias is never touched. A mask without
/// members changes nothing.
void reset_neurons(Critic& critic, nn::AdamW& optimizer, const std::vector<Tensor>& mask, const ResetDraw& draw);

}  // namespace plumb::align
