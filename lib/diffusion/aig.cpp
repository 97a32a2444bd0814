// SPDX-License-Identifier: Apache-2.0
#include "diffusion/aig.h"

#include <cmath>
#include <utility>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "diffusion/process_options.h"

namespace plumb::diffusion {
namespace {

constexpr const char* kOption = "--aig";

[[noreturn]] void refuse(const std::string& schedule, const std::string& what) {
  throw Error(Exit::kUsage, kOption, cat("'", schedule, "' ", what), "linear, power:P, step:Q, constant:C, base or ft, for example power:2");
}

}  // namespace

std::vector<double> aig_weights(const std::string& schedule, int64_t steps) {
  const size_t colon = schedule.find(':');
  const std::string name = schedule.substr(0, colon);
  const bool takes_number = name == "power" || name == "step" || name == "constant";
  if (takes_number != (colon != std::string::npos)) refuse(schedule, takes_number ? "lacks its number" : "is no schedule");
  const double number = takes_number ? parse_double(schedule.substr(colon + 1), kOption) : 0.0;
  if (name == "power" ? !(number > 0 && number <= 1e6) : !(number >= 0 && number <= 1)) {
    refuse(schedule, name == "power" ? "needs a power above 0" : "needs a number from 0 to 1");
  }
  std::vector<double> weights;
  for (int64_t i = 0; i < steps; ++i) {
    const double progress = static_cast<double>(i) / static_cast<double>(steps);
    if (name == "base") weights.push_back(0.0);
    else if (name == "ft") weights.push_back(1.0);
    else if (name == "linear") weights.push_back(progress);
    else if (name == "power") weights.push_back(std::pow(progress, number));
    else if (name == "step") weights.push_back(progress >= number ? 1.0 : 0.0);
    else if (name == "constant") weights.push_back(number);
    else refuse(schedule, "is no schedule");
  }
  return weights;
}

std::vector<double> base_below_weights(const std::vector<int64_t>& timesteps, int64_t k) {
  std::vector<double> weights;
  for (const int64_t t : timesteps) weights.push_back(t >= k ? 1.0 : 0.0);
  return weights;
}

ModelFunction annealed(ModelFunction base, ModelFunction tuned, std::vector<double> weights) {
  return [base = std::move(base), tuned = std::move(tuned), weights = std::move(weights)](
             size_t i, const Tensor& x_t, const Tensor& timestep, const nn::Condition& condition) {
    const double w = weights.at(i);
    if (w == 0.0) return base(i, x_t, timestep, condition);
    if (w == 1.0) return tuned(i, x_t, timestep, condition);
    return (1.0 - w) * base(i, x_t, timestep, condition) + w * tuned(i, x_t, timestep, condition);
  };
}

nn::Model load_base_of(const nn::Model& tuned, const io::Manifest& base, at::Device device) {
  nn::Model model = nn::load_model(base, device);
  const auto refuse = [&](const char* what) {
    throw Error(Exit::kBadInput, base.label(), cat("is no base model of ", tuned.manifest.label(), ": its ", what, " differ"));
  };
  const auto schedule = [](const nn::Model& m) { return complete_schedule(m.schedule, m.manifest.label()); };
  if (!(model.space == tuned.space)) refuse("items");
  if (model.denoiser->num_classes() != tuned.denoiser->num_classes()) refuse("classes");
  if (schedule(model) != schedule(tuned)) refuse("noise levels");
  return model;
}

}  // namespace plumb::diffusion
