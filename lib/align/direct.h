// What the methods share that follow the reward's own gradient: chains that keep the gradient of some network calls only, the
// reward at their end, the KL of the kept calls. A method says which calls, what is scored, and its loss.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "align/method.h"
#include "align/update_plan.h"
#include "core/philox.h"

namespace plumb::align {

/// Which network calls of a chain keep their gradient, and what is its sample.
struct KeptSteps {
  std::vector<bool> keep;  // [T]
  /// -1: the chain runs to its end. Else call `predict` is the last one made, and the sample is the x0 that it predicts.
  int64_t predict = -1;
  int64_t count() const;
};
/// The last k of `steps` calls; 0: all.
KeptSteps keep_last(int64_t steps, int64_t k);

/// A chain's arithmetic: a policy's, or a test's.
struct Chain {
  int64_t steps = 0;
  std::function<Tensor(int64_t i, const Tensor& x_t)> output;  // the network's, with a gradient where gradients are on
  std::function<Tensor(int64_t i, const Tensor& x_t, const Tensor& output)> advance;  // the state after step i, noise included
  std::function<Tensor(int64_t i, const Tensor& x_t, const Tensor& output)> predicted_x0;
};

/// Sees each network call; a gradient is kept of some (KeptSteps), and is off where it is not.
using CallObserver = std::function<void(int64_t i, const Tensor& x_t, const Tensor& output, bool kept)>;

/// Runs a chain from x_T. The steps before the first kept call are constants. After it what a step does besides the network's
/// output (the linear part of a Gaussian step) has a gradient, so one passes over a call that is not kept between two that are.
/// Source: Prabhudesai et al. 2023 (AlignProp), sec. 4; Clark et al. 2024 (DRaFT), sec. 4.
Tensor run_kept(const Chain& chain, const Tensor& x_T, const KeptSteps& kept, const CallObserver& observe = nullptr);

/// The x0 that the chain's last call predicts, with a gradient, from sqrt(a) y + sqrt(1 - a) z: y is a finished sample, held
/// constant, a the alpha-bar of that call. Source: Clark et al. 2024 (DRaFT-LV), alg. 2.
Tensor renoised(const Chain& chain, const Tensor& y, const Tensor& z, double alpha, const CallObserver& observe = nullptr);

/// Losses of rewards [B], each [B].
Tensor draft_loss(const Tensor& reward);  ///< -r
/// scale |r - target|; without a target -scale r, which has the same gradient below any target.
Tensor alignprop_loss(const Tensor& reward, std::optional<double> target, double scale);
/// scale max(target - (r - mean) / sd, 0).
Tensor refl_loss(const Tensor& reward, double mean, double sd, double target, double scale);

/// A penalty on the KL of the whole path to the reference: alpha E sum_t KL_t, the gradient going through the own output and
/// through the states into the reference's. Steps whose call is not kept are counted in the log only.
/// Source: Uehara et al. 2024 (BRAID), "Bridging model-based optimization and generative modeling via conservative fine-tuning of
/// diffusion models", and the reverse SDE's path KL in Uehara et al. 2024, "Fine-tuning of continuous-time diffusion models as
/// entropy-regularized control".
struct PathPenalty {
  double alpha = 0;
  diffusion::Reduce reduce = diffusion::Reduce::kSum;  ///< over the coordinates of an item; a mean divides alpha by their number
  /// Penalises kept steps in place of the process's own KL, if set: [B] float64.
  std::function<Tensor(int64_t i, const Tensor& state, const Tensor& output, const Tensor& reference)> form = nullptr;
  /// Steps before the first kept one are penalised too, at the states that they visited: such a call is made again, and its gradient taken
  /// at once, so that it costs time but no memory.
  bool early = false;
};

/// One batch of chains under way.
struct DirectBatch {
  const Chain& chain;
  const std::vector<int64_t>& items;  // global indices
  at::Device device;
  const CallObserver& observe;
};

class DirectBackprop : public Method {
 public:
  /// Throws Error(kUsage) naming the reward if it has no gradient.
  DirectBackprop(const TuningContext& context, std::string name);

  std::string name() const override { return name_; }
  /// Nothing: each update draws its own samples, from the weights as they are.
  bool collect(TuningContext&, int64_t) override { return true; }
  int64_t updates_per_epoch() const override { return plan_.updates_per_epoch(); }
  UpdateLog accumulate_gradients(TuningContext& context, int64_t epoch, int64_t index) override;
  void save(nn::Checkpoint&, bool) const override {}
  void restore(const nn::Checkpoint&, bool) override {}
  io::Json plan() const override;

 protected:
  /// The calls of one minibatch that keep their gradient; `random` is that minibatch's.
  virtual KeptSteps draw_steps(Philox& random) const = 0;
  /// [B] float64 -> [B].
  virtual Tensor loss(const Tensor& reward) const = 0;
  /// What is scored of a batch: its samples x, or others besides or instead. The loss is the mean over all.
  virtual std::vector<Tensor> scored(const DirectBatch& batch, const Tensor& x) const;
  virtual int64_t queries_per_sample() const { return 1; }
  /// Instead of --kl-coef.
  virtual std::optional<PathPenalty> path_penalty() const { return std::nullopt; }
  /// The state after step i. `output` has a gradient if the call was kept.
  virtual Tensor advance(const diffusion::ReverseProcess& process, int64_t i, const Tensor& state, const Tensor& output,
                         const Tensor& noise) const {
    return process.advance(i, state, output, noise);
  }

  const FinetuneOptions& options() const { return options_; }
  int64_t steps() const { return steps_; }  ///< T

 private:
  Tensor rewards_of(const TuningContext& context, const Tensor& x0, const Tensor& label, int64_t first) const;
  Chain chain_of(const TuningContext& context, const std::vector<int64_t>& items, const nn::Condition& condition) const;
  Tensor reference_of(Policy& policy, int64_t i, const Tensor& state, const nn::Condition& condition) const;

  std::string name_;
  FinetuneOptions options_;
  UpdatePlan plan_;
  int64_t steps_;
};

}  // namespace plumb::align
