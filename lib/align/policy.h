// A diffusion model as a stochastic policy: states of its reverse chain, and for Gaussian chains actions x_{t-1} with exact
// log-probabilities.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "diffusion/process.h"
#include "diffusion/sampler.h"
#include "diffusion/transition.h"
#include "nn/denoiser.h"
#include "nn/precision.h"

namespace plumb::align {

using at::Tensor;

struct PolicyOptions {
  int64_t num_inference_steps = 50;
  double eta = 1.0;                                     ///< > 0 if needs_density; of variance "posterior"
  /// "posterior": DDIM steps with eta. "beta": ancestral steps of variance beta = 1 - a / b, all of which have a density; updates draw
  /// noise in the last step too, samples that are only looked at do not. Source: Ho et al. 2020, sec. 3.2.
  std::string variance = "posterior";
  double guidance_scale = 1.0;                          ///< the same in sampling and training
  diffusion::Reduce reduce = diffusion::Reduce::kMean;  ///< of log-probabilities
  /// Steps whose gain |d mean / d v| / sigma is above this are neither trained on nor counted in path KL; 0: all count.
  /// At the end of a short chain the noise nearly vanishes, and the likelihood's gradient (and the KL) would be that
  /// one step's and little else: 14 at the last of 20 cosine steps against 0.1 to 1.6 before. Stable Diffusion's 50
  /// steps stay below 3.4.
  double max_step_gain = 4.0;
  /// Every network pass is padded to a multiple of this many rows (0: as given): a smaller batch may take another
  /// convolution kernel, whose rounding would move the ratio by about 1e-6; at equal sizes it is exactly 1.
  int64_t pass_rows = 0;
  int64_t base_below = 0;     ///< sampling: timestep below which the reference goes on with a Gaussian chain (EPAPA)
  bool needs_density = true;  ///< log-probabilities are asked for, so every step must have noise
  std::vector<int64_t> classes;                    ///< of samples, see RolloutRequest; empty: all
  nn::Precision precision = nn::Precision::kFp32;  ///< of the network's products; latents and arithmetic stay float32
};

/// Log-probability and transition of steps under the current weights.
struct PolicyEvaluation {
  Tensor log_prob;                   // [B] float64
  diffusion::Transition transition;  // of [B,*shape] float32
};

/// Distance of steps from the reference, [B] float64 each.
struct ReferenceKl {
  Tensor exact;  // KL of the steps by PolicyOptions::reduce; undefined where the chain has no densities
  Tensor plain;  // Policy::noise_gap_to_reference; undefined for chains that are not Gaussian
  const Tensor& form(const std::string& name) const { return name == "plain" ? plain : exact; }  ///< --kl-form
};

/// The network being tuned, its frozen reference, and the chain's arithmetic. One function, evaluate_output(), gives
/// the log-probabilities of rollouts and of updates alike, on float32 latents, so that the ratio is 1 before the first
/// update.
class Policy {
 public:
  /// reference null: the network with its adapter scaled to 0. Both must outlive this. Throws Error(kUsage) for a
  /// schedule one of whose steps does nothing, for eta = 0 and for a step without noise, all of them with needs_density only.
  Policy(nn::Denoiser& network, nn::Denoiser* reference, const diffusion::NoiseSchedule& schedule,
         const std::vector<int64_t>& item_shape, const PolicyOptions& options, at::Device device);
  /// The same for a chain of another kind. Throws Error(kUsage) with needs_density: only DDIM's log-probabilities are known here.
  Policy(nn::Denoiser& network, nn::Denoiser* reference, std::unique_ptr<diffusion::ReverseProcess> process,
         const std::vector<int64_t>& item_shape, const PolicyOptions& options, at::Device device);

  int64_t steps() const { return training_->steps(); }  ///< T
  const std::vector<int64_t>& timesteps() const { return timesteps_; }  ///< of a Gaussian chain
  const std::vector<int64_t>& item_shape() const { return item_shape_; }
  /// Indices of the steps within max_step_gain, ascending. Empty only without needs_density.
  const std::vector<int64_t>& trained_steps() const { return trained_steps_; }
  /// Whether every step has noise, so a density.
  bool has_densities() const { return has_densities_; }
  double alpha_cumprod(int64_t i) const { return schedule().alpha_cumprod(timesteps_.at(static_cast<size_t>(i))); }
  int64_t dimension() const;  ///< D, elements of one item
  const PolicyOptions& options() const { return options_; }
  at::Device device() const { return device_; }
  nn::Denoiser& network() { return network_; }
  int64_t num_classes() const { return network_.num_classes(); }
  /// Trained tensors: the adapter's if there is one, else all parameters.
  nn::NamedTensors trainable();

  /// The chain that updates run through.
  const diffusion::ReverseProcess& process() const { return *training_; }
  /// Guided network output of step i at states [B,*state], with a gradient if gradients are on.
  Tensor step_output(int64_t i, const Tensor& state, const nn::Condition& condition);
  /// The reference's output of step i, with a gradient to `state` if that has one and gradients are on; never to weights.
  Tensor step_reference(int64_t i, const Tensor& state, const nn::Condition& condition);
  /// Distance of step i from the reference at the same states; exact is undefined if that step has no noise.
  ReferenceKl step_kl(int64_t i, const Tensor& state, const Tensor& output, const Tensor& reference_output,
                      diffusion::Reduce reduce) const;

  // The next ones are for policy gradients, whose batches mix the steps of Gaussian chains.

  /// Guided network output at steps `step` ([B] int64 index into timesteps()), with a gradient if gradients are on.
  Tensor model_output(const Tensor& x_t, const Tensor& step, const nn::Condition& condition);
  /// The reference's output; never has a gradient.
  Tensor reference_output(const Tensor& x_t, const Tensor& step, const nn::Condition& condition);

  diffusion::Transition transition(const Tensor& model_output, const Tensor& x_t, const Tensor& step) const;
  /// x_t, x_next [B,*shape] float32.
  PolicyEvaluation evaluate_output(const Tensor& model_output, const Tensor& x_t, const Tensor& x_next,
                                   const Tensor& step) const;
  PolicyEvaluation evaluate(const Tensor& x_t, const Tensor& x_next, const Tensor& step,
                            const nn::Condition& condition) {
    return evaluate_output(model_output(x_t, step, condition), x_t, x_next, step);
  }
  /// KL of the steps from the current weights to the reference, exact: [B] float64 by `reduce`.
  Tensor kl_to_reference(const diffusion::Transition& transition, const Tensor& reference_output, const Tensor& x_t,
                         const Tensor& step, diffusion::Reduce reduce) const;

  /// Mean over an item's elements of (eps - eps_ref)^2, the noise that the two outputs predict: the KL of a step without its
  /// weight c^2 / (2 sigma^2). [B] float64. Source: the released code of Fan et al. 2023 (DPOK).
  Tensor noise_gap_to_reference(const diffusion::Transition& transition, const Tensor& reference_output, const Tensor& step) const;

  /// Both of the above.
  ReferenceKl reference_kl(const diffusion::Transition& transition, const Tensor& reference_output, const Tensor& x_t,
                           const Tensor& step) const;

  /// The network's own output, without guidance, at timesteps of the training schedule [B] int64; and the reference's, without a
  /// gradient. For losses on noised data.
  Tensor unguided_output(const Tensor& x_t, const Tensor& timestep, const nn::Condition& condition);
  Tensor unguided_reference(const Tensor& x_t, const Tensor& timestep, const nn::Condition& condition);
  /// The same with the policy's guidance.
  Tensor guided_output(const Tensor& x_t, const Tensor& timestep, const nn::Condition& condition) const {
    return run_network(network_, x_t, timestep, condition);
  }
  Tensor guided_reference(const Tensor& x_t, const Tensor& timestep, const nn::Condition& condition) const {
    return run_reference(x_t, timestep, condition);
  }
  /// Throws Error(kUsage) for a chain that is not Gaussian.
  const diffusion::NoiseSchedule& schedule() const;
  bool is_gaussian() const { return schedule_.has_value(); }

  /// Runs chains of the current weights without gradients, as the model samples: [B,*item] in model space.
  Tensor sample(const diffusion::Draws& draws, const nn::Condition& condition, const diffusion::ProcessObserver& on_step);

 private:
  Tensor run_network(nn::Denoiser& network, const Tensor& x_t, const Tensor& timestep,
                     const nn::Condition& condition) const;
  Tensor run_reference(const Tensor& x_t, const Tensor& timestep, const nn::Condition& condition) const;

  nn::Denoiser& network_;
  nn::Denoiser* reference_;
  std::optional<diffusion::NoiseSchedule> schedule_;  // of a Gaussian chain
  std::vector<int64_t> item_shape_;
  PolicyOptions options_;
  at::Device device_;
  std::unique_ptr<diffusion::ReverseProcess> training_, sampling_;  // sampling_ null: the same
  std::vector<int64_t> timesteps_, trained_steps_;
  std::vector<bool> density_;  // [T], whether a step has noise
  bool has_densities_ = true;
  Tensor timestep_table_, alpha_table_, alpha_next_table_;  // [T] int64, float64, float64, of a Gaussian chain
};

/// The policy of a model by its manifest's model.schedule, which says what kind of chain it has. Throws what Policy and
/// diffusion::make_reverse_process throw.
Policy make_policy(nn::Denoiser& network, nn::Denoiser* reference, const io::Json& schedule, const std::string& where,
                   const std::vector<int64_t>& item_shape, const PolicyOptions& options, at::Device device);

}  // namespace plumb::align
