// SPDX-License-Identifier: Apache-2.0
#include "diffusion/jacobi_process.h"

#include <ATen/ATen.h>

#include <cmath>
#include <mutex>

#include "core/error.h"
#include "core/text.h"
#include "diffusion/jacobi.h"
#include "nn/data.h"

namespace plumb::diffusion {
namespace {

class JacobiProcess final : public ReverseProcess {
 public:
  JacobiProcess(const JacobiOptions& options, int64_t steps, int64_t letters, int64_t length)
      : steps_(steps), letters_(letters), length_(length), dt_((options.max_time - options.min_time) / static_cast<double>(steps)) {
    for (int64_t i = 0; i < steps; ++i) times_.push_back(options.max_time - static_cast<double>(i) * dt_);
  }

  int64_t steps() const override { return steps_; }
  std::vector<int64_t> state_shape() const override { return {letters_ - 1, length_}; }

  Tensor prior(const Draws& draws) const override {
    const int64_t batch = static_cast<int64_t>(draws.items.size());
    Tensor v = at::empty({batch, letters_ - 1, length_}, at::kFloat);
    float* out = v.data_ptr<float>();
    for (const int64_t item : draws.items) {
      Philox random(draws.seed, Stream::kPrior, static_cast<uint64_t>(item));
      for (int64_t i = 1; i < letters_; ++i) {   // Beta(1,b): 1 - (1 - u)^(1/b)
        const double b = static_cast<double>(letters_ - i);
        for (int64_t k = 0; k < length_; ++k) *out++ = static_cast<float>(-std::expm1(std::log1p(-random.uniform()) / b));
      }
    }
    return v.clamp_(kStickMargin, 1 - kStickMargin).to(draws.device);
  }

  Tensor network_input(int64_t, const Tensor& state) const override { return stick_to_simplex(state); }
  Tensor timestep(int64_t i, int64_t batch, at::Device device) const override {
    return at::full({batch}, times_.at(static_cast<size_t>(i)), at::TensorOptions(at::kFloat).device(device));
  }
  Tensor noise(int64_t i, const Draws& draws) const override {
    if (i + 1 == steps_) return Tensor();
    return nn::normal_noise(draws.seed, static_cast<int>(draws.stream), draws.items, static_cast<uint32_t>(i), state_shape(), draws.device);
  }

  Tensor advance(int64_t, const Tensor& state, const Tensor& output, const Tensor& noise) const override {
    Tensor next = mean(state, output);
    if (noise.defined()) next = next + jacobi_noise_std(state, dt_) * noise;
    return next.clamp(kStickMargin, 1 - kStickMargin);
  }
  Tensor predicted_x0(int64_t i, const Tensor& state, const Tensor& output) const override { return 2 * table(i).letters(output, state) - 1; }
  Tensor finish(const Tensor& state) const override { return 2 * stick_to_simplex(state) - 1; }

  Tensor step_kl(int64_t, const Tensor& state, const Tensor& output, const Tensor& reference_output) const override {
    return jacobi_step_kl(state, stick_gradient(output, state), stick_gradient(reference_output, state), dt_);
  }
  std::optional<Transition> transition(int64_t i, const Tensor& state, const Tensor& output) const override {
    const Tensor sigma = i + 1 < steps_ ? jacobi_noise_std(state, dt_) : at::zeros_like(state);
    return Transition{mean(state, output), sigma, predicted_x0(i, state, output)};
  }

 private:
  Tensor mean(const Tensor& v, const Tensor& score_x) const { return jacobi_reverse_mean(v, stick_score(score_x, v), dt_); }

  /// The table of step i; all are made when the first is asked for, since plain sampling needs none.
  const LineageTable& table(int64_t i) const {
    std::call_once(tables_made_, [&] {
      const std::vector<double> ascending(times_.rbegin(), times_.rend());
      std::vector<LineageLaw> laws;
      for (int64_t b = letters_ - 1; b >= 1; --b) laws.emplace_back(b, ascending);
      for (int64_t k = 0; k < steps_; ++k) tables_.emplace_back(laws, static_cast<size_t>(steps_ - 1 - k));
    });
    return tables_.at(static_cast<size_t>(i));
  }

  int64_t steps_, letters_, length_;
  double dt_;
  std::vector<double> times_;   // before each step
  mutable std::once_flag tables_made_;
  mutable std::vector<LineageTable> tables_;
};

}  // namespace

std::unique_ptr<ReverseProcess> make_jacobi_process(const JacobiOptions& options, int64_t steps, const std::vector<int64_t>& item_shape,
                                                    const std::string& where) {
  if (item_shape.size() != 2 || item_shape[0] < 2) {
    throw Error(Exit::kBadInput, where, "is a model of jacobi diffusion, which is for sequences of 2 letters or more");
  }
  return std::make_unique<JacobiProcess>(options, steps, item_shape[0], item_shape[1]);
}

}  // namespace plumb::diffusion
