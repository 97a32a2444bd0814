// SPDX-License-Identifier: Apache-2.0
#include "diffusion/process.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "diffusion/jacobi_process.h"
#include "diffusion/masked_process.h"

namespace plumb::diffusion {

Tensor per_row(const Tensor& values, const Tensor& x) {
  if (values.dim() == x.dim()) return values;
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[0] = values.size(0);
  return values.reshape(shape);
}

std::unique_ptr<ReverseProcess> make_reverse_process(const nlohmann::ordered_json& schedule, const SamplerOptions& options,
                                                     const std::vector<int64_t>& item_shape, const std::string& where) {
  if (process_name(schedule) == "jacobi") {
    return make_jacobi_process(JacobiOptions::from_json(schedule, where), options.num_inference_steps, item_shape, where);
  }
  if (process_name(schedule) == "masked") {
    check_masked_schedule(schedule, where);
    return std::make_unique<MaskedProcess>(options.num_inference_steps, item_shape, where);
  }
  return make_gaussian_process(options, NoiseSchedule(ScheduleOptions::from_json(schedule, where)), item_shape);
}

std::vector<int64_t> starts_of(const std::vector<int64_t>& items, int64_t share_start) {
  std::vector<int64_t> starts = items;
  for (int64_t& item : starts) item -= item % share_start;
  return starts;
}

Tensor run_process(const ReverseProcess& process, const ModelFunction& model, const Draws& draws, const nn::Condition& condition,
                   const ProcessObserver& on_step) {
  Draws starts = draws;
  starts.items = starts_of(draws.items, draws.share_start);
  Tensor state = process.prior(starts);
  for (int64_t i = 0; i < process.steps(); ++i) {
    const Tensor output = model(static_cast<size_t>(i), process.network_input(i, state), process.timestep(i, state.size(0), draws.device),
                                condition);
    const Tensor next = process.advance(i, state, output, process.noise(i, draws));
    if (on_step) on_step(i, state, output, next);
    state = next;
  }
  return process.finish(state);
}

}  // namespace plumb::diffusion
