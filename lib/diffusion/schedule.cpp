// Noise schedules in float64, and the three ways of laying sampling steps on them.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/schedule.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "diffusion/process_options.h"

namespace plumb::diffusion {
namespace {

constexpr double kPi = 3.14159265358979323846;

PredictionType parse_prediction_type(const std::string& text) {
  if (text == "epsilon") return PredictionType::kEpsilon;
  if (text == "sample") return PredictionType::kSample;
  if (text == "v_prediction") return PredictionType::kV;
  throw Error(Exit::kUsage, "--prediction-type", cat("unknown value '", text, "'"), "epsilon, sample or v_prediction");
}

/// n values from low to high, both included.
std::vector<double> linspace(double low, double high, int64_t n) {
  std::vector<double> values(static_cast<size_t>(n), low);
  for (int64_t i = 1; i < n; ++i) {
    values[static_cast<size_t>(i)] = low + static_cast<double>(i) * ((high - low) / static_cast<double>(n - 1));
  }
  if (n > 1) values.back() = high;
  return values;
}

std::vector<double> make_betas(const ScheduleOptions& o) {
  const int64_t n = o.num_train_timesteps;
  if (o.beta_schedule == "linear") return linspace(o.beta_start, o.beta_end, n);
  if (o.beta_schedule == "scaled_linear") {  // Rombach et al. 2022: linear in the square root
    std::vector<double> betas = linspace(std::sqrt(o.beta_start), std::sqrt(o.beta_end), n);
    for (double& beta : betas) beta *= beta;
    return betas;
  }
  if (o.beta_schedule == "squaredcos_cap_v2") {  // Nichol & Dhariwal 2021, eq. 17, betas capped at 0.999
    const auto alpha_bar = [n](int64_t i) {
      const double angle = (static_cast<double>(i) / static_cast<double>(n) + 0.008) / 1.008 * kPi / 2;
      return std::cos(angle) * std::cos(angle);
    };
    std::vector<double> betas;
    for (int64_t i = 0; i < n; ++i) betas.push_back(std::min(1.0 - alpha_bar(i + 1) / alpha_bar(i), 0.999));
    return betas;
  }
  throw Error(Exit::kUsage, "--beta-schedule", cat("unknown value '", o.beta_schedule, "'"),
              "linear, scaled_linear or squaredcos_cap_v2");
}

/// The betas as diffusers 0.42 computes them: in float32, but for the cosine's, which it rounds at the end.
Tensor make_float32_betas(const ScheduleOptions& o) {
  if (o.beta_schedule == "squaredcos_cap_v2") return at::tensor(make_betas(o), at::kFloat);
  const bool scaled = o.beta_schedule == "scaled_linear";
  const Tensor betas = at::linspace(scaled ? std::sqrt(o.beta_start) : o.beta_start, scaled ? std::sqrt(o.beta_end) : o.beta_end,
                                    o.num_train_timesteps, at::kFloat);
  return scaled ? betas * betas : betas;
}

Tensor broadcast_to_items(const Tensor& per_item, const Tensor& x) {
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[0] = per_item.size(0);
  return per_item.reshape(shape);
}

}  // namespace

nlohmann::ordered_json ScheduleOptions::to_json() const {
  return {{"num_train_timesteps", num_train_timesteps}, {"beta_schedule", beta_schedule}, {"beta_start", beta_start},
          {"beta_end", beta_end}, {"prediction_type", prediction_type}, {"timestep_spacing", timestep_spacing},
          {"steps_offset", steps_offset}, {"set_alpha_to_one", set_alpha_to_one}, {"clip_sample", clip_sample},
          {"table_dtype", table_dtype}};
}

ScheduleOptions ScheduleOptions::from_json(const nlohmann::ordered_json& json, const std::string& where) {
  ScheduleOptions o;
  if (!json.is_object()) throw Error(Exit::kBadInput, where, "the noise schedule is not a JSON object");
  if (const std::string process = process_name(json); process != "gaussian") {
    throw Error(Exit::kBadInput, where, cat("is a model of ", process, " diffusion, which does not do here"), "take a model of Gaussian diffusion");
  }
  for (const auto& [key, value] : json.items()) {
    if (key == "process") continue;
    try {
      if (key == "num_train_timesteps") o.num_train_timesteps = value.get<int64_t>();
      else if (key == "beta_schedule") o.beta_schedule = value.get<std::string>();
      else if (key == "beta_start") o.beta_start = value.get<double>();
      else if (key == "beta_end") o.beta_end = value.get<double>();
      else if (key == "prediction_type") o.prediction_type = value.get<std::string>();
      else if (key == "timestep_spacing") o.timestep_spacing = value.get<std::string>();
      else if (key == "steps_offset") o.steps_offset = value.get<int64_t>();
      else if (key == "set_alpha_to_one") o.set_alpha_to_one = value.get<bool>();
      else if (key == "clip_sample") o.clip_sample = value.get<bool>();
      else if (key == "table_dtype") o.table_dtype = value.get<std::string>();
      else throw Error(Exit::kBadInput, where, cat("the noise schedule has an unknown key '", key, "'"),
                       "it may come from a newer version");
    } catch (const nlohmann::json::exception&) {
      throw Error(Exit::kBadInput, where, cat("bad value of the noise schedule's '", key, "': ", value.dump()));
    }
  }
  try {
    NoiseSchedule check(o);
  } catch (const Error& error) {  // of a file, so bad input
    throw Error(Exit::kBadInput, where, cat("its noise schedule: ", error.what()));
  }
  return o;
}

NoiseSchedule::NoiseSchedule(const ScheduleOptions& options)
    : options_(options), prediction_type_(parse_prediction_type(options.prediction_type)) {
  const auto refuse = [](const char* option, const std::string& what) { throw Error(Exit::kUsage, option, what); };
  if (options.num_train_timesteps < 1 || options.num_train_timesteps > 1000000) {
    refuse("--num-train-timesteps", cat(options.num_train_timesteps, " is outside 1..1000000"));
  }
  if (options.timestep_spacing != "leading" && options.timestep_spacing != "trailing" &&
      options.timestep_spacing != "linspace") {
    refuse("--timestep-spacing", cat("unknown value '", options.timestep_spacing, "'"));
  }
  if (!(options.beta_start > 0 && options.beta_start <= options.beta_end && options.beta_end < 1)) {
    refuse("--beta-start", cat("needs 0 < beta_start <= beta_end < 1, got ", options.beta_start, " and ", options.beta_end));
  }
  if (options.table_dtype == "float32") {
    const Tensor table = (1.0 - make_float32_betas(options)).cumprod(0).to(at::kDouble);
    alphas_cumprod_.assign(table.const_data_ptr<double>(), table.const_data_ptr<double>() + table.numel());
  } else if (options.table_dtype == "float64") {
    double product = 1.0;
    for (const double beta : make_betas(options)) alphas_cumprod_.push_back(product *= 1.0 - beta);
  } else {
    refuse("--table-dtype", cat("unknown value '", options.table_dtype, "'"));
  }
  std::vector<double> with_final = alphas_cumprod_;
  with_final.push_back(alpha_cumprod(int64_t{-1}));
  alphas_cumprod_tensor_ = at::tensor(with_final, at::kDouble);
}

double NoiseSchedule::alpha_cumprod(int64_t t) const {
  if (t < 0) return options_.set_alpha_to_one ? 1.0 : alphas_cumprod_.front();
  if (t >= num_train_timesteps()) {
    throw Error(Exit::kUsage, "timestep", cat(t, " is not below num_train_timesteps = ", num_train_timesteps()));
  }
  return alphas_cumprod_[static_cast<size_t>(t)];
}

double NoiseSchedule::alpha_between(double a, double b) const {
  return options_.table_dtype == "float32" ? static_cast<float>(a) / static_cast<float>(b) : a / b;
}

std::vector<int64_t> NoiseSchedule::timesteps(int64_t n) const {
  const int64_t total = num_train_timesteps();
  if (n < 1 || n > total) {
    throw Error(Exit::kUsage, "--steps", cat(n, " sampling steps do not fit ", total, " training timesteps"),
                cat("1..", total));
  }
  std::vector<int64_t> steps;
  if (options_.timestep_spacing == "linspace") {
    for (const double t : linspace(0.0, static_cast<double>(total - 1), n)) steps.push_back(std::llrint(t));
    std::reverse(steps.begin(), steps.end());
  } else if (options_.timestep_spacing == "leading") {
    for (int64_t i = n - 1; i >= 0; --i) steps.push_back(i * (total / n) + options_.steps_offset);
  } else {
    const double stride = static_cast<double>(total) / static_cast<double>(n);
    const double delta = (static_cast<double>(total) - stride) - static_cast<double>(total);
    for (int64_t i = 0; i < n; ++i) {
      steps.push_back(std::llrint(static_cast<double>(total) + static_cast<double>(i) * delta) - 1);
    }
  }
  if (steps.front() >= total) {
    throw Error(Exit::kUsage, "--steps", cat(n, " leading steps with offset ", options_.steps_offset, " start at timestep ",
                steps.front(), " of ", total), "fewer steps, a smaller steps-offset, or another timestep-spacing");
  }
  return steps;
}

int64_t NoiseSchedule::previous_timestep(int64_t t, int64_t num_inference_steps) const {
  if (options_.timestep_spacing != "trailing") return t - num_train_timesteps() / num_inference_steps;
  const std::vector<int64_t> steps = timesteps(num_inference_steps);
  const auto here = std::find(steps.begin(), steps.end(), t);
  if (here == steps.end()) throw Error(Exit::kFailed, "timestep", cat(t, " is not one of ", num_inference_steps, " trailing steps"));
  return here + 1 == steps.end() ? -1 : here[1];
}

Tensor NoiseSchedule::alpha_cumprod(const Tensor& t) const {
  const Tensor index = at::where(t < 0, num_train_timesteps(), t).to(at::kLong);
  return alphas_cumprod_tensor_.to(t.device()).index_select(0, index);
}

Tensor NoiseSchedule::snr(const Tensor& t) const {
  const Tensor a = alpha_cumprod(t);
  return a / (1.0 - a);
}

Tensor NoiseSchedule::alpha_cumprod_like(const Tensor& t, const Tensor& x) const {
  return broadcast_to_items(alpha_cumprod(t).to(at::kFloat), x);
}

Tensor NoiseSchedule::add_noise(const Tensor& x0, const Tensor& eps, const Tensor& t) const {
  const Tensor a = broadcast_to_items(alpha_cumprod(t), x0);  // roots in float64: 1 - a is small near t = 0
  return a.sqrt().to(x0.scalar_type()) * x0 + (1.0 - a).sqrt().to(x0.scalar_type()) * eps;
}

Tensor NoiseSchedule::training_target(const Tensor& x0, const Tensor& eps, const Tensor& t) const {
  if (prediction_type_ == PredictionType::kEpsilon) return eps;
  if (prediction_type_ == PredictionType::kSample) return x0;
  const Tensor a = broadcast_to_items(alpha_cumprod(t), x0);
  return a.sqrt().to(x0.scalar_type()) * eps - (1.0 - a).sqrt().to(x0.scalar_type()) * x0;
}

void check_schedule_options(const ScheduleOptions& o, const std::function<bool(const std::string&)>& was_set) {
  for (const char* option : {"beta-start", "beta-end"}) {
    if (o.beta_schedule == "squaredcos_cap_v2" && was_set(option)) {
      throw Error(Exit::kUsage, cat("--", option), "the cosine schedule has no such number", "choose --beta-schedule linear or scaled_linear");
    }
  }
  if (o.timestep_spacing != "leading" && was_set("steps-offset")) {
    throw Error(Exit::kUsage, "--steps-offset", cat(o.timestep_spacing, " spacing has no offset"), "choose --timestep-spacing leading");
  }
  const NoiseSchedule schedule(o);
  const double least_signal = schedule.alpha_cumprod(schedule.timesteps(std::min<int64_t>(10, o.num_train_timesteps / 2 + 1)).front());
  if (o.prediction_type == "epsilon" && least_signal < 1e-6) {
    log::warn("sampling would start at a signal of ", std::sqrt(least_signal), ", where epsilon prediction says nothing of the sample: ",
              "use v_prediction, or leading spacing");
  }
}

Prediction predict(PredictionType type, const Tensor& model_output, const Tensor& x_t, const Tensor& a) {
  const auto dtype = x_t.scalar_type();
  const Tensor output = model_output.to(dtype);
  const Tensor signal = a.sqrt().to(dtype), noise = (1.0 - a).sqrt().to(dtype);
  switch (type) {
    case PredictionType::kEpsilon: return {(x_t - noise * output) / signal, output};
    case PredictionType::kSample: return {output, (x_t - signal * output) / noise};
    case PredictionType::kV: break;
  }
  return {signal * x_t - noise * output, signal * output + noise * x_t};
}

}  // namespace plumb::diffusion
