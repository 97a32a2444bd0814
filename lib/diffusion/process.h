// A reverse chain of any kind of diffusion: Gaussian noise, the simplex, masked letters. What steers, tunes or merely samples a chain
// works through this.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "core/philox.h"
#include "diffusion/options.h"
#include "diffusion/sampler.h"
#include "diffusion/schedule.h"
#include "diffusion/transition.h"

namespace plumb::diffusion {

using at::Tensor;

/// Whose noise a batch uses: row k gets the draws of (seed, stream, items[k], step). Particles and children of a sample have item
/// numbers of their own.
struct Draws {
  uint64_t seed = 0;
  std::vector<int64_t> items;
  at::Device device = at::kCPU;
  Stream stream = Stream::kSamplerStep;
  int64_t share_start = 1;   ///< items k G .. k G + G - 1 have one prior draw, that of k G, and noise of their own in the steps
};

/// Of each item the first that shares its start: item - item mod G.
std::vector<int64_t> starts_of(const std::vector<int64_t>& items, int64_t share_start);

/// A chain of steps() reverse steps, numbered 0 (from noise) to steps() - 1. What it carries, the state, is [B,*state_shape()]: x_t of a
/// Gaussian chain, stick-breaking coordinates of a simplex chain, letters with a mask of a masked one. A function of the state: nothing is
/// remembered between steps (multistep samplers excepted: is_markov() is false). Differentiable in state and output where the chain is.
class ReverseProcess {
 public:
  virtual ~ReverseProcess() = default;
  virtual int64_t steps() const = 0;
  virtual std::vector<int64_t> state_shape() const = 0;
  virtual Tensor prior(const Draws& draws) const = 0;                       ///< [B,*state_shape()]

  /// What the network is shown at step i, [B,*shape of the network's input], and when, [B] on `device`.
  virtual Tensor network_input(int64_t /*i*/, const Tensor& state) const { return state; }
  virtual Tensor timestep(int64_t i, int64_t batch, at::Device device) const = 0;

  /// What step i draws, for advance(): standard normal, or what else the process uses; undefined if the step draws nothing.
  virtual Tensor noise(int64_t i, const Draws& draws) const = 0;
  /// The state after step i, from the network's output on network_input(i, state).
  virtual Tensor advance(int64_t i, const Tensor& state, const Tensor& output, const Tensor& noise) const = 0;

  /// The finished item that step i expects, in model space, [B,*model shape]: what intermediate rewards look at.
  virtual Tensor predicted_x0(int64_t i, const Tensor& state, const Tensor& output) const = 0;
  /// The item in model space that the last state is.
  virtual Tensor finish(const Tensor& state) const { return state; }

  /// KL of step i from the chain of `output` to that of `reference_output` at the same state, nats, summed over coordinates: [B] float64.
  /// Throws Error(kUsage) where a step without noise has none.
  virtual Tensor step_kl(int64_t i, const Tensor& state, const Tensor& output, const Tensor& reference_output) const = 0;
  /// Step i as a Gaussian, with sigma [B] or like the state; nothing if it is none (masked letters, multistep samplers).
  virtual std::optional<Transition> transition(int64_t i, const Tensor& state, const Tensor& output) const = 0;
  virtual bool is_markov() const { return true; }
};

/// The chain of a DDPM-type model under one of the samplers. item_shape: of x_t. `noise_at_end`: ddpm with variance beta draws noise in
/// its last step too, so that each step has a density (tuning); sampling leaves it out. The schedule is copied.
std::unique_ptr<ReverseProcess> make_gaussian_process(const SamplerOptions& options, const NoiseSchedule& schedule,
                                                      const std::vector<int64_t>& item_shape, bool noise_at_end = false);

/// The chain of a model from its manifest's model.schedule, whose "process" (absent: gaussian) says what kind it is. Throws
/// Error(kBadInput, where) for a schedule that is not understood, Error(kUsage) for a sampler that the process does not have.
std::unique_ptr<ReverseProcess> make_reverse_process(const nlohmann::ordered_json& schedule, const SamplerOptions& options,
                                                     const std::vector<int64_t>& item_shape, const std::string& where);

/// Runs one batch of chains; on_step, when given, sees (i, state, output, next state) of each step. Returns items in model space.
using ProcessObserver = std::function<void(int64_t i, const Tensor& state, const Tensor& output, const Tensor& next)>;
Tensor run_process(const ReverseProcess& process, const ModelFunction& model, const Draws& draws, const nn::Condition& condition,
                   const ProcessObserver& on_step = nullptr);

/// x [B,*] with `values` [B] or [B,*]: values made broadcastable to x.
Tensor per_row(const Tensor& values, const Tensor& x);

}  // namespace plumb::diffusion
