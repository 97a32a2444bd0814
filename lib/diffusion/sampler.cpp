// The registry of samplers.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/sampler.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"

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

Tensor choose_labels(const std::string& which, const std::vector<int64_t>& items, int64_t num_classes, uint64_t seed, int64_t share_start) {
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
    if (which == "balanced") labels.push_back(item / share_start % num_classes);
    else if (!varies) labels.push_back(fixed);
    else labels.push_back(static_cast<int64_t>(Philox(seed, Stream::kLabel, static_cast<uint64_t>(item - item % share_start))
                                                   .below(static_cast<uint64_t>(num_classes))));
  }
  return at::tensor(labels, at::kLong);
}

}  // namespace plumb::diffusion
