// What the options of the processes mean together.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/process_options.h"

#include "core/error.h"
#include "core/text.h"
#include "diffusion/schedule.h"

namespace plumb::diffusion {
namespace {

constexpr int64_t kMaskedSteps = 128;   // of the released sampler of Wang et al. 2025
constexpr int64_t kJacobiSteps = 100;   // of the released samplers of Avdeyev et al. 2023

template <typename Options>
std::vector<std::string> option_names() {
  Options options;
  OptionTable table;
  describe(table, options);
  return table.names();
}

void refuse(const std::vector<std::string>& options, const std::string& process, const std::function<bool(const std::string&)>& was_set) {
  for (const std::string& option : options) {
    if (was_set(option)) throw Error(Exit::kUsage, "--" + option, process + " diffusion has no such number", "leave it out");
  }
}

}  // namespace

nlohmann::ordered_json JacobiOptions::to_json() const {
  return {{"process", "jacobi"}, {"max_time", max_time}, {"min_time", min_time}, {"num_times", num_times}};
}

JacobiOptions JacobiOptions::from_json(const nlohmann::ordered_json& json, const std::string& where) {
  JacobiOptions o;
  for (const auto& [key, value] : json.items()) {
    try {
      if (key == "max_time") o.max_time = value.get<double>();
      else if (key == "min_time") o.min_time = value.get<double>();
      else if (key == "num_times") o.num_times = value.get<int64_t>();
      else if (key != "process") throw Error(Exit::kBadInput, where, cat("the noise schedule has an unknown key '", key, "'"), "it may come from a newer version");
    } catch (const nlohmann::json::exception&) {
      throw Error(Exit::kBadInput, where, cat("bad value of the noise schedule's '", key, "': ", value.dump()));
    }
  }
  if (!(o.min_time >= 1e-3 && o.min_time < o.max_time && o.max_time <= 100) || o.num_times < 2 || o.num_times > 10000) {
    throw Error(Exit::kBadInput, where, cat("its noise schedule: needs 0.001 <= min_time < max_time <= 100 and 2 to 10000 times, got ", json.dump()));
  }
  return o;
}

nlohmann::ordered_json ProcessOptions::to_json() const {
  if (name == "masked") return {{"process", "masked"}};
  return name == "jacobi" ? jacobi.to_json() : gaussian.to_json();
}

void check_masked_schedule(const nlohmann::ordered_json& schedule, const std::string& where) {
  for (const auto& [key, value] : schedule.items()) {
    if (key != "process") throw Error(Exit::kBadInput, where, cat("the noise schedule has an unknown key '", key, "'"), "it may come from a newer version");
  }
}

nlohmann::ordered_json complete_schedule(const nlohmann::ordered_json& schedule, const std::string& where) {
  if (process_name(schedule) == "jacobi") return JacobiOptions::from_json(schedule, where).to_json();
  if (process_name(schedule) == "masked") {
    check_masked_schedule(schedule, where);
    return schedule;
  }
  return ScheduleOptions::from_json(schedule, where).to_json();
}

bool process_was_set(const std::function<bool(const std::string&)>& was_set) {
  for (const std::string& option : option_names<ProcessOptions>()) {
    if (was_set(option)) return true;
  }
  return false;
}

void check_process_options(const ProcessOptions& o, const std::function<bool(const std::string&)>& was_set) {
  if (o.name != "jacobi") refuse(option_names<JacobiOptions>(), o.name, was_set);
  if (o.name == "gaussian") return check_schedule_options(o.gaussian, was_set);
  refuse(option_names<ScheduleOptions>(), o.name, was_set);
  refuse({"min-snr-gamma"}, o.name, was_set);
  if (o.name == "jacobi" && !(o.jacobi.min_time < o.jacobi.max_time)) {
    throw Error(Exit::kUsage, "--jacobi-min-time", cat(o.jacobi.min_time, " is not below --jacobi-max-time ", o.jacobi.max_time));
  }
}

void resolve_sampler_options(SamplerOptions& o, const nlohmann::ordered_json& schedule, const std::function<bool(const std::string&)>& was_set) {
  const std::string process = process_name(schedule);
  if (process != "gaussian") o.num_inference_steps = process == "masked" ? kMaskedSteps : kJacobiSteps;
  o.num_inference_steps = o.steps.value_or(o.num_inference_steps);
  if (process == "gaussian") {
    if (was_set("eta") && o.name != "ddim") throw Error(Exit::kUsage, "--eta", "only ddim has it", "leave it out");
    if (was_set("variance") && o.name != "ddpm") throw Error(Exit::kUsage, "--variance", "only ddpm has it", "leave it out");
    return;
  }
  for (const char* option : {"sampler", "eta", "variance"}) {
    if (was_set(option)) throw Error(Exit::kUsage, cat("--", option), cat("chains of ", process, " diffusion have one way to be drawn"), "leave it out");
  }
}

}  // namespace plumb::diffusion
