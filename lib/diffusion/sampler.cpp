// The registry of samplers, and the loop that runs one chain.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/sampler.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"
#include "nn/data.h"

namespace plumb::diffusion {

#define PLUMB_SAMPLER(identifier, name, summary) \
  std::unique_ptr<Sampler> make_##identifier(const SamplerOptions& options, const NoiseSchedule& schedule);
#include "diffusion/samplers.def"
#undef PLUMB_SAMPLER

std::unique_ptr<Sampler> make_sampler(const SamplerOptions& options, const NoiseSchedule& schedule) {
#define PLUMB_SAMPLER(identifier, sampler_name, summary) \
  if (options.name == sampler_name) return make_##identifier(options, schedule);
#include "diffusion/samplers.def"
#undef PLUMB_SAMPLER
  throw Error(Exit::kUsage, "--sampler", cat("unknown value '", options.name, "'"), join(sampler_names(), ", "));
}

Tensor choose_labels(const std::string& which, const std::vector<int64_t>& items, int64_t num_classes, uint64_t seed) {
  int64_t fixed = num_classes;
  const bool varies = which == "balanced" || which == "random";
  if (varies && num_classes < 1) throw Error(Exit::kUsage, "--class", "the model has no classes", "use none");
  if (!varies && which != "none") {
    fixed = parse_int(which, "--class");
    if (fixed < 0 || fixed >= num_classes) {
      throw Error(Exit::kUsage, "--class", cat(fixed, " is not one of the model's ", num_classes, " classes"));
    }
  }
  std::vector<int64_t> labels;
  for (const int64_t item : items) {
    if (which == "balanced") labels.push_back(item % num_classes);
    else if (!varies) labels.push_back(fixed);
    else labels.push_back(static_cast<int64_t>(Philox(seed, Stream::kLabel, static_cast<uint64_t>(item))
                                                   .below(static_cast<uint64_t>(num_classes))));
  }
  return at::tensor(labels, at::kLong);
}

Tensor run_chain(Sampler& sampler, const ModelFunction& model, const std::vector<int64_t>& items, uint64_t seed,
                 const std::vector<int64_t>& item_shape, const nn::Condition& condition, at::Device device,
                 const StepObserver& on_step) {
  Tensor x = nn::normal_noise(seed, static_cast<int>(Stream::kPrior), items, 0, item_shape, device);
  const std::vector<int64_t>& timesteps = sampler.timesteps();
  for (size_t i = 0; i < timesteps.size(); ++i) {
    const Tensor t = at::full({x.size(0)}, timesteps[i], at::TensorOptions(at::kLong).device(device));
    const Tensor output = model(i, x, t, condition);
    Tensor noise;
    if (sampler.needs_noise(i)) {
      noise = nn::normal_noise(seed, static_cast<int>(Stream::kSamplerStep), items, static_cast<uint32_t>(i), item_shape, device);
    }
    const Tensor next = sampler.step(i, x, output, noise);
    if (on_step) on_step(i, timesteps[i], x, output, next);
    x = next;
  }
  return x;
}

}  // namespace plumb::diffusion
